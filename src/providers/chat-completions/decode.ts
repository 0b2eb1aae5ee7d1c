import type { FailureReason, ProviderEvent } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { Choice, Chunk, Part } from './chunk.ts'
import { choiceOf, isReasoningPart, reasoningOf, textOfPart } from './chunk.ts'
import { isErrorValue, isFlatError } from './error-body.ts'
import type { Extras } from './extras.ts'
import { createExtras } from './extras.ts'
import type { AnswerContext } from './failure.ts'
import { inBandFailure, requestIdOf } from './failure.ts'
import { finishOf } from './finish-reason.ts'
import { mayReachPrototype, parseJson } from './parse-json.ts'
import type { TextField } from './same-shape.ts'
import type { ThinkTags } from './think-tags.ts'
import { createThinkTags } from './think-tags.ts'
import type { ToolCalls } from './tool-calls.ts'
import { createToolCalls } from './tool-calls.ts'
import { usageOf } from './usage.ts'
import type { AnswerState } from './verdict.ts'
import { verdictOf } from './verdict.ts'

export type DecoderOptions = AnswerContext & {
  emit(event: ProviderEvent): void
  readonly thinkTags?: boolean | 'opened' | undefined
  readonly allowEmpty?: boolean | undefined
}

/** Turns the JSON of one answer into events. Of itself it throws a `ProviderError` and nothing else (R115). */
export type Decoder = {
  /** One chunk of a stream, or a whole answer. `raw` is the JSON it was parsed from. */
  chunk(chunk: Chunk, raw: string): void
  /** The text of a chunk in which nothing else is news. */
  text(field: TextField, text: string): void
  /** The server is still at it, and has sent nothing of an answer: a keep-alive, a blank line, a report on the prompt. */
  alive(): void
  /** The answer is over. `complete`: it was one JSON document, so nothing of it can be missing. Emits `finish`, once. */
  finish(complete: boolean): void
  finished(): boolean
  /** Reason and usage are here: nothing more is needed, and a server that forgets `[DONE]` and the end need not be waited for. */
  isWhole(): boolean
  /** No chunk has come. */
  untouched(): boolean
  fail(reason: FailureReason, message: string): ProviderError
}

/** Everything that is known of one answer; never shared between attempts (R10, R11). */
type State = {
  readonly options: DecoderOptions
  readonly extras: Extras
  tags: ThinkTags | undefined
  toolCalls: ToolCalls
  id: string
  told: boolean
  finishReason: AnswerState['finishReason']
  usage: unknown
  refusal: string
  /** What came before the first text. */
  blanks: string
  hasText: boolean
  hasReasoning: boolean
  seen: AnswerState['seen']
  finished: boolean
}

export function createDecoder(options: DecoderOptions): Decoder {
  const state = stateOf(options)
  return {
    chunk: (chunk, raw) => readChunk(state, chunk, raw),
    text: (field, text) => (field === 'content' ? readText(state, text) : emitReasoning(state, text)),
    alive() {
      if (!state.hasText && !state.hasReasoning && state.toolCalls.count() === 0) options.emit({ type: 'queued' })
    },
    finish: complete => finish(state, complete),
    // methods: a getter in a literal gives every decoder a shape of its own, and then no inline cache on the way of a token hits
    finished: () => state.finished,
    isWhole: () => state.finishReason !== undefined && isPresent(state.usage),
    untouched: () => state.seen === 'nothing',
    fail: (reason, message) => failed(state, reason, message),
  }
}

function stateOf(options: DecoderOptions): State {
  const { emit, thinkTags = false } = options
  const createId = (position: number) => (state.id === '' ? `call_${position}` : `call_${state.id}_${position}`)
  const state: State = {
    options,
    extras: createExtras(),
    tags: undefined,
    toolCalls: createToolCalls({ emit, createId }),
    id: '',
    told: false,
    finishReason: undefined,
    usage: undefined,
    refusal: '',
    blanks: '',
    hasText: false,
    hasReasoning: false,
    seen: 'nothing',
    finished: false,
  }
  if (thinkTags !== false) {
    const onText = (text: string) => emitText(state, text)
    const onReasoning = (text: string) => emitReasoning(state, text)
    state.tags = createThinkTags({ opened: thinkTags === 'opened', onText, onReasoning })
  }
  return state
}

/** The road of every token: a few property reads and one event. No closure, no spread, no pattern. */
function readChunk(state: State, chunk: Chunk, raw: string): void {
  if (chunk.error !== undefined && isErrorValue(chunk.error)) throw inBandFailure(chunk, state.options)
  if (!state.told) tell(state, chunk)
  if (chunk.usage !== undefined && chunk.usage !== null) state.usage = chunk.usage
  const choice = choiceOf(chunk)
  if (choice === undefined) return readRest(state, chunk, raw)
  state.seen = 'choice'
  const known = readPart(state, choice.delta ?? choice.message ?? choice)
  if (!known || isRich(choice)) state.extras.add(cleaned(chunk, raw))
  if (typeof choice.finish_reason === 'string') readFinish(state, choice, choice.finish_reason)
}

/** More stands in it than a piece of an answer. */
function isRich(choice: Choice): boolean {
  return isPresent(choice.finish_reason) || isPresent(choice.logprobs)
}

/** Answers whether there was something of an answer in it. */
function readPart(state: State, part: Part): boolean {
  const reasoning = reasoningOf(part)
  if (reasoning !== '') emitReasoning(state, reasoning)
  const text = part.content ?? part.text
  if (typeof text === 'string') readText(state, text)
  else if (Array.isArray(text)) readParts(state, text)
  if (typeof part.refusal === 'string') state.refusal += part.refusal
  if (isPresent(part.tool_calls)) state.toolCalls.add(part.tool_calls)
  else if (isPresent(part.function_call)) state.toolCalls.add([{ index: 0, function: part.function_call }])
  else return reasoning !== '' || (typeof text === 'string' && text !== '')
  return true
}

function readText(state: State, text: string): void {
  if (text === '') return
  if (state.tags === undefined) emitText(state, text)
  else state.tags.write(text)
}

function readParts(state: State, parts: readonly unknown[]): void {
  for (const part of parts) {
    const text = textOfPart(part)
    if (text !== '' && isReasoningPart(part)) emitReasoning(state, text)
    else readText(state, text)
  }
}

/** Blanks alone are no content: they wait for the text that they belong to, so that no caller commits to an empty answer (R44, R47). */
function emitText(state: State, text: string): void {
  if (state.hasText) return state.options.emit({ type: 'text-delta', text })
  state.blanks += text
  if (text.trim() === '') return
  state.hasText = true
  state.options.emit({ type: 'text-delta', text: state.blanks })
}

function emitReasoning(state: State, text: string): void {
  state.hasReasoning = true
  state.options.emit({ type: 'reasoning-delta', text })
}

/** A chunk without a choice of ours: usage, a filter's report, another of `n` choices, or an error that is not called one. */
function readRest(state: State, chunk: Chunk, raw: string): void {
  const hasChoices = chunk.choices !== undefined
  if (!hasChoices && isFlatError(chunk)) throw inBandFailure(chunk, state.options)
  if (state.seen !== 'choice') state.seen = hasChoices || state.seen === 'choices' ? 'choices' : 'other'
  if (hasChoices) state.extras.add(cleaned(chunk, raw))
}

function readFinish(state: State, choice: Choice, reason: string): void {
  // StepFun sends it on chunks that are not the last
  if (reason === '') return
  const end = finishOf(reason)
  // Moonshot puts it here
  state.usage ??= choice.usage
  if (end.failure !== undefined) {
    throw isErrorValue(choice.error) ? inBandFailure(choice.error, state.options) : failed(state, end.failure, end.message)
  }
  state.finishReason ??= end.finishReason
}

function tell(state: State, { id, model }: Chunk): void {
  if (typeof id === 'string') state.id = id
  const named = typeof model === 'string' && model !== '' ? model : undefined
  if (state.id === '' && named === undefined) return
  state.told = true
  const { emit, headers } = state.options
  emit({ type: 'response-metadata', id: state.id === '' ? undefined : state.id, model: named, requestId: requestIdOf(headers) })
}

function finish(state: State, complete: boolean): void {
  if (state.finished) return
  const { options, extras, toolCalls, finishReason, refusal } = state
  state.tags?.end(finishReason !== 'length')
  const verdict = verdictOf({ ...state, toolCalls: toolCalls.count(), complete, allowEmpty: options.allowEmpty === true })
  if ('failure' in verdict) throw failed(state, verdict.failure, verdict.message)
  const fault = toolCalls.close()
  if (fault !== undefined) throw failed(state, 'invalid-output', brokenToolCall(fault, finishReason))
  state.finished = true
  if (refusal !== '') extras.set('refusal', refusal)
  const requestId = state.told ? undefined : requestIdOf(options.headers)
  if (requestId !== undefined) options.emit({ type: 'response-metadata', requestId })
  options.emit({
    type: 'finish',
    finishReason: verdict.finishReason,
    usage: usageOf(state.usage),
    providerMetadata: extras.result(),
  })
}

/** The input of a call is the model's work, so neither the target nor its health is to blame. */
function brokenToolCall(fault: string, finishReason: State['finishReason']): string {
  const cut = finishReason === 'length' ? ' The token limit cut it: raise maxOutputTokens.' : ''
  return `No tool call is handed out: ${fault}.${cut}`
}

/** With what it cost: an answer that is none was made, and billed, all the same. */
function failed({ options, usage }: State, reason: FailureReason, message: string): ProviderError {
  const { status, headers } = options
  return new ProviderError(message, { reason, status, requestId: requestIdOf(headers), usage: usageOf(usage) })
}

/** The same chunk, without keys that would reach a prototype in the hands of a caller who merges it. */
function cleaned(chunk: Chunk, raw: string): Chunk {
  return mayReachPrototype(raw) ? (parseJson(raw) as Chunk) : chunk
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}
