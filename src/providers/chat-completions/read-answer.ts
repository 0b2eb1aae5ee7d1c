import type { Attempt, ProviderEvent } from '../../contract.ts'
import type { BodyReader } from '../../http/post.ts'
import { createEventReader } from '../../http/server-sent-events.ts'
import type { Chunk } from './chunk.ts'
import { choiceOf, plainTextOf } from './chunk.ts'
import type { Decoder } from './decode.ts'
import { createDecoder } from './decode.ts'
import type { AnswerContext } from './failure.ts'
import { failureOf, inBandFailure, strangeAnswer } from './failure.ts'
import { asObject, isCutJson, parseJson } from './parse-json.ts'
import type { SameShape, TextField } from './same-shape.ts'
import { createSameShape } from './same-shape.ts'

export type AnswerOptions = AnswerContext & {
  readonly emit: Attempt['emit']
  /**
   * Look for `<think>` at the beginning of the content. `opened`: the chat template opens the tag itself, so the content begins
   * inside it (R1); what never closes was the answer after all, and comes as text at the end.
   * @default false
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /** Nothing is an answer too: to go on from a text that was whole already. @default false */
  readonly allowEmpty?: boolean | undefined
}

/**
 * Reads one answer of a server that speaks chat completions. A stream and a JSON document are told apart by how they begin: the
 * content type lies. What is no answer is thrown as a `ProviderError`; `finish` is emitted once, last.
 */
export function readAnswer(options: AnswerOptions): BodyReader {
  return options.status >= 200 && options.status <= 299 ? answerReader(options) : errorReader(options)
}

/** An error page may be endless; nobody reads more of it than this. */
const mostErrorText = 65_536

function errorReader(options: AnswerOptions): BodyReader {
  let body = ''
  return {
    write(text) {
      if (body.length < mostErrorText) body += text
      return true
    },
    end() {
      throw failureOf({ ...options, body })
    },
  }
}

/** How the body began: with blanks, or as one of these. */
type Form = 'blank' | 'events' | 'json' | 'other'

/** How much of a text that is no answer is kept for the error. */
const mostOther = 4_000

function answerReader(options: AnswerOptions): BodyReader {
  let form: Form = 'blank'
  let text = ''
  let flowing = true

  // the last answer counts: a reader that has caught up in the meantime will not call back again
  const emit = (event: ProviderEvent) => {
    flowing = options.emit(event)
  }
  const reading: EventReading = { decoder: createDecoder({ ...options, emit }), shape: createSameShape(), options, ending: false }
  const { decoder } = reading
  const events = createEventReader({
    onComment: decoder.alive,
    onData: (data, event) => readEvent(reading, data, event),
  })

  const take = (part: string) => {
    if (form === 'events') events.write(part)
    // a stream that turns out to be none is quoted in the error
    if (form === 'json' || (text.length < mostOther && (form === 'other' || decoder.untouched()))) text += part
  }

  /** Each line break is a sign of life, however the bytes are cut: DeepSeek sends them while a request waits. */
  const begin = (part: string) => {
    const start = part.search(/\S/)
    const blanks = start === -1 ? part : part.slice(0, start)
    for (const character of blanks) if (character === '\n') decoder.alive()
    if (start === -1) return
    form = formOf(part[start])
    take(part.slice(start))
  }

  return {
    write(part) {
      flowing = true
      if (form === 'blank') begin(part)
      else take(part)
      return flowing
    },
    end() {
      reading.ending = true
      if (form === 'events') events.end()
      if (form === 'events' && !decoder.untouched()) return decoder.finish(false)
      if (form === 'json') return readDocument(text, { ...options, emit })
      throw saysNothing(text) ? decoder.fail('overloaded', blank) : strangeAnswer(text, options)
    },
  }
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

type EventReading = {
  readonly decoder: Decoder
  readonly shape: SameShape
  readonly options: AnswerContext
  /** The body is over: an event that is cut was cut by that. */
  ending: boolean
}

function readEvent(reading: EventReading, data: string, event: string | undefined): void {
  const { decoder, shape } = reading
  if (decoder.finished()) return
  const known = event === undefined ? shape.textOf(data) : undefined
  if (known !== undefined) return decoder.text(shape.field(), known)
  // the rest of the way is paid for each token
  if (data[0] !== '{') {
    const text = data.trim()
    if (text === '[DONE]') return decoder.finish(false)
    if (text === '') return decoder.alive()
  }
  const chunk = parseEvent(reading, data, event === 'error')
  // llama-server reports on a long prompt while it reads it
  if (chunk.prompt_progress !== undefined) decoder.alive()
  decoder.chunk(chunk, data)
  if (decoder.isWhole()) return decoder.finish(false)
  const plain = plainTextOf(chunk)
  if (plain !== undefined) shape.learn(data, { ...plain, find: probed => textIn(probed, plain.field) })
}

function parseEvent({ decoder, options, ending }: EventReading, data: string, isError: boolean): Chunk {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch {
    // no cause: the parser's message quotes what it read
    if (isError) throw inBandFailure(data, options)
    throw ending
      ? decoder.fail('truncated', 'The answer was cut in the middle of an event.')
      : decoder.fail('malformed-response', `The stream holds an event that is no JSON (${data.length} characters).`)
  }
  if (isError) throw inBandFailure(value, options)
  const chunk = chunkOf(value)
  if (chunk === undefined) throw decoder.fail('malformed-response', 'The stream holds an event that is no JSON object.')
  return chunk
}

function textIn(value: unknown, field: TextField): string | undefined {
  const plain = plainTextOf(asObject(value) ?? {})
  return plain?.field === field ? plain.text : undefined
}

/** One JSON document: a server that does not stream, or was not asked to. */
function readDocument(text: string, options: Parameters<typeof createDecoder>[0]): void {
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    const decoder = createDecoder(options)
    throw isCutJson(text)
      ? decoder.fail('truncated', 'The answer was cut: its JSON stops in the middle.')
      : strangeAnswer(text, options)
  }
  const chunk = chunkOf(value)
  if (chunk === undefined) throw strangeAnswer(text, options)
  const decoder = createDecoder(
    options.thinkTags === true && closesUnopened(chunk) ? { ...options, thinkTags: 'opened' } : options,
  )
  decoder.chunk(chunk, text)
  decoder.finish(true)
}

function chunkOf(value: unknown): Chunk | undefined {
  return asObject(value)
}

/** In a whole text a tag that was never opened is seen before anything was handed on. */
export function closesUnopened(chunk: Chunk): boolean {
  const content = choiceOf(chunk)?.message?.content
  if (typeof content !== 'string') return false
  const close = content.indexOf('</think>')
  return close !== -1 && !content.slice(0, close).includes('<think>')
}
