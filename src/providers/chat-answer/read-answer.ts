import type { Attempt, Call } from '../../contract.ts'
import type { BodyReader } from '../../http/post.ts'
import { endEvents, type EventHandlers, eventReader, type EventReader, readEvents } from '../../http/server-sent-events.ts'
import { startDecoding } from './decode.ts'
import { decodeFailure, type Decoding, finishDecoding, tellAlive } from './decoding.ts'
import { type Ending, isUnendedFinish, tailOf, takeLinger, unendedWithinMs } from './ending.ts'
import { type AnswerContext, failureOf, strangeAnswer } from '../chat-failure/failure.ts'
import { documentReader, type Documents, endDocuments, readHeld } from './read-document.ts'
import { noShape, readEvent, readOther } from './read-event.ts'

export type AnswerOptions = AnswerContext & {
  readonly emit: Attempt['emit']
  /** The call, for the tools it offers and the output format it asks for. */
  readonly call?: Call | undefined
  readonly linger?: Attempt['linger']
  /**
   * Look for `<think>` at the beginning of the content. `opened`: the chat template opens the tag itself, so the content begins
   * inside it (R1). If the tag never closes, the content was the answer and is emitted as text at the end.
   * @default false
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /** Accept an empty answer, because the text that is continued may have been complete. @default false */
  readonly allowEmpty?: boolean | undefined
  /** Emit reasoning as text: the answer continues an existing text, where no thought can be open. @default false */
  readonly isAllText?: boolean | undefined
}

export type AnswerReader = BodyReader & {
  /** What was emitted so far. `content`: text or a piece of a tool call, with or without reasoning before it. */
  brought(): 'nothing' | 'reasoning' | 'content'
}

/**
 * Reads one answer of a server that speaks chat completions. The first character tells a stream from a JSON document, because
 * content types are unreliable. Throws a `ProviderError` for anything that is no answer; emits `finish` once, last.
 */
export function readAnswer(options: AnswerOptions): AnswerReader {
  return options.status >= 200 && options.status <= 299 ? answerReader(options) : errorReader(options)
}

/** An error page may be endless; reading stops here. */
const mostErrorText = 65_536

/** Status and headers carry most of the information, so an endless error page is not waited for. */
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

/** How the body began: only whitespace and comments so far, or one of these formats. */
type Form = 'blank' | 'events' | 'json' | 'other'

/** How much of an unrecognized text is kept for the error. */
const mostOther = 4_000

/** Keeps all state of an answer in one object, with only these two closures for each answer. */
function answerReader(options: AnswerOptions): AnswerReader {
  const decoding = startDecoding(options)
  const reading: Reading = {
    options,
    decoding,
    shape: noShape(),
    events: undefined,
    lines: undefined,
    held: undefined,
    form: 'blank',
    text: '',
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

type Reading = Documents & {
  readonly options: AnswerOptions
  events: EventReader<Reading> | undefined
  form: Form
  /** The text to quote when the body is no answer. */
  text: string
  /** The unterminated last line of a stream; undefined when it is too long to be a finish. */
  tail: string | undefined
}

/** Each line break counts as a sign of life, however the bytes are split: DeepSeek sends them while a request is queued. */
function begin(reading: Reading, part: string): void {
  const start = part.search(/\S/)
  const blanks = start === -1 ? part : part.slice(0, start)
  for (const character of blanks) if (character === '\n') tellAlive(reading.decoding)
  if (start === -1) return
  reading.form = formOf(part[start])
  if (reading.form === 'events') reading.events = eventReader(reading, eventHandlers)
  if (reading.form === 'json') reading.lines = documentReader(reading)
  take(reading, part.slice(start))
}

function take(reading: Reading, part: string): void {
  const { events, form, decoding, lines } = reading
  if (events !== undefined && decoding.seen === 'nothing') {
    const at = bareStart(part, reading.tail === '')
    if (at !== undefined) return turnToLines(reading, part, at)
  }
  if (events !== undefined) readEvents(events, part)
  lines?.write(part)
  // text that looks like a stream but is none is quoted in the error
  if (form === 'events' && decoding.seen !== 'nothing') reading.text = ''
  else if (lines === undefined && reading.text.length < mostOther) reading.text += part
}

/** Where JSON begins that is no event, for a gateway that sends its comments before any format. */
function bareStart(part: string, isLineStart: boolean): number | undefined {
  if (isLineStart && part.startsWith('{')) return 0
  const at = part.indexOf('\n{')
  return at === -1 ? undefined : at + 1
}

function turnToLines(reading: Reading, part: string, at: number): void {
  const { events } = reading
  if (events !== undefined && at > 0) readEvents(events, part.slice(0, at))
  // the event before it may have no blank line
  if (events !== undefined) endEvents(events)
  if (events !== undefined && reading.decoding.seen !== 'nothing') return readEvents(events, part.slice(at))
  reading.form = 'json'
  reading.events = undefined
  reading.lines = documentReader(reading)
  reading.lines.write(part.slice(at))
}

/** Schedules the end after a finish: more data may still follow. Runs once for all data that arrived together. */
function linger(reading: Reading): void {
  const forMs = takeLinger(reading.decoding.ending)
  if (forMs !== undefined) reading.options.linger?.(() => finishDecoding(reading.decoding, false), forMs)
}

/** A last event that lacks only its line end: if it is the finish, no more data is awaited (F1). */
function peek(reading: Reading, events: EventReader<Reading>, part: string): void {
  reading.tail = tailOf(reading.tail, part)
  // nearly every piece ends with a line end
  if (reading.tail === '' || !isUnendedFinish(reading.tail)) return
  reading.options.linger?.(() => {
    endEvents(events)
    if (stateOf(reading) === 'finished') finishDecoding(reading.decoding, false)
  }, unendedWithinMs)
}

/** Returns whether the answer is complete although its connection broke (F2). */
function lost(reading: Reading): boolean {
  const { events } = reading
  reading.ending = true
  readHeld(reading)
  // the last event may hold content
  if (events !== undefined && stateOf(reading) === 'finished') endEvents(events)
  if (stateOf(reading) === 'finished') finishDecoding(reading.decoding, false)
  return stateOf(reading) === 'over'
}

const stateOf = ({ decoding }: Reading): Ending['state'] => decoding.ending.state

function end(reading: Reading): void {
  const { events, lines, form, text, options } = reading
  reading.ending = true
  if (events !== undefined) endEvents(events)
  if (lines !== undefined) return endDocuments(reading, lines)
  const { decoding } = reading
  if (form === 'events' && decoding.seen !== 'nothing') return finishDecoding(decoding, false)
  throw saysNothing(text) ? decodeFailure(decoding, 'overloaded', blank) : strangeAnswer(text, options)
}

/** R43. DeepSeek's gateway ends a request like this when it has no capacity: it sent the 200 long before. */
const blank =
  'The server returned 200 and then nothing, as an overloaded server does. Try again later, or let the next target answer.'

/** Chosen by the first character. A stream begins with a comment or a field name: data, event, id, retry. */
function formOf(first = ''): Form {
  if (':deir'.includes(first)) return 'events'
  return '{["\x1e'.includes(first) ? 'json' : 'other'
}

/** Whether the text holds only whitespace and comments: the connection was kept open until the server gave up. */
function saysNothing(text: string): boolean {
  return text.split(/[\r\n]/).every(line => line.startsWith(':') || line.trim() === '')
}

const eventHandlers: EventHandlers<Reading> = {
  onData: readEvent,
  onComment: ({ decoding }) => tellAlive(decoding),
  onOther: readOther,
}
