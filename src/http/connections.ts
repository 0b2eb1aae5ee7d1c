import { Agent, EnvHttpProxyAgent, Pool } from './undici.ts'
import type { Dispatcher } from './undici.ts'
import { createSilenceWatch } from './silence-watch.ts'
import type { SilenceWatch } from './silence-watch.ts'
import { singleConnection } from './single-connection.ts'
import type { SingleConnectionOptions } from './single-connection.ts'

/** The connections of one client: a pool for every origin, opened when the first request needs it. */
export type Connections = {
  /** Where to send a request. `fresh`: over a connection of its own, never one that was used before. */
  dispatcher(kind: 'pooled' | 'fresh'): Dispatcher
  /** Throws a `TypeError` when the environment names a proxy in a way that nobody can ask. */
  check(): void
  /** Over requests that are silent; none where a dispatcher of the user's knows the way. */
  readonly silence?: SilenceWatch | undefined
  /**
   * Closes idle connections. Requests in flight are not waited for: they finish, and their connections close with them. The next
   * request opens new ones.
   */
  close(): Promise<void>
}

export type ConnectionsOptions = {
  /**
   * An undici dispatcher of your own, for example an `Agent` with certificates. It is never closed here, and HTTPS_PROXY, HTTP_PROXY
   * and NO_PROXY mean nothing to it unless it is an `EnvHttpProxyAgent`.
   */
  readonly dispatcher?: Dispatcher | undefined
}

/** Does nothing until the first request: no socket, no timer, no look at the environment. */
export function createConnections(options: ConnectionsOptions = {}): Connections {
  const { dispatcher } = options
  if (dispatcher !== undefined) return { dispatcher: () => dispatcher, check: () => {}, close: async () => {} }

  const open = new Map<'pooled' | 'fresh', Dispatcher>()
  return {
    check: checkProxies,
    silence: createSilenceWatch(isDirect),
    dispatcher(kind) {
      const known = open.get(kind)
      if (known !== undefined) return known
      const created = createAgent({ keepAlive: kind === 'pooled' })
      open.set(kind, created)
      return created
    },
    async close() {
      const closing = [...open.values()]
      open.clear()
      for (const agent of closing) void agent.close()
      // undici closes what is idle in microtasks; its promises would also wait for every request in flight
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

/**
 * How long an idle connection is kept where the server does not say (where it does, 2 s less). A new one to a far away service costs
 * two to three round trips, longer than many first tokens. Load balancers keep theirs for 60 s and more, and a server that closes
 * sooner is seen to do so, or costs a resend that nobody notices.
 */
const keepAliveTimeoutMs = 30_000

/** The connect clock of the attempt ends a connection attempt. This only ends what a misbehaving proxy would hold for ever. */
const connectTimeoutMs = 600_000

/** Node's own limit is 16 KiB: gateways send policies and traces longer than that (F46). A server has no reason for more than this. */
const maxHeaderBytes = 64 * 1024

function createAgent({ keepAlive }: { readonly keepAlive: boolean }): Dispatcher {
  const options = {
    factory: createPool,
    // one request at a time: an answer of minutes must not stand before another, and a connection lost must not take others with it
    pipelining: keepAlive ? 1 : 0,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectTimeout: connectTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
  }
  // an agent that is told `allowH2: false` puts another key together for every request; its pools are told instead
  if (!isProxied()) return new Agent(options)
  // without HTTPS_PROXY it sends https through HTTP_PROXY
  const [httpProxy, httpsProxy] = [proxyOf('http_proxy'), proxyOf('https_proxy')]
  return new EnvHttpProxyAgent({
    ...{ ...options, allowH2: false, clientFactory: createPool, noProxy: directHosts() },
    ...(httpProxy === undefined ? undefined : { httpProxy }),
    ...(httpsProxy === undefined ? undefined : { httpsProxy }),
  })
}

function createPool(origin: string | URL, options: object): Pool {
  return new Pool(origin, {
    ...options,
    allowH2: false,
    factory(url, inner) {
      if (!hasConnector(inner))
        throw new TypeError('undici made a connection without a connector: this version of it is not known.')
      return singleConnection(url, inner)
    },
  })
}

/** A pool gives its connector to each of its connections, whatever it was made from. */
function hasConnector(options: object): options is SingleConnectionOptions {
  return 'connect' in options && typeof options.connect === 'function'
}

/** The proxy of the environment: without a scheme it speaks http, as curl has it (F85). Its value is not shown: it may hold a password. */
function proxyOf(name: 'http_proxy' | 'https_proxy'): string | undefined {
  const variable = process.env[name] === undefined ? name.toUpperCase() : name
  const value = (process.env[variable] ?? '').trim()
  if (value === '') return undefined
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  if (url !== null && /^(?:https?|socks5?):$/.test(url.protocol)) return url.href
  throw new TypeError(`${variable} is not the address of a proxy. Write one like http://proxy.internal:3128, or unset it.`)
}

/** Throws a `TypeError` that names the variable of the environment that holds no proxy's address. */
function checkProxies(): void {
  proxyOf('http_proxy')
  proxyOf('https_proxy')
}

function isProxied(): boolean {
  return proxyOf('http_proxy') !== undefined || proxyOf('https_proxy') !== undefined
}

/** With a proxy set, only this machine is surely reached without it. */
function isDirect(host: string): boolean {
  return !isProxied() || thisMachine.includes(host)
}

const thisMachine = ['localhost', '127.0.0.1', '::1']

/** A model on this machine is never behind a proxy: to the proxy, 127.0.0.1 is the proxy. Go's standard library decides the same. */
function directHosts(): string {
  const asked = process.env['no_proxy'] ?? process.env['NO_PROXY'] ?? ''
  return [asked, ...thisMachine].join(',')
}
