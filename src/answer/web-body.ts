import { type Check, checkOptions, isRecord, kindOf, milliseconds, oneOf } from '../check.ts'
import type { Clock } from '../contract.ts'
import { UnbusyError } from '../errors.ts'
import type { StreamEvent } from './stream-event.ts'
import { type EventQueue, nextEvent, takeEvents } from './event-queue.ts'

/** Options of `stream.toResponse()` and `stream.pipe()`. */
export type ResponseOptions = {
  /**
   * `sse`: server-sent events, one for each event of the stream, as JSON. `text`: the text alone; if the answer breaks off or restarts,
   * the body breaks off too. @default 'sse'
   */
  readonly format?: 'sse' | 'text' | undefined
  /** Headers of the response. They override ours (`content-type`, `cache-control`, `x-accel-buffering`). @default none */
  readonly headers?: Readonly<Record<string, string>> | Headers | undefined
  /**
   * An empty comment is sent after this many milliseconds without an event, because some proxies close idle connections. Only with
   * `sse`; above 0. @default Infinity, no comments
   */
  readonly keepAliveMs?: number | undefined
}

/** A stream as `toResponse()` and `pipe()` see it. */
export type WebSource = {
  readonly queue: EventQueue<StreamEvent>
  readonly clock: Clock
  /** Aborts the request to the provider because the reader left before the end. */
  leave(): void
  /** The call was ended by its `signal`, or by `close()` of the client. */
  isAborted(): boolean
}

/** A piece of the body. `error`: the answer broke off, so the body must break off after `text`. */
export type Piece = { readonly text: string; readonly isLast: boolean; readonly error?: unknown }

export type BodySettings = { readonly isText: boolean; readonly headers: Headers; readonly keepAliveMs: number }

/** A comment line, which every reader of server-sent events ignores. */
export const comment = ':\n\n'

/** @throws {TypeError} An option is invalid. */
export function bodySettings(options: ResponseOptions, name: string): BodySettings {
  checkOptions(options, { format: oneOf('sse', 'text'), headers: isHeaders, keepAliveMs: aboveZero }, name)
  const { format = 'sse', headers = {}, keepAliveMs = Infinity } = options
  const isText = format === 'text'
  const all = new Headers({
    'content-type': isText ? 'text/plain; charset=utf-8' : 'text/event-stream; charset=utf-8',
    // without `no-transform`, compressing middleware would buffer the whole answer
    'cache-control': 'no-cache, no-transform',
    // nginx would buffer it too
    'x-accel-buffering': 'no',
    // without it, browsers hold plain text back to detect its type
    ...(isText ? { 'x-content-type-options': 'nosniff' } : undefined),
  })
  const own = headersOf(headers, name)
  for (const header of own.keys()) all.delete(header)
  for (const [header, value] of own) all.append(header, value)
  return { isText, headers: all, keepAliveMs: isText ? Infinity : keepAliveMs }
}

const isHeaders: Check = (value, name) => {
  if (!isRecord(value))
    throw new TypeError(`${name} must be an object like { 'x-name': 'value' }, or Headers, not ${kindOf(value)}.`)
}

const aboveZero: Check = (value, name) => {
  milliseconds(value, name)
  if (value === 0) throw new TypeError(`${name} must be above 0. Leave it out to send no comments.`)
}

function headersOf(headers: NonNullable<ResponseOptions['headers']>, name: string): Headers {
  try {
    return new Headers(headers)
  } catch {
    // no cause: it would quote the value
    throw new TypeError(`${name}: headers contains a name or a value that HTTP does not allow. Write { 'x-name': 'value' }.`)
  }
}

/** Resolves with the next piece of the body as soon as there is one. Never rejects. */
export async function nextPiece({ queue, isAborted, leave }: WebSource, isText: boolean): Promise<Piece> {
  try {
    for (;;) {
      const { value, done } = await nextEvent(queue)
      if (done === true) return { text: '', isLast: true }
      const events = [value, ...takeEvents(queue)]
      const text = isText ? textOf(events) : events.map(toServerSentEvent).join('')
      if (text !== '') return { text, isLast: false }
    }
  } catch (error) {
    const message = broke(error, isAborted())
    leave()
    return isText ? { text: '', isLast: true, error } : { text: `data: ${message}\n\n`, isLast: true }
  }
}

/** Of several waiting `partial-output` events only the last one is sent: it contains the others. */
function toServerSentEvent(event: StreamEvent, index: number, events: readonly StreamEvent[]): string {
  const isOld = event.type === 'partial-output' && events.slice(index + 1).some(({ type }) => type === 'partial-output')
  return isOld ? '' : `data: ${JSON.stringify(event)}\n\n`
}

function textOf(events: readonly StreamEvent[]): string {
  let text = ''
  for (const event of events) {
    if (event.type === 'text-delta') text += event.text
    if (event.type === 'restart' && event.lost !== 'reasoning' && event.discardedCharacters > 0)
      throw new UnbusyError("The answer began again, and plain text cannot take back what was sent. Use the format 'sse'.")
  }
  return text
}

/** The event goes to strangers: it contains no server's words, and no message of ours that names a server. */
function broke(error: unknown, isAborted: boolean): string {
  // a StreamInterruptedError has the failure that broke its text off; without one, its cause says why the chain gave up
  const { failure, cause } = UnbusyError.isInstance(error) ? (error as Interrupted) : {}
  const reason = isAborted ? 'aborted' : (failure?.reason ?? cause?.reason ?? 'internal')
  return JSON.stringify({ type: 'error', reason })
}

type Interrupted = { readonly failure?: { readonly reason: string }; readonly cause?: { readonly reason?: string } }
