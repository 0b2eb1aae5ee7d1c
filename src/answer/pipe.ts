import { isRecord, kindOf } from '../check.ts'
import { type BodySettings, comment, nextPiece, type Piece, type WebSource } from './web-body.ts'

/** A response of `node:http`, or the compatible one of `node:http2`: Express's `res`, Fastify's `reply.raw`. */
export type NodeResponse = {
  statusCode: number
  readonly headersSent: boolean
  readonly writableEnded: boolean
  readonly destroyed: boolean
  /** Sets a header. */
  setHeader(name: string, value: string | readonly string[]): unknown
  /** Sends a piece of the body. Returns `false` when the caller must wait for `drain`. */
  write(text: string): boolean
  /** Ends the response. */
  end(): unknown
  /** Closes the connection. */
  destroy(): unknown
  /** Adds a listener. */
  on(event: 'close' | 'drain' | 'error' | 'finish', listener: () => void): unknown
  /** Removes a listener. */
  off(event: 'close' | 'drain' | 'error' | 'finish', listener: () => void): unknown
}

type Outflow = {
  readonly response: NodeResponse
  /** The client has disconnected, or other code has ended the response. */
  isGone: boolean
  isFull: boolean
  isFinished: boolean
  sentAt: number
  wake: (() => void) | undefined
}

/** Sends the answer; resolves when the response has ended, also if the client disconnected before. */
export async function pipe(source: WebSource, response: NodeResponse, settings: BodySettings): Promise<void> {
  const out: Outflow = {
    ...{ response, isGone: isOver(response), isFull: false, isFinished: false },
    ...{ sentAt: source.clock.now(), wake: undefined },
  }
  const stop = listen(out, source)
  const silence = watchSilence(out, source, settings.keepAliveMs)
  let isLast = false
  try {
    if (!out.isGone) sendHead(response, settings.headers)
    while (!isLast && !out.isGone) {
      const piece = await nextPiece(source, settings.isText)
      isLast = piece.isLast
      if (!hasLeft(out)) await send(out, source, piece)
    }
  } finally {
    // also when the response, or what an application has put over it, throws: nobody reads the answer any more
    if (!isLast) source.leave()
    silence()
    stop()
  }
}

/** A function, because TypeScript would assume that `isGone` has not changed since it was last read. */
const hasLeft = ({ isGone }: Outflow): boolean => isGone

/** @throws {TypeError} The value is not a response of node:http. */
export function checkResponse(response: unknown): asserts response is NodeResponse {
  if (isRecord(response) && typeof response['setHeader'] === 'function' && typeof response['write'] === 'function') return
  const instead = 'For a Response of the Fetch API, return stream.toResponse(); in Fastify, pass reply.raw.'
  throw new TypeError(`stream.pipe: the argument must be the response of node:http, not ${kindOf(response)}. ${instead}`)
}

function isOver({ writableEnded, destroyed }: NodeResponse): boolean {
  return writableEnded || destroyed
}

/** Ends the request to the provider when the client disconnects. Returns a function that stops listening. */
function listen(out: Outflow, { leave }: WebSource): () => void {
  const { response } = out
  const onClose = () => {
    out.isGone = true
    leave()
    out.wake?.()
  }
  const onDrain = () => {
    out.isFull = false
    out.wake?.()
  }
  const onFinish = () => {
    out.isFinished = true
    out.wake?.()
  }
  response.on('close', onClose)
  response.on('drain', onDrain)
  response.on('finish', onFinish)
  // this listener is never removed: without it, an error after the end would terminate the process
  response.on('error', onClose)
  return () => {
    response.off('close', onClose)
    response.off('drain', onDrain)
    response.off('finish', onFinish)
  }
}

function sendHead(response: NodeResponse, headers: Headers): void {
  if (response.headersSent) return
  response.statusCode = 200
  for (const name of new Set(headers.keys())) {
    response.setHeader(name, name === 'set-cookie' ? headers.getSetCookie() : (headers.get(name) ?? ''))
  }
}

async function send(out: Outflow, { clock }: WebSource, { text, isLast, error }: Piece): Promise<void> {
  const { response } = out
  out.sentAt = clock.now()
  if (text !== '' && !response.write(text)) out.isFull = true
  while (!out.isGone && out.isFull) await woken(out)
  if (!isLast || hasLeft(out)) return
  if (error === undefined) response.end()
  else clock.setTimeout(() => response.destroy(), 0) // not at once: node:http sends what was just written only at the end of this turn
  while (!out.isGone && !out.isFinished) await woken(out)
}

function woken(out: Outflow): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  out.wake = resolve
  return promise
}

/** Sends a comment after every `afterMs` without an event. Returns a function that stops the timer. */
function watchSilence(out: Outflow, source: WebSource, afterMs: number): () => void {
  const { clock } = source
  if (afterMs === Infinity || out.isGone) return () => {}
  const look = () => {
    if (clock.now() - out.sentAt >= afterMs && !out.isFull && !isOver(out.response)) {
      out.sentAt = clock.now()
      out.isFull = !out.response.write(comment)
    }
    timer = clock.setTimeout(look, Math.max(1, out.sentAt + afterMs - clock.now()))
  }
  let timer = clock.setTimeout(look, afterMs)
  return () => clock.clearTimeout(timer)
}
