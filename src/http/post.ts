import { destinationOf, wireHeaders } from './check-request.ts'
import type { Connections } from './connections.ts'
import { closeExchange, startExchange } from './exchange.ts'
import type { Asker, Exchange, ExchangeEnd } from './exchange.ts'
import { isRefusedByUndici, isOutOfHandles, mayConnectAgain, transportFailure } from './transport-failure.ts'
import type { Loss } from './transport-failure.ts'

export type { BodyReader } from './body.ts'

export type PostRequest = Asker & {
  /** Absolute, http or https. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent as UTF-8. A GET has none. */
  readonly body: string
  /** @default 'POST' */
  readonly method?: 'POST' | 'GET' | undefined
  readonly connections: Connections
}

/**
 * Sends one request and gives the body to a reader as it arrives. Resolves after the reader's `end`.
 *
 * Rejects with what the reader throws; with a `ProviderError` of reason `network` (no connection, or lost before the headers),
 * `truncated` (lost after them) or `malformed-response` (not HTTP, too large); with a `TypeError` for a URL or header that cannot be
 * sent; and at once with the signal's reason when that fires, in whatever state the request is. No time limit of undici's applies.
 *
 * A request that nothing can have come of is sent again unnoticed: see {@link mayResend}.
 */
export function post(request: PostRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const { signal } = request.attempt
    signal.throwIfAborted()
    const state: State = {
      request,
      resolve,
      reject,
      abort: () => abort(state),
      resends: 0,
      waits: 0,
      settled: false,
      exchange: undefined,
      timer: undefined,
    }
    signal.addEventListener('abort', state.abort, { once: true })
    send(state)
  })
}

/** Functions over one object: a thousand slow streams hold a thousand of it, and each closure would be 64 bytes more. */
type State = {
  readonly request: PostRequest
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly abort: () => void
  resends: number
  waits: number
  timer: NodeJS.Timeout | undefined
  settled: boolean
  exchange: Exchange | undefined
}

function send(state: State): void {
  const { request, resends } = state
  const { attempt, connections } = request
  if (state.settled) return
  try {
    const outgoing = outgoingOf(request)
    if (state.waits === 0) attempt.emit({ type: 'connecting' })
    // who listens may have ended the attempt
    if (attempt.signal.aborted) return
    state.exchange = startExchange({
      dispatcher: connections.dispatcher(resends === 0 ? 'pooled' : 'fresh'),
      request: outgoing,
      asker: request,
      onEnd: end => ended(state, end),
    })
    if (attempt.signal.aborted) closeExchange(state.exchange)
    else connections.silence?.add(state.exchange)
  } catch (error) {
    fail(state, error)
  }
}

/** Who is out of file handles waits for others to be closed: two seconds in all, within the connect clock. Then the chain goes on. */
const waitMs = 100
const mostWaits = 20

function ended(state: State, end: ExchangeEnd): void {
  if (end.type === 'failed') fail(state, end.error)
  else if (end.type === 'lost') lost(state, end.loss)
  else if (settle(state)) state.resolve()
}

function lost(state: State, loss: Loss): void {
  if (state.settled) return
  if (isOutOfHandles(loss.error) && loss.phase === 'connecting' && state.waits < mostWaits) {
    state.waits += 1
    state.timer = setTimeout(send, waitMs, state)
    return
  }
  if (!mayResend(loss, state.resends)) return fail(state, finalError(loss, destinationOf(state.request.url).origin))
  state.resends += 1
  // a turn later, when undici has dealt with every other connection that died together with this one
  setImmediate(send, state)
}

function abort(state: State): void {
  if (state.exchange !== undefined) closeExchange(state.exchange)
  fail(state, state.request.attempt.signal.reason)
}

function fail(state: State, error: unknown): void {
  if (settle(state)) state.reject(error)
}

/** Answers whether it was not settled already. */
function settle(state: State): boolean {
  if (state.settled) return false
  state.settled = true
  if (state.timer !== undefined) clearTimeout(state.timer)
  if (state.exchange !== undefined) state.request.connections.silence?.remove(state.exchange)
  state.request.attempt.signal.removeEventListener('abort', state.abort)
  return true
}

function outgoingOf({ url, headers, body, method = 'POST' }: PostRequest) {
  return {
    ...destinationOf(url),
    method,
    headers: wireHeaders(headers),
    body: method === 'GET' ? null : body,
    // the attempt's clocks end a request; undici's 300 s ended local models in the middle of their prefill (R89)
    headersTimeout: 0,
    bodyTimeout: 0,
  }
}

/** After one resend a request is not on a used connection again; of a user's dispatcher the next may be dead as well. */
const maxResends = 3

/**
 * A server that has closed the connection says so as soon as it sees the request: within a round trip. What is lost later was
 * lost by a server that was at work.
 */
const idleDeathMs = 2_000

/**
 * Sent again is a request that met a connection which others used before it and which was dead already: the server closed it idle,
 * as llama-server does after 5 s and others after 1. It is not sent again where the server may be at work on it, and bill it (R130):
 * on a fresh connection, after a first byte, after a while. A connection that never came about is tried once more, unless the answer
 * would be the same.
 */
function mayResend(loss: Loss, resends: number): boolean {
  if (loss.phase === 'connecting') return resends === 0 && mayConnectAgain(loss.error)
  return loss.reused && !loss.answered && loss.afterMs < idleDeathMs && resends < maxResends
}

function finalError({ error, phase, proxy }: Loss, origin: string): Error {
  if (phase === 'connecting' && isRefusedByUndici(error)) {
    return new TypeError(`The request to ${origin} cannot be sent: ${error.message}.`, { cause: error })
  }
  return transportFailure(error, { phase, origin, proxy })
}
