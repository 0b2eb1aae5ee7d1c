import type { Attempt, ResponseHeaders, Usage } from '../contract.ts'
import { ProviderError, shortName } from '../errors.ts'
import { inMebibytes, maxDocumentLength } from '../http/limits.ts'
import type { BodyReader } from '../http/post.ts'
import { endEvents, eventReader, readEvents } from '../http/server-sent-events.ts'
import { isErrorValue, isFlatError, isNamedError } from './chat-failure/error-body.ts'
import { type AnswerContext, failureOf, inBandFailure, strangeAnswer } from './chat-failure/failure.ts'
import { contentCame, createEnding, type Ending, finishSaid, takeLinger } from './chat-answer/ending.ts'
import { documentsIn } from './chat-answer/odd-events.ts'
import { saidFinish } from './chat-answer/finish.ts'
import { createLineReader, endOfJson, type LineReader, startOfJson } from '../http/json-lines.ts'
import { asObject, isCutJson, parseJson } from './json.ts'
import { createThinkTags, type ThinkTags } from './chat-answer/think-tags.ts'
import { endIn, type Fields, fieldsOrText, isFirstOfMany, isLast, textIn, usageIn } from './text-generation-fields.ts'

export type TextAnswer = {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly secrets: readonly string[]
  readonly emit: Attempt['emit']
  readonly linger: Attempt['linger']
  readonly responseField: string
  readonly thinkTags: boolean | 'opened'
  /** The prompt, because some servers repeat it before the text. */
  readonly prompt: string
}

/** The end of a body follows its last bracket immediately, or never. */
const endWithinMs = 1_000

type Reading = {
  readonly answer: TextAnswer
  readonly pieces: string[]
  length: number
  form: 'blank' | 'json' | 'events' | 'text' | 'lines'
  isWhole: boolean
  isOver: boolean
  /** The text of a stream so far. */
  streamed: string
  channels: Pick<ThinkTags, 'write' | 'end'> | undefined
  hasText: boolean
  /** Objects without a list or events around them, one on each line. */
  lines: LineReader | undefined
  readonly ending: Ending
  usage: Usage | undefined
}

/**
 * Reads the answer of a plain server by its content: JSON with the text in a field, in the list `text` (vLLM's demo server) or in
 * `[{ generated_text }]` (TGI); server-sent events of such objects; or a bare text, if the content type is `text/plain`.
 */
export function readText(answer: TextAnswer): BodyReader {
  const reading: Reading = {
    ...{ answer, pieces: [], length: 0, form: 'blank', isWhole: false, isOver: false },
    ...{ streamed: '', channels: undefined, hasText: false, lines: undefined, ending: createEnding(), usage: undefined },
  }
  const { emit, linger } = answer
  const json = startOfJson()
  const events = eventReader(reading, { onData: readEvent, onComment: () => void emit({ type: 'queued' }) })
  const close = () => {
    reading.isWhole = true
    linger?.(() => end(reading), endWithinMs)
  }
  const isRefused = isRefusal(answer)
  if (isRefused) close()
  return {
    write(part) {
      const isFirst = reading.form === 'blank'
      keep(reading, part)
      if (isFirst) begin(reading)
      if (reading.form === 'blank') emit({ type: 'queued' })
      if (reading.form === 'events' && !isRefused) readEvents(events, isFirst ? reading.pieces.join('') : part)
      if (reading.lines !== undefined) reading.lines.write(part)
      else if (reading.form === 'json' && !reading.isWhole && endOfJson(json, part) !== undefined) {
        if (!isRefused && isFirstOfMany(firstOf(reading))) startLines(reading)
        else close()
      }
      endSoon(reading)
      return true
    },
    end() {
      if (reading.form === 'events' && !isRefused && !reading.isOver) endEvents(events)
      reading.lines?.end()
      end(reading)
    },
    isOver: () => reading.isOver,
    lost() {
      if (reading.isWhole || reading.ending.state === 'finished') end(reading)
      return reading.isOver
    },
  }
}

function isRefusal({ status }: TextAnswer): boolean {
  return status < 200 || status > 299
}

/** A stream that has said its end need not close its body (F1, F3). */
function endSoon(reading: Reading): void {
  const { form, isWhole, ending, answer } = reading
  if ((form !== 'events' && form !== 'lines') || isRefusal(answer)) return
  if (isWhole) return end(reading)
  const forMs = takeLinger(ending)
  if (forMs !== undefined) answer.linger?.(() => end(reading), forMs)
}

function firstOf({ pieces }: Reading): string {
  const text = pieces.join('').trimStart()
  return text.slice(0, endOfJson(startOfJson(), text))
}

function startLines(reading: Reading): void {
  reading.form = 'lines'
  reading.lines = createLineReader({ onLine: line => readEvent(reading, line, undefined) })
  reading.lines.write(reading.pieces.join(''))
}

function begin(reading: Reading): void {
  const text = reading.pieces
    .join('')
    .replace(/^\uFEFF/, '')
    .trimStart()
  const [first = ''] = text
  // blanks that keep the connection alive are not kept
  if (first === '') reading.pieces.length = 0
  // a field of an event may be cut anywhere
  if (first === '' || ['data:', 'event:', 'id:', 'retry:'].some(field => field !== text && field.startsWith(text))) return
  if ('{["'.includes(first)) reading.form = 'json'
  else reading.form = /^(?:data|event|id|retry)?:/.test(text) ? 'events' : 'text'
}

function keep(reading: Reading, part: string): void {
  reading.length += part.length
  if (reading.length > maxDocumentLength) {
    const message = `The answer is larger than ${inMebibytes(maxDocumentLength)}. The connection was closed.`
    throw failed('malformed-response', message, reading)
  }
  reading.pieces.push(part)
}

function end(reading: Reading): void {
  if (reading.isOver) return
  reading.isOver = true
  const { answer, form } = reading
  const body = reading.pieces.join('').replace(/^\uFEFF/, '')
  if (isRefusal(answer)) throw failureOf({ ...answer, body })
  if (form === 'events' || form === 'lines') return endStream(reading)
  const isText = form === 'text' || (form === 'blank' && body.trim() !== '')
  const text = isText ? plainText(body, answer) : textOfDocument(reading, body)
  const own = withoutPrompt(text, answer.prompt)
  if (own.trim() === '') throw failed('empty', 'The server answered with an empty text.', reading)
  reading.channels = channelsOf(reading, answer.thinkTags === 'opened' || closesUnopened(own))
  reading.channels.write(own)
  finish(reading)
}

/** Separates reasoning from text. `opened`: the text begins inside a thought. */
function channelsOf(reading: Reading, opened: boolean): Pick<ThinkTags, 'write' | 'end'> {
  const { emit, thinkTags } = reading.answer
  const onText = (text: string): void => {
    if (text === '') return
    reading.hasText ||= text.trim() !== ''
    emit({ type: 'text-delta', text })
  }
  if (thinkTags === false) return { write: onText, end: () => {} }
  return createThinkTags({ opened, onText, onReasoning: text => void emit({ type: 'reasoning-delta', text }) })
}

/**
 * Whether a complete text closes a think tag that it never opened (F64). Only a complete text shows this before it is emitted.
 */
function closesUnopened(text: string): boolean {
  const close = text.indexOf('</think>')
  return close !== -1 && !text.slice(0, close).includes('<think>')
}

function finish(reading: Reading): void {
  const { answer, channels, usage } = reading
  const { finishReason = 'stop' } = reading.ending
  channels?.end(finishReason !== 'length')
  if (!reading.hasText) throw failed('empty', 'The server answered without a text.', reading)
  answer.emit({ type: 'finish', finishReason, ...(usage === undefined ? undefined : { usage }) })
}

/** A proxy's 200 page may be plain text too, so a bare text counts only if the content type says so. */
function plainText(body: string, answer: TextAnswer): string {
  const isText = /^text\/plain\b/i.test(String(answer.headers['content-type'] ?? ''))
  if (isText && !/^\s*<(?:!doctype|html|head|body)\b/i.test(body)) return body
  throw strangeAnswer(body, answer)
}

function textOfDocument(reading: Reading, body: string): string {
  if (body.trim() === '') throw failed('overloaded', 'The server answered with an empty body.', reading)
  let value: unknown
  try {
    value = parseJson(body)
  } catch {
    // no `cause`: the parser's message quotes the answer
    throw failed(isCutJson(body) ? 'truncated' : 'malformed-response', 'The answer is not JSON, or it was cut.', reading)
  }
  const fields = fieldsOrText(value)
  if (typeof fields === 'string') return fields
  if (isNamedError(fields)) throw inBandFailure(fields, contextOf(reading))
  noteEnd(reading, fields, false)
  const text = textIn(fields, reading.answer.responseField)
  if (text !== undefined) return text
  throw isError(fields) ? inBandFailure(fields, contextOf(reading)) : withoutText(fields, reading)
}

/** A `detail` is an error when there is no text, whatever other fields there are. */
function isError(fields: Fields): boolean {
  return isNamedError(fields) || isFlatError(fields) || isErrorValue(fields['detail'])
}

/** The context that a failure is classified with: an error after content is not the request's fault (F25). */
function contextOf({ answer, hasText }: Reading): AnswerContext {
  return { ...answer, begun: hasText }
}

function withoutText(fields: Fields, { answer: { status, responseField } }: Reading): ProviderError {
  const names = Object.keys(fields).slice(0, 8).map(shortName)
  const shown = names.filter(name => name !== '').join(', ')
  return new ProviderError(
    `The answer has no text in the field '${responseField}' (its fields: ${shown === '' ? 'none with a short name' : shown}). Set the option responseField.`,
    { reason: 'malformed-response', status },
  )
}

/** `content`: there is text in the same object. */
function noteEnd(reading: Reading, fields: Fields, content: boolean): void {
  reading.usage = usageIn(fields) ?? reading.usage
  const known = saidFinish(endIn(fields))
  if (known?.failure !== undefined) throw failed(known.failure, known.message, reading)
  if (content) contentCame(reading.ending)
  // as long as there is no text, the attempt's own timeouts apply
  if (known !== undefined)
    finishSaid(reading.ending, known.finishReason, { content, opening: !content && reading.streamed === '' })
}

/** Reads `[DONE]`, or an object with either the next piece or all text so far. */
function readEvent(reading: Reading, data: string, event: string | undefined): void {
  if (reading.isWhole) return
  if (data.trim() === '[DONE]') return void (reading.isWhole = true)
  // an error event, whatever its data (F63)
  if (event === 'error') throw failureOf({ ...contextOf(reading), body: data })
  const several = documentsIn(data)
  // some servers leave out the blank line between events
  if (several.length > 1) return several.forEach(one => readEvent(reading, one, undefined))
  const fields = fieldsOf(reading, data)
  if (isNamedError(fields)) throw inBandFailure(fields, contextOf(reading))
  const piece = pieceIn(reading, fields)
  noteEnd(reading, fields, piece !== undefined && piece !== '')
  reading.isWhole = isLast(fields)
  if (piece !== undefined) add(reading, piece)
  else if (isError(fields)) throw inBandFailure(fields, contextOf(reading))
}

/** What is new in an object, which may hold all text so far. */
function pieceIn({ answer, streamed }: Reading, fields: Fields): string | undefined {
  const token = asObject(fields['token'])?.['text']
  if (typeof token === 'string') return token
  const text = textIn(fields, answer.responseField)
  const isAll = asObject(fields['meta_info']) !== undefined || Array.isArray(fields['text'])
  return isAll ? text?.slice(streamed.length) : text
}

function fieldsOf(reading: Reading, data: string): Fields {
  try {
    return asObject(parseJson(data)) ?? {}
  } catch {
    throw failed('malformed-response', `The stream contains an event that is not JSON (${data.length} characters).`, reading)
  }
}

function add(reading: Reading, piece: string): void {
  reading.streamed += piece
  reading.channels ??= channelsOf(reading, reading.answer.thinkTags === 'opened')
  reading.channels.write(piece)
}

function endStream(reading: Reading): void {
  const isEnded = reading.isWhole || reading.ending.state === 'finished'
  if (!isEnded) throw failed('truncated', 'The answer was cut: the stream ended without a finish reason or [DONE].', reading)
  finish(reading)
}

/** Removes the prompt, which vLLM's demo server and some pipelines repeat before the answer. */
function withoutPrompt(text: string, prompt: string): string {
  return prompt.length > 0 && text.length > prompt.length && text.startsWith(prompt) ? text.slice(prompt.length) : text
}

function failed(reason: ProviderError['reason'], message: string, { answer, usage }: Reading): ProviderError {
  return new ProviderError(message, { reason, status: answer.status, usage })
}
