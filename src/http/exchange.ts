import type { Dispatcher } from './undici.ts'
import type { ResponseHeaders } from '../contract.ts'
import { type Body, type Encoding, encodingOf, mayBeMark, readEnd, readPiece, unzip, type Unzip } from './body.ts'
import { maxBodyBytes } from './limits.ts'
import { type Loss, type TransportError, transportFailure } from './transport-failure.ts'
import type { Exchange, ExchangeEnd, ExchangeOptions, RoutedRequest } from './exchange-types.ts'

export type { Asker, Exchange, ExchangeEnd } from './exchange-types.ts'

/** Sends one request and hands its answer on by plain function calls: no promise, no stream and no generator for a chunk. */
export function startExchange({ dispatcher, request, asker, onEnd }: ExchangeOptions): Exchange {
  const exchange: Exchange = {
    asker,
    origin: request.origin,
    onEnd,
    route: { reused: undefined, lost: undefined },
    phase: 'connecting',
    status: 0,
    answered: false,
    sentAt: 0,
    over: false,
    waiting: false,
    controller: undefined,
    body: undefined,
    headers: undefined,
    unzip: undefined,
    first: undefined,
    unread: undefined,
    inTurn: 0,
    isRead: false,
    quiet: 0,
    timer: undefined,
  }
  const routed: RoutedRequest = { ...request, signal: asker.attempt.signal, route: exchange.route }
  guarded(exchange, () => dispatcher.dispatch(routed, handlerOf(exchange)))
  return exchange
}

/** Ends the exchange in any state and closes its connection, even one that is still opening. Returns false if it was over already. */
export function closeExchange(exchange: Exchange): boolean {
  const isFirst = end(exchange)
  // Without a controller there is no connection yet: `onRequestStart` aborts a later one, and the signal ends one that is opening.
  if (isFirst) exchange.controller?.abort(abandoned)
  return isFirst
}

/** Ends the exchange as if its connection had been lost. */
export function giveUpExchange(exchange: Exchange, error: TransportError): void {
  if (exchange.over) return
  const ending = brokenOff(exchange, error)
  if (closeExchange(exchange)) exchange.onEnd(ending)
}

/** undici calls these, in this order, and does not expect them to throw. */
function handlerOf(exchange: Exchange): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      exchange.controller = controller
      exchange.phase = 'waiting'
      exchange.sentAt = performance.now()
      if (exchange.over) controller.abort(abandoned)
      else guarded(exchange, () => exchange.asker.attempt.emit({ type: 'sent' }))
    },
    onResponseStarted() {
      exchange.quiet = 0
      exchange.answered = true
    },
    onResponseStart(_, status, headers) {
      // Informational responses (such as 103) precede the answer.
      if (status >= 200) guarded(exchange, () => openBody(exchange, status, headers))
    },
    onResponseData(_, chunk) {
      if (exchange.over) return
      exchange.quiet = 0
      keep(exchange, chunk)
    },
    onResponseEnd() {
      clearTimeout(exchange.timer)
      readKept(exchange)
      guarded(exchange, () => ended(exchange))
    },
    onResponseError(_, error) {
      clearTimeout(exchange.timer)
      readKept(exchange)
      if (!end(exchange)) return
      if (exchange.phase === 'reading') exchange.onEnd(brokenOff(exchange, error))
      else exchange.onEnd({ type: 'lost', loss: lossOf(exchange, exchange.phase, error) })
    },
  }
}

function openBody(exchange: Exchange, status: number, headers: ResponseHeaders): void {
  const { attempt, respond, requestIdOf, maxBodyBytes: maxBytes = maxBodyBytes } = exchange.asker
  exchange.phase = 'reading'
  exchange.status = status
  attempt.emit({ type: 'headers', status, headers, requestId: requestIdOf?.(headers) })
  // A listener may have ended the attempt.
  if (exchange.over) return
  const body: Body = { reader: respond(status, headers), maxBytes, bytes: 0, carried: undefined }
  exchange.body = body
  exchange.headers = headers
}

/** The first bytes decide how the body is decoded. */
function openUnzip(exchange: Exchange, body: Body, first: Buffer): void {
  const encoding = encodingOf(exchange.headers ?? {}, first)
  exchange.headers = undefined
  if (encoding !== 'identity') exchange.unzip = unzipInto(exchange, body, encoding)
}

function unzipInto(exchange: Exchange, body: Body, encoding: Exclude<Encoding, 'identity'>): Unzip {
  const unzipping = unzip({
    encoding,
    onData: bytes => flows(exchange, read(exchange, body, bytes), () => unzipping.resume()),
    onEnd: () => finish(exchange, body),
    onRoom: () => resume(exchange),
    onError: error => unreadable(exchange, error),
  })
  return unzipping
}

/**
 * Each event of a stream is an HTTP chunk of its own, and one read of the socket brings many chunks. They are processed together at the
 * end of the turn, because processing each chunk separately takes half as long again.
 */
function keep(exchange: Exchange, chunk: Buffer): void {
  const { unread } = exchange
  if (unread === undefined) {
    exchange.unread = chunk
    process.nextTick(readTurn, exchange)
  } else if (Array.isArray(unread)) unread.push(chunk)
  else exchange.unread = [unread, chunk]
}

/** The most bytes of one answer that are processed per turn. A socket delivers up to 2 MiB in one turn, which would block the process. */
const mostInTurn = 64 * 1024

function readTurn(exchange: Exchange): void {
  readKept(exchange)
  if (exchange.inTurn < mostInTurn) return
  exchange.inTurn = 0
  if (exchange.over || exchange.isRead || exchange.waiting) return
  exchange.controller?.pause()
  setImmediate(nextTurn, exchange)
}

function nextTurn({ over, waiting, controller }: Exchange): void {
  if (!over && !waiting) controller?.resume()
}

function readKept(exchange: Exchange): void {
  const { unread } = exchange
  exchange.unread = undefined
  if (unread === undefined || exchange.over) return
  try {
    const chunk = Array.isArray(unread) ? Buffer.concat(unread) : unread
    exchange.inTurn += chunk.length
    const isFlowing = take(exchange, chunk)
    if (!isFlowing && !exchange.isRead) exchange.controller?.pause()
  } catch (error) {
    fail(exchange, error)
  }
}

/** Returns `false` when no more bytes should arrive until `resume` is called. */
function take(exchange: Exchange, chunk: Buffer): boolean {
  const { body, headers } = exchange
  if (body === undefined) return true
  if (headers === undefined) return takeMore(exchange, body, chunk)
  const first = exchange.first === undefined ? chunk : Buffer.concat([exchange.first, chunk])
  exchange.first = mayBeMark(first) ? first : undefined
  return exchange.first !== undefined || begin(exchange, body, first)
}

function begin(exchange: Exchange, body: Body, first: Buffer): boolean {
  openUnzip(exchange, body, first)
  return takeMore(exchange, body, first)
}

function takeMore(exchange: Exchange, body: Body, chunk: Buffer): boolean {
  const { unzip: unzipping } = exchange
  return unzipping === undefined ? flows(exchange, read(exchange, body, chunk), resume) : unzipping.write(chunk)
}

function read(exchange: Exchange, body: Body, bytes: Buffer): boolean {
  const isReady = readPiece(body, bytes)
  if (!exchange.isRead && body.reader.isOver?.() === true) awaitEnd(exchange)
  return isReady
}

/** How long a complete answer waits for the end of its body, so that the connection can be reused. The end usually follows at once. */
const endWithinMs = 20

/** After this time without the end of the body the connection is closed. The caller has its answer already and does not wait. */
const drainMs = 1_000

/** The answer is complete. A server that keeps the body open does not delay it (F3). */
function awaitEnd(exchange: Exchange): void {
  exchange.isRead = true
  queueMicrotask(() => {
    // One more turn: a busy process may not have read yet what has arrived.
    if (!exchange.over) exchange.timer = setTimeout(() => setImmediate(leave, exchange), endWithinMs)
  })
}

function leave(exchange: Exchange): void {
  if (!end(exchange)) return
  exchange.timer = setTimeout(() => exchange.controller?.abort(abandoned), drainMs)
  // The caller has its answer, so this timer must not keep the process alive.
  exchange.timer.unref()
  exchange.controller?.resume()
  exchange.onEnd({ type: 'done' })
}

/** A reader that is behind calls back once. Until then nothing flows, even if a later write reports that the reader has caught up. */
function flows(exchange: Exchange, isReady: boolean, goOn: (exchange: Exchange) => void): boolean {
  if (isReady || exchange.waiting) return !exchange.waiting
  exchange.waiting = true
  exchange.asker.attempt.onDrain(() => {
    exchange.waiting = false
    goOn(exchange)
  })
  return false
}

/** In a microtask: all connections share undici's parser, which may be parsing another answer when the reader catches up. */
function resume(exchange: Exchange): void {
  queueMicrotask(() => {
    if (!exchange.over) exchange.controller?.resume()
  })
}

function ended(exchange: Exchange): void {
  const { route, body, first } = exchange
  if (first !== undefined && body !== undefined) begin(exchange, body, first)
  const { unzip: unzipping } = exchange
  if (route.lost !== undefined) giveUpExchange(exchange, route.lost)
  else if (unzipping !== undefined) unzipping.end()
  else if (body !== undefined) finish(exchange, body)
}

function finish(exchange: Exchange, body: Body): void {
  readEnd(body)
  if (end(exchange)) exchange.onEnd({ type: 'done' })
}

/** A truncated error response still counts as that error: its status and its headers say what to do. */
function brokenOff(exchange: Exchange, error: TransportError): ExchangeEnd {
  const { status, phase, body, origin } = exchange
  try {
    if (status >= 300) body?.reader.end()
    else if (body?.reader.lost?.() === true) return { type: 'done' }
  } catch (refusal) {
    return { type: 'failed', error: refusal }
  }
  return { type: 'failed', error: transportFailure(error, { phase, origin, status }) }
}

/** The compressed body is truncated or corrupt; what was decompressed before may still be a complete answer. */
function unreadable(exchange: Exchange, error: unknown): void {
  if (exchange.over) return
  try {
    if (exchange.body?.reader.lost?.() !== true) return fail(exchange, error)
  } catch (refusal) {
    return fail(exchange, refusal)
  }
  if (closeExchange(exchange)) exchange.onEnd({ type: 'done' })
}

function lossOf({ route, answered, sentAt }: Exchange, phase: Loss['phase'], error: TransportError): Loss {
  // A user's own dispatcher fills in no route; then undici's errors tell how many bytes the connection had read before.
  const reused = route.reused ?? (error.socket?.bytesRead ?? 0) > 0
  return { error, phase, reused, answered, proxy: route.proxy, afterMs: performance.now() - sentAt }
}

function guarded(exchange: Exchange, action: () => unknown): void {
  if (exchange.over) return
  try {
    action()
  } catch (error) {
    fail(exchange, error)
  }
}

function fail(exchange: Exchange, error: unknown): void {
  if (closeExchange(exchange)) exchange.onEnd({ type: 'failed', error })
}

/** Returns false if the exchange was over already. */
function end(exchange: Exchange): boolean {
  if (exchange.over) return false
  exchange.over = true
  clearTimeout(exchange.timer)
  exchange.unzip?.close()
  return true
}

/** Only undici sees this error. One instance serves all aborts, because a stack trace would cost more than the abort. */
const abandoned = new Error('The request was abandoned.')
