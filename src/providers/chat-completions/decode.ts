import type { Attempt, Call, FailureReason, ProviderEvent } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { Choice, Chunk, Part } from './chunk.ts'
import { choiceOf, isReasoningPart, reasoningOf, textOfPart } from './chunk.ts'
import { isBadBaseResponse, isErrorValue, isFlatError } from './error-body.ts'
import type { Extras } from './extras.ts'
import { addExtras, extrasResult, setExtra } from './extras.ts'
import type { AnswerContext } from './failure.ts'
import { inBandFailure, requestIdOf } from './failure.ts'
import { finishOf } from './finish-reason.ts'
import { mayReachPrototype, parseJson } from './parse-json.ts'
import type { TextField } from './same-shape.ts'
import type { ThinkTags } from './think-tags.ts'
import { createThinkTags } from './think-tags.ts'
import { toolCallIdsOf } from './tool-call-ids.ts'
import type { ToolCalls } from './tool-calls.ts'
import { createToolCalls } from './tool-calls.ts'
import { usageOf } from './usage.ts'
import type { AnswerState } from './verdict.ts'
import { verdictOf } from './verdict.ts'

export type DecodeOptions = AnswerContext & {
  readonly emit: Attempt['emit']
  readonly call?: Call | undefined
  readonly thinkTags?: boolean | 'opened' | undefined
  readonly allowEmpty?: boolean | undefined
}

/** Everything that is known of one answer; never shared between attempts (R10, R11). */
export type Decoding = {
  readonly options: DecodeOptions
  readonly extras: Extras
  /** Undefined where none are looked for, and when none can come any more. */
  tags: ThinkTags | undefined
  toolCalls: ToolCalls | undefined
  id: string
  told: boolean
  finishReason: AnswerState['finishReason']
  usage: unknown
  refusal: string
  /** What came before the first text. */
  blanks: string
  hasText: boolean
  hasReasoning: boolean
  /** `nothing`: no chunk has come. */
  seen: AnswerState['seen']
  /** `finish` was emitted. */
  finished: boolean
  /** What was answered to the last event: a reader that has caught up in the meantime will not call back again. */
  flowing: boolean
}

/** Turns the JSON of one answer into events. Of itself it throws a `ProviderError` and nothing else (R115). */
export function startDecoding(options: DecodeOptions): Decoding {
  const { thinkTags = false } = options
  const decoding: Decoding = {
    options,
    extras: { found: undefined, logprobs: undefined },
    tags: undefined,
    toolCalls: undefined,
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
    flowing: true,
  }
  if (thinkTags !== false) {
    const onText = (text: string) => emitText(decoding, text)
    const onReasoning = (text: string) => emitReasoning(decoding, text)
    decoding.tags = createThinkTags({ opened: thinkTags === 'opened', onText, onReasoning })
  }
  return decoding
}

/** The text of a chunk in which nothing else is news. */
export function decodeText(decoding: Decoding, field: TextField, text: string): void {
  if (field === 'content') readText(decoding, text)
  else emitReasoning(decoding, text)
}

/** The server is still at it, and has sent nothing of an answer: a keep-alive, a blank line, a report on the prompt. */
export function tellAlive(decoding: Decoding): void {
  const { hasText, hasReasoning, toolCalls } = decoding
  if (!hasText && !hasReasoning && countOf(toolCalls) === 0) emit(decoding, { type: 'queued' })
}

/** Reason and usage are here: nothing more is needed, and a server that forgets `[DONE]` and the end need not be waited for. */
export function isWhole({ finishReason, usage }: Decoding): boolean {
  return finishReason !== undefined && isPresent(usage)
}

/**
 * One chunk of a stream, or a whole answer. `raw` is the JSON it was parsed from.
 *
 * The road of every token: a few property reads and one event. No closure, no spread, no pattern.
 */
export function decodeChunk(state: Decoding, chunk: Chunk, raw: string): void {
  if (isFailed(chunk)) throw inBandFailure(chunk, contextOf(state))
  if (!state.told) tell(state, chunk)
  if (chunk.usage !== undefined && chunk.usage !== null) state.usage = chunk.usage
  const choice = choiceOf(chunk)
  if (choice === undefined) return readRest(state, chunk, raw)
  state.seen = 'choice'
  const known = readPart(state, choice.delta ?? choice.message ?? choice)
  if (!known || isRich(choice)) addExtras(state.extras, cleaned(chunk, raw))
  if (typeof choice.finish_reason === 'string') readFinish(state, choice, choice.finish_reason)
}

function isFailed({ error, base_resp: response }: Chunk): boolean {
  return (error !== undefined && isErrorValue(error)) || (response !== undefined && isBadBaseResponse(response))
}

/** What the failure of an answer is judged by: an error after content is no fault of the request (F25). */
export function contextOf({ options, hasText, hasReasoning, toolCalls }: Decoding): AnswerContext {
  return { ...options, begun: hasText || hasReasoning || countOf(toolCalls) > 0 }
}

/** More stands in it than a piece of an answer. */
function isRich(choice: Choice): boolean {
  return isPresent(choice.finish_reason) || isPresent(choice.logprobs)
}

/** Answers whether there was something of an answer in it. */
function readPart(state: Decoding, part: Part): boolean {
  const reasoning = reasoningOf(part)
  if (reasoning !== '') emitReasoning(state, reasoning)
  const text = part.content ?? part.text
  if (typeof text === 'string') readText(state, text)
  else if (Array.isArray(text)) readParts(state, text)
  if (typeof part.refusal === 'string') state.refusal += part.refusal
  if (isPresent(part.tool_calls)) toolCallsOf(state).add(part.tool_calls)
  else if (isPresent(part.function_call)) toolCallsOf(state).add([{ index: 0, function: part.function_call }])
  else return reasoning !== '' || (typeof text === 'string' && text !== '')
  return true
}

function readText(state: Decoding, text: string): void {
  if (text === '') return
  if (state.tags === undefined) return emitText(state, text)
  state.tags.write(text)
  if (state.tags.isOver()) state.tags = undefined
}

function readParts(state: Decoding, parts: readonly unknown[]): void {
  for (const part of parts) {
    const text = textOfPart(part)
    if (text !== '' && isReasoningPart(part)) emitReasoning(state, text)
    else readText(state, text)
  }
}

/** Blanks alone are no content: they wait for the text that they belong to, so that no caller commits to an empty answer (R44, R47). */
function emitText(state: Decoding, text: string): void {
  if (state.hasText) return emit(state, { type: 'text-delta', text })
  state.blanks += text
  if (text.trim() === '') return
  state.hasText = true
  emit(state, { type: 'text-delta', text: state.blanks })
}

function emitReasoning(state: Decoding, text: string): void {
  state.hasReasoning = true
  emit(state, { type: 'reasoning-delta', text })
}

/** A chunk without a choice of ours: usage, a filter's report, another of `n` choices, or an error that is not called one. */
function readRest(state: Decoding, chunk: Chunk, raw: string): void {
  const hasChoices = chunk.choices !== undefined
  if (!hasChoices && isFlatError(chunk)) throw inBandFailure(chunk, contextOf(state))
  if (state.seen !== 'choice') state.seen = hasChoices || state.seen === 'choices' ? 'choices' : 'other'
  if (hasChoices) addExtras(state.extras, cleaned(chunk, raw))
}

function readFinish(state: Decoding, choice: Choice, reason: string): void {
  // StepFun sends it on chunks that are not the last
  if (reason === '') return
  const end = finishOf(reason)
  // Moonshot puts it here
  state.usage ??= choice.usage
  if (end.failure !== undefined) {
    throw isErrorValue(choice.error)
      ? inBandFailure(choice.error, contextOf(state))
      : decodeFailure(state, end.failure, end.message)
  }
  state.finishReason ??= end.finishReason
}

function tell(state: Decoding, { id, model }: Chunk): void {
  if (typeof id === 'string') state.id = id
  const named = typeof model === 'string' && model !== '' ? model : undefined
  if (state.id === '' && named === undefined) return
  state.told = true
  const requestId = requestIdOf(state.options.headers)
  emit(state, { type: 'response-metadata', id: state.id === '' ? undefined : state.id, model: named, requestId })
}

/** The answer is over. `complete`: it was one JSON document, so nothing of it can be missing. Emits `finish`, once. */
export function finishDecoding(state: Decoding, complete: boolean): void {
  if (state.finished) return
  const { options, extras, toolCalls, finishReason, refusal } = state
  state.tags?.end(finishReason !== 'length')
  const verdict = verdictOf({ ...state, toolCalls: countOf(toolCalls), complete, allowEmpty: options.allowEmpty === true })
  if ('failure' in verdict) throw decodeFailure(state, verdict.failure, verdict.message)
  const fault = toolCalls?.close()
  if (fault !== undefined) throw decodeFailure(state, 'invalid-output', brokenToolCall(fault, finishReason))
  state.finished = true
  if (refusal !== '') setExtra(extras, 'refusal', refusal)
  const requestId = state.told ? undefined : requestIdOf(options.headers)
  if (requestId !== undefined) emit(state, { type: 'response-metadata', requestId })
  emit(state, {
    type: 'finish',
    finishReason: verdict.finishReason,
    usage: usageOf(state.usage),
    providerMetadata: extrasResult(extras),
  })
}

function toolCallsOf(state: Decoding): ToolCalls {
  const { call } = state.options
  state.toolCalls ??= createToolCalls({
    emit: event => emit(state, event),
    createId: position => (state.id === '' ? `call_${position}` : `call_${state.id}_${position}`),
    tools: Object.keys(call?.tools ?? {}),
    takenIds: toolCallIdsOf(call?.messages ?? []),
  })
  return state.toolCalls
}

function countOf(toolCalls: ToolCalls | undefined): number {
  return toolCalls?.count() ?? 0
}

function emit(state: Decoding, event: ProviderEvent): void {
  state.flowing = state.options.emit(event)
}

/** The input of a call is the model's work, so neither the target nor its health is to blame. */
function brokenToolCall(fault: string, finishReason: Decoding['finishReason']): string {
  const cut = finishReason === 'length' ? ' The token limit cut it: raise maxOutputTokens.' : ''
  return `No tool call is handed out: ${fault}.${cut}`
}

/** With what it cost: an answer that is none was made, and billed, all the same. */
export function decodeFailure({ options, usage }: Decoding, reason: FailureReason, message: string): ProviderError {
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
