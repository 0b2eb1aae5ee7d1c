import { Socket } from 'node:net'
import { Agent, Client, EnvHttpProxyAgent, Pool } from './undici.ts'
import type { buildConnector, Dispatcher } from './undici.ts'
import type { Route, RoutedRequest } from './exchange-types.ts'
import { createSilenceWatch } from './silence-watch.ts'
import type { SilenceWatch } from './silence-watch.ts'

/** The connections of one client: a pool for every origin, opened when the first request needs it. */
export type Connections = {
  /** Returns the dispatcher for a request. `fresh`: the request gets a new connection, never a used one. */
  dispatcher(kind: 'pooled' | 'fresh'): Dispatcher
  /** Throws a `TypeError` when the environment names a proxy by an invalid address. */
  check(): void
  /** Watches silent requests; undefined for a server that drains, and with a user's own dispatcher, because only that one knows the route. */
  readonly silence?: SilenceWatch | undefined
  /**
   * Closes idle connections without waiting for requests in flight: they finish, and then their connections close. The next request
   * opens new connections.
   */
  close(): Promise<void>
}

export type ConnectionsOptions = {
  /**
   * An undici dispatcher of your own, for example an `Agent` with certificates. The client never closes it, and it ignores HTTPS_PROXY,
   * HTTP_PROXY and NO_PROXY unless it is an `EnvHttpProxyAgent`.
   */
  readonly dispatcher?: Dispatcher | undefined
  /** Path of a page that a working server answers at once, even while it computes. It tells a stopped server from a busy one. */
  readonly page?: string | undefined
  /** The server stops listening first and then finishes its requests, as uvicorn does: that nobody listens says nothing of them. */
  readonly drains?: boolean | undefined
}

/** Opens no socket, sets no timer and does not read the environment before the first request. */
export function createConnections(options: ConnectionsOptions = {}): Connections {
  const { dispatcher, page, drains = false } = options
  if (dispatcher !== undefined) return { dispatcher: () => dispatcher, check: () => {}, close: async () => {} }

  const open = new Map<'pooled' | 'fresh', Dispatcher>()
  return {
    check: checkProxies,
    silence: drains ? undefined : createSilenceWatch(isDirect, page),
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
      // undici closes idle connections in microtasks. Its own promises would also wait for every request in flight.
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

/**
 * How long an idle connection is kept if the server names no time (if it does: that time minus 2 s). A new connection to a distant
 * service costs two to three round trips, which is longer than many first tokens take. Load balancers keep connections for 60 s and
 * more. When a server closes sooner, undici notices, or the request is resent.
 */
const keepAliveTimeoutMs = 30_000

/** The attempt's connect clock ends a connection attempt. This timeout only ends one that a misbehaving proxy would hold forever. */
const connectTimeoutMs = 600_000

/** Node's own limit is 16 KiB, but gateways send policies and traces that are longer (F46). No server needs more than this. */
const maxHeaderBytes = 64 * 1024

function createAgent({ keepAlive }: { readonly keepAlive: boolean }): Dispatcher {
  const options = {
    factory: createPool,
    // One request at a time: no request may queue behind an answer that lasts minutes, and a lost connection must fail only one request.
    pipelining: keepAlive ? 1 : 0,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectTimeout: connectTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
  }
  // `allowH2: false` goes to the pools: an agent with this option builds an extra key for every request.
  if (!isProxied()) return new Agent(options)
  // Without HTTPS_PROXY, undici sends https requests through HTTP_PROXY.
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
        throw new TypeError('unbusy does not support this version of undici: it made a connection without a connector.')
      return singleConnection(url, inner)
    },
  })
}

/** A pool always passes a connector to its connections. */
function hasConnector(options: object): options is SingleConnectionOptions {
  return 'connect' in options && typeof options.connect === 'function'
}

/** Returns the proxy from the environment; without a scheme it is http, as in curl (F85). Errors hide the value: it may hold a password. */
function proxyOf(name: 'http_proxy' | 'https_proxy'): string | undefined {
  const variable = process.env[name] === undefined ? name.toUpperCase() : name
  const value = (process.env[variable] ?? '').trim()
  if (value === '') return undefined
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  if (url !== null && /^(?:https?|socks5?):$/.test(url.protocol)) return url.href
  throw new TypeError(`${variable} is not the address of a proxy. Write one like http://proxy.internal:3128, or unset it.`)
}

/** Throws a `TypeError` that names the environment variable whose value is not the address of a proxy. */
function checkProxies(): void {
  proxyOf('http_proxy')
  proxyOf('https_proxy')
}

function isProxied(): boolean {
  return proxyOf('http_proxy') !== undefined || proxyOf('https_proxy') !== undefined
}

/** Whether the host is surely reached without a proxy; if a proxy is set, that holds only for this machine. */
function isDirect(host: string): boolean {
  return !isProxied() || thisMachine.includes(host)
}

const thisMachine = ['localhost', '127.0.0.1', '::1']

/** A model on this machine is never behind a proxy: for a proxy, 127.0.0.1 is the proxy itself. Go's standard library does the same. */
function directHosts(): string {
  const asked = process.env['no_proxy'] ?? process.env['NO_PROXY'] ?? ''
  return [asked, ...thisMachine].join(',')
}

// ---- one connection

type SingleConnectionOptions = Client.Options & { readonly connect: buildConnector.connector }

/**
 * undici's client for one connection, with two additions. It ends a connection attempt when the request that needs it is aborted:
 * undici alone would keep connecting until its own timeout, with an open socket for a call that ended long ago. And it tells a
 * request whether its connection is fresh, because only a request that failed on a reused connection may be resent, and whether the
 * connection was lost. undici reports neither.
 *
 * Both rely on one fact: without pipelining a client has one request at a time, so a connection that is opened while a request waits
 * is opened for that request.
 */
function singleConnection(origin: URL, options: SingleConnectionOptions): Client {
  let waiting: (Pick<RoutedRequest, 'signal' | 'route'> & { readonly isTunnel: boolean }) | undefined

  const connect: buildConnector.connector = (target, done) => {
    const { signal, route, isTunnel } = waiting ?? {}
    if (signal !== undefined && route !== undefined) routes.set(signal, route)
    if (signal?.aborted === true) {
      queueMicrotask(() => done(unwanted(), null))
      return
    }
    const giveUp = () => {
      if (attempt instanceof Socket) attempt.destroy(unwanted())
      if (signal !== undefined) tunnels.get(signal)?.destroy(unwanted())
    }
    signal?.addEventListener('abort', giveUp, { once: true })
    // For a tunnel through a proxy, the signal ends the CONNECT request. For a direct connection, `connect` returns the socket.
    const attempt: unknown = options.connect({ ...target, signal } as buildConnector.Options, (...outcome) => {
      signal?.removeEventListener('abort', giveUp)
      if (route !== undefined && outcome[0] === null) {
        route.reused = false
        // The end of the previous, idle connection says nothing about this request.
        route.lost = undefined
      }
      if (signal !== undefined && isTunnel === true && outcome[1] instanceof Socket) tunnels.set(signal, outcome[1])
      outcome[1]?.on('error', (error: Error) => {
        if (waiting?.route !== undefined) waiting.route.lost = error
      })
      done(...outcome)
    })
  }

  const client = new Client(origin, { ...options, connect })
  const dispatch = client.dispatch.bind(client)
  client.dispatch = (request: RoutedRequest, handler) => {
    const { signal, route } = request
    waiting = { signal, route, isTunnel: request.method === 'CONNECT' }
    if (route !== undefined) route.reused = true
    if (request.method === 'CONNECT') noteTunnel(signal, origin, handler)
    // Only requests to a proxy have an absolute URL as their path.
    else if (route !== undefined && request.path.startsWith('http')) route.proxy = origin.origin
    return dispatch(request, handler)
  }
  // An idle connection must not keep its last request in memory.
  client.on('drain', () => {
    waiting = undefined
  })
  return client
}

/**
 * Connections to proxies on which a tunnel is being opened, by the signal of the request that needs the tunnel. A proxy that accepts and
 * then stays silent would hold the handshake, the socket and the process until undici's own timeout (F84).
 */
const tunnels = new WeakMap<AbortSignal, Socket>()

/** Routes by the signal of their request: the CONNECT request of a tunnel knows nothing else of the request that needs the tunnel. */
const routes = new WeakMap<AbortSignal, Route>()

/** Until the tunnel is open, a failure is the proxy's fault; after that, it is the target's. */
function noteTunnel(signal: AbortSignal | undefined, proxy: URL, handler: Dispatcher.DispatchHandler): void {
  const route = signal === undefined ? undefined : routes.get(signal)
  if (route === undefined) return
  route.proxy = proxy.origin
  const upgraded = handler.onRequestUpgrade?.bind(handler)
  handler.onRequestUpgrade = (...answer) => {
    if (answer[1] === 200) route.proxy = undefined
    upgraded?.(...answer)
  }
}

function unwanted(): Error {
  return new Error('No request waits for this connection any longer.')
}
