import type { Attempt, Call } from '../../contract.ts'
import type { BodyReader } from '../../http/post.ts'
import { inMebibytes, maxDocumentLength } from '../../http/limits.ts'
import type { EventHandlers, EventReader } from '../../http/server-sent-events.ts'
import { endEvents, eventReader, readEvents } from '../../http/server-sent-events.ts'
import type { Chunk } from './chunk.ts'
import { isPiece, plainTextOf } from './chunk.ts'
import type { Decoding } from './decode.ts'
import { contextOf, decodeChunk, decodeFailure, decodeText, startDecoding, tellAlive } from './decode.ts'
import { finishDecoding } from './finish-decoding.ts'
import type { Ending } from './ending.ts'
import { takeLinger } from './ending.ts'
import type { AnswerContext } from './failure.ts'
import { isErrorValue } from './error-body.ts'
import { failureOf, inBandFailure, strangeAnswer } from './failure.ts'
import type { JsonEnd } from '../../http/json-end.ts'
import { endOfJson, startOfJson } from '../../http/json-end.ts'
import { closesUnopened } from './think-tags.ts'
import { asObject, isCutJson, parseJson } from './parse-json.ts'
import type { SameShape, TextField } from './same-shape.ts'
import { isUnendedFinish, tailOf, unendedWithinMs } from './unended-event.ts'
import { learnShape, noShape, textOfSame } from './same-shape.ts'

export type AnswerOptions = AnswerContext & {
  readonly emit: Attempt['emit']
  /** What was asked: the tools that were offered, the form that was wanted. */
  readonly call?: Call | undefined
  readonly linger?: Attempt['linger']
  /**
   * Look for `<think>` at the beginning of the content. `opened`: the chat template opens the tag itself, so the content begins
   * inside it (R1); what never closes was the answer after all, and comes as text at the end.
   * @default false
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /** Nothing is an answer too: to go on from a text that was whole already. @default false */
  readonly allowEmpty?: boolean | undefined
  /** What is told as reasoning is text: the answer goes on from a text, behind which no thought is open. @default false */
  readonly isAllText?: boolean | undefined
}

export type AnswerReader = BodyReader & {
  /** What was emitted: `content` is text or a piece of a tool call, whatever was thought before it. */
  brought(): 'nothing' | 'reasoning' | 'content'
}

/**
 * Reads one answer of a server that speaks chat completions. A stream and a JSON document are told apart by how they begin: the
 * content type lies. What is no answer is thrown as a `ProviderError`; `finish` is emitted once, last.
 */
export function readAnswer(options: AnswerOptions): AnswerReader {
  return options.status >= 200 && options.status <= 299 ? answerReader(options) : errorReader(options)
}

/** An error page may be endless; nobody reads more of it than this. */
const mostErrorText = 65_536

/** Status and headers say most of it: a page that does not end is not waited for. */
const errorWithinMs = 1_000

function errorReader(options: AnswerOptions): AnswerReader {
  let body = ''
  const fail = () => {
    throw failureOf({ ...options, body })
  }
  options.linger?.(fail, errorWithinMs)
  return {
    write(text) {
      if (body.length < mostErrorText) body += text
      return true
    },
    end: fail,
    brought: () => 'nothing',
  }
}

/** How the body began: with blanks, or as one of these. */
type Form = 'blank' | 'events' | 'json' | 'other'

/** How much of a text that is no answer is kept for the error. */
const mostOther = 4_000

/** Everything that is known while an answer is read. One object, and no function of its own for each answer but these two. */
function answerReader(options: AnswerOptions): AnswerReader {
  const decoding = startDecoding(options)
  const reading: Reading = {
    options,
    decoding,
    shape: noShape(),
    events: undefined,
    form: 'blank',
    text: '',
    json: undefined,
    isWhole: false,
    ending: false,
    tail: '',
  }
  return {
    write(part) {
      reading.decoding.flowing = true
      if (reading.form === 'blank') begin(reading, part)
      else take(reading, part)
      if (reading.events !== undefined) peek(reading, reading.events, part)
      linger(reading)
      return reading.decoding.flowing
    },
    end: () => end(reading),
    isOver: () => stateOf(reading) === 'over',
    lost: () => lost(reading),
    brought: () => broughtBy(reading.decoding),
  }
}

function broughtBy({ hasText, hasReasoning, toolCalls }: Decoding): ReturnType<AnswerReader['brought']> {
  if (hasText || (toolCalls?.count() ?? 0) > 0) return 'content'
  return hasReasoning ? 'reasoning' : 'nothing'
}

type Reading = {
  readonly options: AnswerOptions
  decoding: Decoding
  readonly shape: SameShape
  events: EventReader<Reading> | undefined
  form: Form
  /** A document, or what there is to quote of something that is no answer. */
  text: string
  json: JsonEnd | undefined
  /** The document was closed. */
  isWhole: boolean
  /** The body is over: an event that is cut was cut by that. */
  ending: boolean
  /** A line of a stream that has no line end yet; undefined when it is too long to be a finish. */
  tail: string | undefined
}

/** Each line break is a sign of life, however the bytes are cut: DeepSeek sends them while a request waits. */
function begin(reading: Reading, part: string): void {
  const start = part.search(/\S/)
  const blanks = start === -1 ? part : part.slice(0, start)
  for (const character of blanks) if (character === '\n') tellAlive(reading.decoding)
  if (start === -1) return
  reading.form = formOf(part[start])
  if (reading.form === 'events') reading.events = eventReader(reading, eventHandlers)
  take(reading, part.slice(start))
}

function take(reading: Reading, part: string): void {
  const { events, form, decoding } = reading
  if (events !== undefined) readEvents(events, part)
  if (form === 'json') takeDocument(reading, part)
  // a stream that turns out to be none is quoted in the error
  else if (form === 'events' && decoding.seen !== 'nothing') reading.text = ''
  else if (reading.text.length < mostOther) reading.text += part
}

function takeDocument(reading: Reading, part: string): void {
  const { options, decoding, isWhole } = reading
  if (decoding.ending.state === 'over') return
  reading.text += part
  if (reading.text.length > maxDocumentLength) throw decodeFailure(decoding, 'malformed-response', tooLong)
  reading.json ??= startOfJson()
  const closedAt = isWhole ? 0 : endOfJson(reading.json, part)
  if (closedAt === undefined) return
  // a second document behind it is a stream of some other kind
  if (part.slice(closedAt).trim() !== '') throw strangeAnswer(reading.text, options)
  if (isWhole) return
  reading.isWhole = true
  options.linger?.(() => readDocument(reading), documentWithinMs)
}

const tooLong = `The answer is one JSON document larger than ${inMebibytes(maxDocumentLength)}. The connection was closed.`

/** A document is whole with its last bracket, and the body ends right behind that, or never. */
const documentWithinMs = 1_000

/** The server has said that it is done: more may come for a while. Told once for all that came together. */
function linger(reading: Reading): void {
  const forMs = takeLinger(reading.decoding.ending)
  if (forMs !== undefined) reading.options.linger?.(() => finishDecoding(reading.decoding, false), forMs)
}

/** A last event that lacks only its line end: where it is the finish, nothing else is waited for (F1). */
function peek(reading: Reading, events: EventReader<Reading>, part: string): void {
  reading.tail = tailOf(reading.tail, part)
  // nearly every piece ends with its line
  if (reading.tail === '' || !isUnendedFinish(reading.tail)) return
  reading.options.linger?.(() => {
    endEvents(events)
    if (stateOf(reading) === 'finished') finishDecoding(reading.decoding, false)
  }, unendedWithinMs)
}

/** What is whole needs no more of its body (F2). */
function lost(reading: Reading): boolean {
  const { events, isWhole } = reading
  if (isWhole) readDocument(reading)
  reading.ending = true
  // the last event may be content
  if (events !== undefined && stateOf(reading) === 'finished') endEvents(events)
  if (stateOf(reading) === 'finished') finishDecoding(reading.decoding, false)
  return stateOf(reading) === 'over'
}

const stateOf = ({ decoding }: Reading): Ending['state'] => decoding.ending.state

function end(reading: Reading): void {
  const { events, form, decoding, text, options } = reading
  reading.ending = true
  if (events !== undefined) endEvents(events)
  if (form === 'events' && decoding.seen !== 'nothing') return finishDecoding(decoding, false)
  if (form === 'json') return readDocument(reading)
  throw saysNothing(text) ? decodeFailure(decoding, 'overloaded', blank) : strangeAnswer(text, options)
}

/** R43. The gateway of DeepSeek ends a request like this that it has no room for: the 200 was sent long before. */
const blank =
  'The server answered 200 and then nothing, as an overloaded one does. Try again later, or let the next target answer.'

/** By the first character. A stream begins with a comment, or with the name of a field: data, event, id, retry. */
function formOf(first = ''): Form {
  if (':deir'.includes(first)) return 'events'
  return '{["'.includes(first) ? 'json' : 'other'
}

/** Blanks and comments only: the connection was held until the server gave up. */
function saysNothing(text: string): boolean {
  return text.split(/[\r\n]/).every(line => line.startsWith(':') || line.trim() === '')
}

const eventHandlers: EventHandlers<Reading> = {
  onData: readEvent,
  onComment: ({ decoding }) => tellAlive(decoding),
}

function readEvent(reading: Reading, data: string, event: string | undefined): void {
  const { decoding, shape } = reading
  if (decoding.ending.state === 'over') return
  const known = event === undefined ? textOfSame(shape, data) : undefined
  if (known !== undefined) return decodeText(decoding, shape.field, known)
  // the rest of the way is paid for each token
  if (data[0] !== '{') {
    const text = data.trim()
    if (text === '[DONE]') return finishDecoding(decoding, false)
    if (text === '') return tellAlive(decoding)
  }
  const chunk = parseEvent(reading, data, event === 'error')
  // behind a finish it can be no content
  if (chunk === undefined) return
  // llama-server reports on a long prompt while it reads it
  if (chunk.prompt_progress !== undefined) tellAlive(decoding)
  decodeChunk(decoding, chunk)
  const plain = plainTextOf(chunk)
  if (plain !== undefined) learnShape(shape, data, { ...plain, find: textIn })
}

function parseEvent({ decoding, ending }: Reading, data: string, isError: boolean): Chunk | undefined {
  const isFinished = decoding.ending.state === 'finished'
  let value: unknown
  try {
    value = parseJson(data)
  } catch {
    // no cause: the parser's message quotes what it read
    if (isError) throw inBandFailure(data, contextOf(decoding))
    if (isFinished) return undefined
    throw ending
      ? decodeFailure(decoding, 'truncated', 'The answer was cut in the middle of an event.')
      : decodeFailure(decoding, 'malformed-response', `The stream holds an event that is no JSON (${data.length} characters).`)
  }
  // Google's errors are lists of one
  if (isError || (Array.isArray(value) && isErrorValue(asObject(value[0])?.['error'])))
    throw inBandFailure(value, contextOf(decoding))
  const chunk = asObject(value)
  if (chunk === undefined && !isFinished)
    throw decodeFailure(decoding, 'malformed-response', 'The stream holds an event that is no JSON object.')
  return chunk
}

function textIn(value: unknown, field: TextField): string | undefined {
  const plain = plainTextOf(asObject(value) ?? {})
  return plain?.field === field ? plain.text : undefined
}

/** One JSON document: a server that does not stream, or was not asked to. */
function readDocument(reading: Reading): void {
  const { text, options } = reading
  if (reading.decoding.ending.state === 'over') return
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    throw isCutJson(text)
      ? decodeFailure(reading.decoding, 'truncated', 'The answer was cut: its JSON stops in the middle.')
      : strangeAnswer(text, options)
  }
  const chunk = asObject(value)
  if (chunk === undefined) throw strangeAnswer(text, options)
  if (options.thinkTags === true && closesUnopened(chunk)) reading.decoding = startDecoding({ ...options, thinkTags: 'opened' })
  decodeChunk(reading.decoding, chunk)
  // one chunk of a stream is no document, though it is one in JSON
  finishDecoding(reading.decoding, !isPiece(chunk))
}
