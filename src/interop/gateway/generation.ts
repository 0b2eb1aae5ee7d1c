import { type Client, type ClientOptions, createClient } from '../../index.ts'
import { createEndpoint, type Endpoint } from '../openai/endpoint.ts'
import { type GatewaySettings, only, type ReadConfig, type RouteConfig } from './config.ts'
import { createKeys, type Keys } from './keys.ts'
import type { CommonHealth } from './common-health.ts'
import type { Metrics } from './metrics.ts'

/** Everything that belongs to one config. A reload creates a new generation; the old one is closed after its last request. */
export type Generation = {
  readonly settings: GatewaySettings
  readonly endpoint: Endpoint
  readonly keys: Keys
  readonly clients: ReadonlyMap<string, Client>
  /** The number of requests in progress. */
  active: number
  /** Closes the clients that this generation created, once no request is in progress. */
  retire(): void
  /** Closes these clients at once: requests in progress end with an error. */
  close(): Promise<void>
  /** Counts a request as ended. */
  release(): void
}

export type Surroundings = {
  readonly metrics: Metrics | undefined
  readonly health: CommonHealth
  onError(error: unknown): void
}

/** @throws {TypeError} An option of a client is wrong. */
export function createGeneration(
  { settings, routes, isNamed }: ReadConfig,
  { metrics, health, onError }: Surroundings,
): Generation {
  const made: Client[] = []
  const clients = new Map<string, Client>()
  try {
    for (const [name, route] of Object.entries(routes)) {
      const client = isClient(route) ? route : createClient(withParts(route, { name, settings, metrics, health }))
      if (client !== route) made.push(client)
      clients.set(name, client)
    }
    const { keepAliveMs, keys } = settings
    const served = isNamed ? Object.fromEntries(clients) : (clients.get(only) as Client)
    return alive({
      ...{ settings, clients, made },
      endpoint: createEndpoint(served, { keepAliveMs, onError }, 'serve'),
      keys: createKeys(keys),
    })
  } catch (error) {
    // close the clients that were already created for a wrong config
    for (const client of made) void client.close().catch(onError)
    throw error
  }
}

function isClient(route: RouteConfig): route is Client {
  return 'generate' in route && typeof route.generate === 'function'
}

type Around = { readonly name: string; readonly settings: GatewaySettings } & Pick<Surroundings, 'metrics' | 'health'>

function withParts(route: ClientOptions, { name, settings, metrics, health }: Around): ClientOptions {
  const own = metrics === undefined ? [] : [metrics.partFor(name)]
  const telemetry = [...own, ...(settings.telemetry ?? []), ...(route.telemetry ?? [])]
  return { ...route, health: health.of(route), ...(telemetry.length === 0 ? undefined : { telemetry }) }
}

type Made = Pick<Generation, 'settings' | 'endpoint' | 'keys' | 'clients'> & { readonly made: readonly Client[] }

function alive({ made, ...parts }: Made): Generation {
  let isRetired = false
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= Promise.all(made.map(client => client.close())).then(() => {})
    return closing
  }
  const generation: Generation = {
    ...parts,
    active: 0,
    retire() {
      isRetired = true
      if (generation.active === 0) void close()
    },
    close,
    release() {
      generation.active -= 1
      if (isRetired && generation.active === 0) void close()
    },
  }
  return generation
}
