import { createParser } from 'eventsource-parser'
import type { EventSourceParser } from 'eventsource-parser'
import { ProviderError } from '../errors.ts'
import { endOfJson, type JsonEnd, startOfJson } from './json-lines.ts'
import { inMebibytes, maxEventLength } from './limits.ts'

/** The handlers for the events of a stream. The owner is a parameter, so that one handlers object serves every stream. */
export type EventHandlers<Owner> = {
  /** Receives the data of one event, its lines joined with LF. `event` is the type; undefined if the server names none. */
  onData(owner: Owner, data: string, event: string | undefined): void
  /** Called for a comment line, which only shows that the connection is alive. */
  onComment(owner: Owner): void
  /** Receives a JSON object that stands in no field, or in a field `error`. The standard says to ignore both. */
  onOther?(owner: Owner, text: string): void
  /** The maximum length of an event, in UTF-16 units. @default 8 Mi */
  readonly maxEventBytes?: number | undefined
}

/** The state of one stream. */
export type EventReader<Owner> = {
  readonly owner: Owner
  readonly handlers: EventHandlers<Owner>
  hasBegun: boolean
  /** Undefined while the stream has consisted of complete, plain events only. */
  parser: EventSourceParser | undefined
  /** How much has arrived since the last event or comment. */
  held: number
  /** Where the next character stands: at the start of a line, behind an object without a field, or inside a line. */
  place: 'start' | 'behind' | 'inside'
  /** A JSON object without a field, as far as it has arrived. */
  bare: { readonly json: JsonEnd; readonly pieces: string[] } | undefined
}

type Place = Pick<EventReader<unknown>, 'place'>

export function eventReader<Owner>(owner: Owner, handlers: EventHandlers<Owner>): EventReader<Owner> {
  return { owner, handlers, hasBegun: false, parser: undefined, held: 0, place: 'start', bare: undefined }
}

const prefix = 'data: '
const lineFeed = 10
const carriageReturn = 13

/**
 * Reads a stream of server-sent events by the WHATWG standard, with two differences: the size of an event is limited, and a last event
 * is read even when no blank line follows it (R42).
 *
 * Nearly every stream consists of `data: ...` and a blank line, and each write of the server arrives as a whole. This code reads such
 * events itself. From the first different event on, eventsource-parser reads the rest; a stream that never needs it saves 1.2 KB.
 */
export function readEvents<Owner>(reader: EventReader<Owner>, text: string): void {
  const rest = reader.parser === undefined ? afterPlainEvents(reader, text) : text
  if (rest === '') return
  if (reader.handlers.onOther !== undefined && (reader.bare !== undefined || mayHoldBare(reader, rest))) readMixed(reader, rest)
  else feed(reader, rest)
}

/** Runs for every read. A regular expression here made each token of a stream 13 % dearer. */
function mayHoldBare({ place }: Place, text: string): boolean {
  if (place !== 'inside' && (text.startsWith('{') || text.startsWith('error'))) return true
  return text.includes('\n{') || text.includes('\nerror') || text.includes('\r{')
}

/** Passes on JSON objects without a field in their place among the events: they may be pieces of the answer. */
function readMixed<Owner>(reader: EventReader<Owner>, text: string): void {
  let at = 0
  while (at < text.length) {
    if (reader.bare === undefined) {
      const start = bareStart(reader, text, at)
      feed(reader, text.slice(at, start))
      if (start === undefined) return
      // the event before it has no blank line
      if (reader.place !== 'behind') feed(reader, '\n\n')
      at = start
    }
    at = readBare(reader, text, at)
  }
}

/** Where a line begins with a JSON object, or where one follows another. */
function bareStart({ place }: Place, text: string, from: number): number | undefined {
  bareHere.lastIndex = from
  if (place !== 'inside' && bareHere.test(text)) return from
  bareLine.lastIndex = from
  const found = bareLine.exec(text)
  return found === null ? undefined : found.index + 1
}

const bareHere = /(?:error: ?)?\{(?=\s*(?:["}]|$))/y
const bareLine = /[\r\n](?:error: ?)?\{(?=\s*(?:["}]|$))/g

/** Returns where the object ends, or the end of the text. */
function readBare<Owner>(reader: EventReader<Owner>, text: string, from: number): number {
  const { json, pieces } = (reader.bare ??= { json: startOfJson(), pieces: [] })
  const end = endOfJson(json, text, from)
  pieces.push(text.slice(from, end))
  grow(reader, (end ?? text.length) - from)
  if (end === undefined) return text.length
  reader.bare = undefined
  reader.held = 0
  reader.place = 'behind'
  reader.handlers.onOther?.(reader.owner, pieces.join(''))
  return end
}

function feed<Owner>(reader: EventReader<Owner>, text: string): void {
  if (text === '') return
  reader.parser ??= parserOf(reader)
  reader.held += text.length
  reader.parser.feed(text)
  const last = text.charCodeAt(text.length - 1)
  reader.place = last === lineFeed || last === carriageReturn ? 'start' : 'inside'
  grow(reader, 0)
}

function grow<Owner>(reader: EventReader<Owner>, length: number): void {
  const { maxEventBytes: limit = maxEventLength } = reader.handlers
  reader.held += length
  if (reader.held > limit) throw tooLong(limit)
}

/** Reads a last line and a last event that have no end. */
export function endEvents<Owner>({ parser }: EventReader<Owner>): void {
  parser?.feed('\n\n')
}

/** Passes on the events with one line of data at the beginning of the text. Returns the text after them. */
function afterPlainEvents<Owner>(reader: EventReader<Owner>, text: string): string {
  const { owner, handlers } = reader
  // A line may also end with CR, so any CR needs the parser.
  if (text.includes('\r')) return text
  let start = 0
  while (text.startsWith(prefix, start)) {
    const end = text.indexOf('\n', start)
    if (end === -1 || text.charCodeAt(end + 1) !== lineFeed) break
    reader.hasBegun = true
    handlers.onData(owner, text.slice(start + prefix.length, end), undefined)
    start = end + 2
  }
  return start === 0 ? text : text.slice(start)
}

/** Without `onError`: the parser would make an error with a stack for each line that is not a field, which takes a second for 64 KiB. */
function parserOf<Owner>(reader: EventReader<Owner>): EventSourceParser {
  const { owner, handlers, hasBegun } = reader
  const parser = createParser({
    onEvent({ data, event }) {
      reader.held = 0
      handlers.onData(owner, data, event)
    },
    onComment() {
      reader.held = 0
      handlers.onComment(owner)
    },
  })
  // The parser strips a byte order mark at its beginning, but only the first line of the stream may have one.
  if (hasBegun) parser.feed('\n')
  return parser
}

function tooLong(limit: number): ProviderError {
  return new ProviderError(`One event of the stream is larger than ${inMebibytes(limit)}. The connection was closed.`, {
    reason: 'malformed-response',
  })
}
