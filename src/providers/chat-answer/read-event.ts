import { isFlatError, isNamedError } from '../chat-failure/error-body.ts'
import { inBandFailure } from '../chat-failure/failure.ts'
import { asObject, type JsonWork, mostEncoded, parseJson } from '../json.ts'
import { type Chunk, ofLine, plainTextOf, type TextField } from './chunk.ts'
import { decodeChunk, decodeText } from './decode.ts'
import { contextOf, decodeFailure, type Decoding, finishDecoding, hasAnswer, tellAlive } from './decoding.ts'
import { isNativeLine, nativeChunk } from './native-line.ts'
import { documentsIn, isDone, isListedError, saysAlive, withoutLabel } from './odd-events.ts'

/** The state of a stream of chunks, whether they come as server-sent events or as lines of JSON. */
export type Chunks = {
  decoding: Decoding
  readonly shape: SameShape
  /** The body has ended, so an incomplete event was cut off by that. */
  ending: boolean
}

export function readEvent(reading: Chunks, data: string, event: string | undefined): void {
  const { decoding, shape } = reading
  if (decoding.ending.state === 'over') return
  const known = event === undefined ? textOfSame(shape, data) : undefined
  if (known !== undefined) return decodeText(decoding, shape.field, known)
  // what follows runs for every token
  if (data[0] !== '{' && isOddEvent(reading, data.trim(), event)) return
  const chunk = parseEvent(reading, data, event === 'error')
  // after a finish this cannot be content
  if (chunk === undefined) return
  readChunk(reading, chunk)
  const plain = plainTextOf(chunk)
  if (plain !== undefined) learnShape(shape, data, plain)
}

function readChunk({ decoding }: Chunks, chunk: Chunk): void {
  // llama-server reports progress while it processes a long prompt
  if (chunk.prompt_progress !== undefined) tellAlive(decoding)
  decodeChunk(decoding, chunk)
  // a gateway may send `done` on its first, empty line too (F4)
  if (chunk[ofLine] === 'last' && hasAnswer(decoding)) finishDecoding(decoding, true)
}

/** Reads an event that is no JSON. */
function isOddEvent(reading: Chunks, text: string, event: string | undefined): boolean {
  const { decoding } = reading
  if (text === '[DONE]' || isDone(text)) finishDecoding(decoding, false)
  else if (saysAlive(text, event)) tellAlive(decoding)
  else if (text.startsWith('data:')) readEvent(reading, withoutLabel(text), event)
  else return false
  return true
}

/** JSON without a field name: a gateway's own error (also behind `error:`), or a chunk whose `data:` was forgotten. */
export function readOther(reading: Chunks, text: string): void {
  const { decoding } = reading
  if (decoding.ending.state === 'over') return
  const at = text.indexOf('{')
  let value: unknown
  try {
    value = parseJson(text.slice(at))
  } catch {
    return
  }
  const chunk = chunkIn(value)
  if (chunk === undefined) return
  const isError = at > 0 || isNamedError(chunk) || (chunk.choices === undefined && isFlatError(chunk))
  if (!isError) return readChunk(reading, chunk)
  if (decoding.ending.state === 'open') throw inBandFailure(chunk, contextOf(decoding))
}

function parseEvent(reading: Chunks, data: string, isError: boolean): Chunk | undefined {
  const { decoding, ending } = reading
  const isFinished = decoding.ending.state === 'finished'
  let value: unknown
  try {
    value = parseJson(data)
  } catch {
    const documents = documentsIn(data)
    if (documents.length > 1) return readAll(reading, documents)
    // no `cause`: the parser's message quotes the answer
    if (isError) throw inBandFailure(data, contextOf(decoding))
    if (isFinished) return undefined
    throw ending
      ? decodeFailure(decoding, 'truncated', 'The answer was cut in the middle of an event.')
      : decodeFailure(
          decoding,
          'malformed-response',
          `The stream contains an event that is not JSON (${data.length} characters).`,
        )
  }
  if (isError || (Array.isArray(value) && isListedError(value))) throw inBandFailure(value, contextOf(decoding))
  const chunk = chunkIn(value)
  if (chunk === undefined && !isFinished)
    throw decodeFailure(decoding, 'malformed-response', 'The stream contains an event that is not a JSON object.')
  return chunk
}

/** Some servers leave out the blank line between events. */
function readAll(reading: Chunks, documents: readonly string[]): undefined {
  for (const document of documents) readEvent(reading, document, undefined)
}

/**
 * The chunk in an event or a document. Some gateways put it into a list of one, or into a field beside a status (`result` of
 * Cloudflare), some write it as JSON in a text (functions on AWS, which also have a `body`), and some send Ollama's own format.
 *
 * @param work of all texts in one document
 */
export function chunkIn(value: unknown, isDocument = false, work?: JsonWork): Chunk | undefined {
  const whole = Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value
  const chunk = typeof whole === 'string' ? parsedText(whole, work) : asObject(whole)
  if (chunk === undefined || chunk['choices'] !== undefined) return chunk
  if (isNamedError(chunk)) return chunk
  if (isNativeLine(chunk)) return isFlatError(chunk) ? chunk : nativeChunk(chunk)
  const inner = innerOf(chunk, isDocument, work)
  return inner === undefined ? chunk : { ...inner, usage: inner['usage'] ?? chunk['usage'] }
}

type Fields = { readonly [key: string]: unknown }

const envelopes = ['data', 'result', 'response'] as const

/** The events of DashScope's own format repeat all text so far in `output`, so that it is only read in a document. */
function innerOf(chunk: Fields, isDocument: boolean, work: JsonWork | undefined): Fields | undefined {
  const body = typeof chunk['body'] === 'string' ? parsedText(chunk['body'], work) : undefined
  if (body !== undefined) return body
  const names = isDocument ? [...envelopes, 'output'] : envelopes
  return names.map(name => asObject(chunk[name])).find(inner => inner?.['choices'] !== undefined)
}

function parsedText(text: string, work: JsonWork | undefined): Fields | undefined {
  if (!/^\s*\{/.test(text) || text.length > mostEncoded) return undefined
  try {
    return asObject(parseJson(text, work))
  } catch {
    return undefined
  }
}

// ---- events that differ only in their text

/**
 * The shape of a chunk that was parsed: everything before and after its text. A later chunk that differs only in its text is read
 * without `JSON.parse`, which is most of the cost of a stream (290 bytes for each token).
 */
export type SameShape = {
  field: TextField
  before: string
  after: string
  /** How many times in a row a shape was stored without a matching chunk following. */
  vain: number
}

type PlainText = { readonly field: TextField; readonly text: string }

/** A longer chunk is no single token: comparing it costs more than it saves. */
const longestLearned = 4_096

/**
 * Servers that put something new into each chunk (OpenAI's `obfuscation`) never match, so learning stops after this many misses.
 */
const mostVain = 4

const quote = 0x22
const backslash = 0x5c
const space = 0x20

export function noShape(): SameShape {
  return { field: 'content', before: '', after: '', vain: 0 }
}

/** Returns the text of `data` if the rest matches the learned chunk; undefined if `data` must be parsed. */
export function textOfSame(shape: SameShape, data: string): string | undefined {
  const { before, after } = shape
  const end = data.length - after.length
  if (before === '' || end <= before.length) return undefined
  // comparing slices takes half the time of `startsWith` and `endsWith`
  if (data.slice(0, before.length) !== before || data.slice(end) !== after) return undefined
  const text = data.slice(before.length, end)
  if (isEscaped(text)) return undefined
  shape.vain = 0
  return text
}

/**
 * Whether the text must be parsed: it may contain an escape, or end before it seems to. A loop is faster than a regular
 * expression for the few characters of a token.
 */
function isEscaped(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === quote || code === backslash || code < space) return true
  }
  return false
}

/**
 * Stores the shape of `data`, a chunk that carries this text and nothing else of interest. The position is certain when the field
 * name occurs once and nothing is escaped: no other key can be the one that was parsed.
 */
export function learnShape(shape: SameShape, data: string, { field, text }: PlainText): void {
  if (shape.vain >= mostVain || data.length > longestLearned) return
  const name = `"${field}"`
  const at = data.indexOf(name)
  const before = at + name.length + 2
  if (!data.startsWith(`:"${text}"`, at + name.length) || data.includes('\\') || data.includes(name, before)) return
  shape.vain += 1
  shape.field = field
  shape.before = data.slice(0, before)
  shape.after = data.slice(before + text.length)
}
