import type { Attempt } from '../../contract.ts'
import { maxDocumentLength } from '../../http/limits.ts'
import { createLineReader, type LineReader } from '../../http/json-lines.ts'
import { strangeAnswer } from '../chat-failure/failure.ts'
import { jsonWork, parseJson } from '../json.ts'
import { type Chunk, choiceOf, isPiece, ofLine } from './chunk.ts'
import { decodeChunk, startDecoding } from './decode.ts'
import { decodeFailure, type DecodeOptions, finishDecoding, hasAnswer, tellAlive } from './decoding.ts'
import { finishIn } from './finish.ts'
import { isDone, mostDocuments } from './odd-events.ts'
import { chunkIn, type Chunks, readEvent } from './read-event.ts'
import { closesUnopened } from './think-tags.ts'

/** A body of JSON: one document with the whole answer, or a document for each piece of it. */
export type Documents = Chunks & {
  readonly options: DecodeOptions & { readonly linger?: Attempt['linger'] }
  lines: LineReader | undefined
  /** A document that may be the whole answer. It is decoded when nothing follows it. */
  held: Chunk | undefined
}

export function documentReader(reading: Documents): LineReader {
  return createLineReader({
    onLine: line => readLine(reading, line),
    onBlank: () => tellAlive(reading.decoding),
    maxLineBytes: maxDocumentLength,
  })
}

/** A document ends with its last bracket, and the body ends immediately after it, or never. */
const documentWithinMs = 1_000

function readLine(reading: Documents, line: string): void {
  const { decoding, held, options } = reading
  if (decoding.ending.state === 'over' || isField.test(line)) return
  if (held === undefined && decoding.seen !== 'nothing') return readEvent(reading, line, undefined)
  if (held === undefined) return readFirst(reading, line)
  if (isDone(line.replace(/^data:\s*/, ''))) return readHeld(reading)
  if (isAnswer(held)) throw strangeAnswer(line, options)
  start(reading, held)
  readEvent(reading, line, undefined)
}

/** Lines of an event stream without its data. */
const isField = /^(?:event|id|retry)?:/

/** Whether nothing but the end of the body may follow. A report, or a message without a finish, may be the first of many. */
function isAnswer(chunk: Chunk): boolean {
  const choice = choiceOf(chunk)
  return choice !== undefined && finishIn(chunk, choice) !== undefined
}

function readFirst(reading: Documents, line: string): void {
  const { options } = reading
  let value: unknown
  try {
    value = parseJson(line)
  } catch {
    throw strangeAnswer(line, options)
  }
  const list = chunksIn(value)
  const chunk = list?.[0] ?? chunkIn(value, true)
  if (chunk === undefined) throw strangeAnswer(line, options)
  const isPart = isPiece(chunk) || chunk[ofLine] === 'more'
  if (!isPart && opensInThought(reading, chunk)) reading.decoding = startDecoding({ ...options, thinkTags: 'opened' })
  if (list !== undefined) for (const each of list) start(reading, each)
  else if (isPart || chunk[ofLine] === 'last') start(reading, chunk)
  else hold(reading, chunk)
}

/** Only a complete text shows a think tag that the template opened. */
function opensInThought({ options }: Documents, chunk: Chunk): boolean {
  return options.thinkTags === true && closesUnopened(chunk)
}

function hold(reading: Documents, chunk: Chunk): void {
  reading.held = chunk
  reading.options.linger?.(() => readHeld(reading), documentWithinMs)
}

function start(reading: Documents, chunk: Chunk): void {
  reading.held = undefined
  decodeChunk(reading.decoding, chunk)
  if (chunk[ofLine] === 'last' && hasAnswer(reading.decoding)) finishDecoding(reading.decoding, true)
}

/** Decodes the whole answer. */
export function readHeld(reading: Documents): void {
  const { held, decoding } = reading
  if (held === undefined) return
  reading.held = undefined
  decodeChunk(decoding, held)
  finishDecoding(decoding, true)
}

/** Ends the body. Throws a `ProviderError` when it is no answer. */
export function endDocuments(reading: Documents, lines: LineReader): void {
  // the rest of a document is not parsed: it is known to be cut
  if (!lines.isOpen()) lines.end()
  else if (reading.decoding.ending.state === 'open')
    throw decodeFailure(reading.decoding, 'truncated', 'The answer was cut: its JSON stops in the middle.')
  readHeld(reading)
  finishDecoding(reading.decoding, false)
}

/** The chunks of a stream that a gateway collected into one list. */
function chunksIn(value: unknown): readonly Chunk[] | undefined {
  if (!Array.isArray(value) || value.length < 2 || value.length > mostDocuments) return undefined
  // the document itself was parsed in this step
  const work = jsonWork(2)
  const chunks = value.map(one => chunkIn(one, false, work))
  return chunks.every(chunk => chunk?.choices !== undefined) ? (chunks as readonly Chunk[]) : undefined
}
