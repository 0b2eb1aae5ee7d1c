import { createServer, type Server } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { type GatewayConfig, gatewayDefaults as defaults, type ReadConfig, readConfig } from './config.ts'
import { createCommonHealth } from './common-health.ts'
import { createGeneration, type Generation, type Surroundings } from './generation.ts'
import { createMetrics } from './metrics.ts'
import { handleRequest, type House } from './handle-request.ts'
import { createRefusal } from './refuse-broken.ts'
import { createInTrace } from './trace-parent.ts'

/** A running gateway. */
export type Gateway = {
  /** Its address, for example `http://127.0.0.1:4000`. Clients of OpenAI's API use it with `/v1` appended. */
  readonly url: string
  readonly port: number
  /**
   * Uses another config for new requests; requests in progress keep theirs. `host`, `port`, `health` and the time limits of the server
   * do not change.
   *
   * @throws {TypeError} The config is wrong; nothing changes.
   */
  reload(config: GatewayConfig): void
  /**
   * Rejects new requests, waits at most `drainMs` for requests in progress, and then closes. The gateway keeps listening while it waits, so
   * that `/ready` tells a load balancer to send requests elsewhere.
   */
  drain(): Promise<void>
  /** Closes at once: requests in progress end with an error. */
  close(): Promise<void>
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Serves a chain, or several chains by name, as an OpenAI-compatible endpoint on a port. Resolves when the gateway listens.
 *
 * @throws {TypeError} The config is wrong; no port is opened.
 *
 * @example
 * await using gateway = await serve({ routes: { chat: { chain: [deepseek(), openai()] } }, keys: [process.env.KEY], port: 4000 })
 */
export async function serve(config: GatewayConfig): Promise<Gateway> {
  const read = readConfig(config)
  const { host = defaults.host, port = defaults.port, headersMs = defaults.headersMs, bodyMs = defaults.bodyMs } = read.settings
  checkOpen(host, read.settings)
  const metrics = createMetrics()
  const onError = (error: unknown): void => read.settings.logger?.warn({ error: String(error) }, 'a callback failed')
  const surroundings: Surroundings = { metrics, onError, health: createCommonHealth(read.settings.health) }
  const house: House = {
    generation: createGeneration(read, surroundings),
    ...{ metrics, inTrace: createInTrace(), isDraining: false, active: 0, onIdle: undefined },
  }
  const server = createServer({
    ...{ headersTimeout: headersMs, requestTimeout: Math.max(bodyMs, headersMs), keepAliveTimeout: 75_000 },
    // how often Node checks these two timeouts
    connectionsCheckingInterval: Math.min(2_000, headersMs),
  })
  const refusal = createRefusal()
  server.on('request', (request, response) => {
    refusal.heard(request, response)
    void handleRequest(house, request, response)
  })
  server.on('clientError', refusal.refuse)
  try {
    await listen(server, { host, port })
  } catch (error) {
    await house.generation.close()
    throw error
  }
  return gatewayOf(house, { server, host, surroundings })
}

/** Refuses a public address without keys, because the owner of the gateway pays for every request. */
function checkOpen(host: string, { keys = [], noKeys = false }: House['generation']['settings']): void {
  const isLocal = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
  if (noKeys && keys.length > 0) throw new TypeError('serve: keys and noKeys: true contradict each other. Leave one of them out.')
  if (isLocal || noKeys || keys.length > 0) return
  throw new TypeError(
    `serve: on ${host}, everyone who can reach the port could send requests at your cost. Write keys, or noKeys: true (--no-keys).`,
  )
}

/** The accept queue. It is large because all clients reconnect at once after a restart. */
const backlog = 4_096

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ port, host, backlog }, resolve)
  return promise.finally(() => server.off('error', reject))
}

type Opened = { readonly server: Server; readonly host: string; readonly surroundings: Surroundings }

/** Keeps the health of targets, unless the new config changes breakers or limits: then health starts from scratch. */
function nextGeneration(
  read: ReadConfig,
  given: Surroundings,
): { readonly made: Generation; readonly surroundings: Surroundings } {
  try {
    return { made: createGeneration(read, given), surroundings: given }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const surroundings = { ...given, health: createCommonHealth(read.settings.health) }
    return { made: createGeneration(read, surroundings), surroundings }
  }
}

function gatewayOf(house: House, opened: Opened): Gateway {
  const { server, host } = opened
  let { surroundings } = opened
  const { port } = server.address() as AddressInfo
  const isEverywhere = host === '0.0.0.0' || host === '::'
  const name = isEverywhere ? '127.0.0.1' : isIP(host) === 6 ? `[${host}]` : host
  const retired = new Set<Generation>()
  const close = async (): Promise<void> => {
    house.isDraining = true
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    // closing the clients ends requests in progress with an error; connections that do not read it are then cut
    await Promise.all([house.generation, ...retired].map(generation => generation.close()))
    await settled(house, 250)
    server.closeAllConnections()
    await closed
  }
  return {
    url: `http://${name}:${port}`,
    port,
    reload(config) {
      const read = readConfig(config)
      const before = house.generation
      checkOpen(host, read.settings)
      const next = nextGeneration(read, surroundings)
      surroundings = next.surroundings
      house.generation = next.made
      retired.add(before)
      before.retire()
      for (const one of retired) if (one.active === 0) retired.delete(one)
    },
    async drain() {
      house.isDraining = true
      await settled(house, house.generation.settings.drainMs ?? defaults.drainMs)
      await close()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Resolves when no request is in progress, or when the time is over. */
async function settled(house: House, forMs: number): Promise<void> {
  if (house.active === 0) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, forMs)
  house.onIdle = resolve
  await promise
  house.onIdle = undefined
  clearTimeout(timer)
}
