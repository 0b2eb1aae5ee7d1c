import { Socket } from 'node:net'
import { Client } from './undici.ts'
import type { buildConnector, Dispatcher } from './undici.ts'

/** What becomes known of the way a request takes. */
export type Route = {
  /** Did other requests use the connection before it? Undefined = not known. */
  reused: boolean | undefined
  /** What the connection was lost with. undici takes a reset for the proper end of a body that has no length. */
  lost: Error | undefined
  /** The address of the proxy that the request is with, without its password. What fails then is the proxy's fault (F86). */
  proxy?: string | undefined
}

/** What a request carries for its connection, beside what undici reads of it. Proxies hand it on, as they copy the whole object. */
export type RoutedRequest = Dispatcher.DispatchOptions & {
  /** Fires when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined
  /** Filled in while the request is on its way. */
  readonly route?: Route | undefined
}

export type SingleConnectionOptions = Client.Options & { readonly connect: buildConnector.connector }

/**
 * undici's client of one connection that does two things more. It ends a connection attempt when the request that it was begun for
 * is aborted: undici would go on connecting, to a black hole until its own timeout, with an open socket for a call that is long
 * over. And it tells a request what undici does not: whether its connection is fresh, because only a request that died on a used
 * one may be sent again, and whether the connection was lost.
 *
 * Both rest on one fact: without pipelining a client has one request at a time, so a connection that is opened while a request
 * waits is opened for that request.
 */
export function singleConnection(origin: URL, options: SingleConnectionOptions): Client {
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
    // the signal ends the CONNECT request of a tunnel through a proxy; a direct connection is the socket that is returned
    const attempt: unknown = options.connect({ ...target, signal } as buildConnector.Options, (...outcome) => {
      signal?.removeEventListener('abort', giveUp)
      if (route !== undefined && outcome[0] === null) {
        route.reused = false
        // the end of the idle connection before this one is not this request's
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
    // only a proxy is asked with a whole URL
    else if (route !== undefined && request.path.startsWith('http')) route.proxy = origin.origin
    return dispatch(request, handler)
  }
  // so that an idle connection does not hold on to what its last request was part of
  client.on('drain', () => {
    waiting = undefined
  })
  return client
}

/**
 * The connection to a proxy through which a tunnel is being made, by the signal of the request that it is made for: a proxy that accepts
 * and then says nothing holds the handshake with the target until undici's own timeout, and with it the socket and the process (F84).
 */
const tunnels = new WeakMap<AbortSignal, Socket>()

/** The way of the request that a connection is opened for, by its signal: all that the CONNECT request of its tunnel knows of it. */
const routes = new WeakMap<AbortSignal, Route>()

/** Until a tunnel is open, what fails is the proxy's; behind that, its target's. */
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
  return new Error('Nobody waits for this connection any more.')
}
