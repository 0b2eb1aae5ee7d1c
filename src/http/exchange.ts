import type { Dispatcher } from './undici.ts'
import type { ResponseHeaders } from '../contract.ts'
import { readEnd, readPiece } from './body.ts'
import type { Body } from './body.ts'
import { encodingOf, mayBeMark, unzip } from './decompress.ts'
import type { Encoding, Unzip } from './decompress.ts'
import { maxBodyBytes } from './limits.ts'
import type { RoutedRequest } from './single-connection.ts'
import { transportFailure } from './transport-failure.ts'
import type { Loss, TransportError } from './transport-failure.ts'
import type { Exchange, ExchangeEnd, ExchangeOptions } from './exchange-types.ts'

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
    isRead: false,
    quiet: 0,
    timer: undefined,
  }
  const routed: RoutedRequest = { ...request, signal: asker.attempt.signal, route: exchange.route }
  guarded(exchange, () => dispatcher.dispatch(routed, handlerOf(exchange)))
  return exchange
}

/** Ends it at once, in any state: its connection is closed, also one that is still being opened. Answers whether it was not over. */
export function closeExchange(exchange: Exchange): boolean {
  const isFirst = end(exchange)
  // without a controller it is not on a connection yet: `onRequestStart` closes that, and the signal the attempt to open it
  if (isFirst) exchange.controller?.abort(abandoned)
  return isFirst
}

/** What comes of it no more is lost. */
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
      // 103 and its like come before the answer
      if (status >= 200) guarded(exchange, () => openBody(exchange, status, headers))
    },
    onResponseData(controller, chunk) {
      if (exchange.over) return
      exchange.quiet = 0
      try {
        const isFlowing = take(exchange, chunk)
        if (!isFlowing && !exchange.isRead) controller.pause()
      } catch (error) {
        fail(exchange, error)
      }
    },
    onResponseEnd() {
      clearTimeout(exchange.timer)
      guarded(exchange, () => ended(exchange))
    },
    onResponseError(_, error) {
      clearTimeout(exchange.timer)
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
  // who listens may have ended the attempt
  if (exchange.over) return
  const body: Body = { reader: respond(status, headers), maxBytes, bytes: 0, carried: undefined }
  exchange.body = body
  exchange.headers = headers
}

/** What came first tells how the rest is read. */
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

/** Answers `false` when no more bytes should come until `resume`. */
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

/** The end of a body mostly comes with what came before it, or right behind. So long it is waited for, to use the connection again. */
const endWithinMs = 20

/** How long the end of a body may take before the connection is closed. Nobody waits for it. */
const drainMs = 1_000

/** The answer is whole. A server that keeps the body open does not hold it up (F3). */
function awaitEnd(exchange: Exchange): void {
  exchange.isRead = true
  queueMicrotask(() => {
    // and a turn more, for what a busy process has not read yet
    if (!exchange.over) exchange.timer = setTimeout(() => setImmediate(leave, exchange), endWithinMs)
  })
}

function leave(exchange: Exchange): void {
  if (!end(exchange)) return
  exchange.timer = setTimeout(() => exchange.controller?.abort(abandoned), drainMs)
  // who has its answer may end its process
  exchange.timer.unref()
  exchange.controller?.resume()
  exchange.onEnd({ type: 'done' })
}

/** Who is behind calls back, once; until then nothing flows, also when it says that it is not behind any more. */
function flows(exchange: Exchange, isReady: boolean, goOn: (exchange: Exchange) => void): boolean {
  if (isReady || exchange.waiting) return !exchange.waiting
  exchange.waiting = true
  exchange.asker.attempt.onDrain(() => {
    exchange.waiting = false
    goOn(exchange)
  })
  return false
}

/** In a microtask: undici's parser is one for all connections, and may be at work on another answer when the reader catches up. */
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

/** A refusal is a refusal, even when only a part of its text came: its status and its headers say what to do. */
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

/** What is compressed breaks off, or is damaged, behind what was read of it. */
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
  // a dispatcher of the user's fills in no route; undici's own errors then tell what the connection had read before
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

/** Answers whether it was not over already. */
function end(exchange: Exchange): boolean {
  if (exchange.over) return false
  exchange.over = true
  clearTimeout(exchange.timer)
  exchange.unzip?.close()
  return true
}

/** For undici, where nobody hears of it. One for all: a stack trace would cost more than the abort. */
const abandoned = new Error('The request was abandoned.')
