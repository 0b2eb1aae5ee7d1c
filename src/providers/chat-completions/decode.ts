import type { Attempt, Call, FailureReason, ProviderEvent, Usage } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { Choice, Chunk, Part } from './chunk.ts'
import { choiceOf, isReasoningPart, reasoningOf, textOfPart } from './chunk.ts'
import type { Ending } from './ending.ts'
import { contentCame, createEnding, finishSaid, usageCame, usageClosed } from './ending.ts'
import { isErrorValue, isFlatError, isNamedError } from './error-body.ts'
import type { Extras } from './extras.ts'
import { addExtras } from './extras.ts'
import type { AnswerContext } from './failure.ts'
import { inBandFailure, requestIdOf } from './failure.ts'
import { choiceFinish } from './finish-reason.ts'
import type { TextField } from './same-shape.ts'
import { createThinkTags, type ThinkTags } from './think-tags.ts'
import { toolCallIdsOf } from './tool-call-ids.ts'
import type { ToolCalls } from './tool-calls.ts'
import { createToolCalls } from './tool-calls.ts'
import { isNothing, usageOf } from './usage.ts'
import type { AnswerState } from './verdict.ts'
import type { ToolMarkup } from './tool-markup.ts'
import { markupOf } from './tool-markup.ts'
import { type Halves, wholeCharacters } from './whole-characters.ts'

export type DecodeOptions = AnswerContext & {
  readonly emit: Attempt['emit']
  readonly call?: Call | undefined
  readonly thinkTags?: boolean | 'opened' | undefined
  readonly allowEmpty?: boolean | undefined
  /** What is told as reasoning is text: the answer goes on from a text, behind which no thought is open. */
  readonly isAllText?: boolean | undefined
}

/** Everything that is known of one answer; never shared between attempts (R10, R11). */
export type Decoding = {
  readonly options: DecodeOptions
  readonly extras: Extras
  /** Undefined where none are looked for, and when none can come any more. */
  tags: ThinkTags | undefined
  toolCalls: ToolCalls | undefined
  /** Undefined where no tools were offered. */
  readonly markup: ToolMarkup | undefined
  /** What was thought, where a form was asked for: some servers put the answer there (F55). */
  thought: string
  id: string
  told: boolean
  readonly ending: Ending
  refusal: string
  /** What came before the first text, or behind a finish. */
  blanks: string
  readonly halves: Halves
  hasText: boolean
  hasReasoning: boolean
  /** `nothing`: no chunk has come. */
  seen: AnswerState['seen']
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
    markup: markupOf(options.call),
    thought: '',
    id: '',
    told: false,
    ending: createEnding(),
    refusal: '',
    blanks: '',
    halves: { text: '', thought: '' },
    hasText: false,
    hasReasoning: false,
    seen: 'nothing',
    flowing: true,
  }
  if (thinkTags !== false) {
    const onText = (text: string) => sayText(decoding, text)
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

/**
 * One chunk of a stream, or a whole answer.
 *
 * The road of every token: a few property reads and one event. No closure, no spread, no pattern.
 */
export function decodeChunk(state: Decoding, chunk: Chunk): void {
  if (isNamedError(chunk)) throw inBandFailure(chunk, contextOf(state))
  if (!state.told) tell(state, chunk)
  const choice = choiceOf(chunk)
  // Moonshot puts it into the choice
  const usage = usageOf(chunk.usage) ?? usageOf(choice?.usage)
  usageCame(state.ending, usage)
  if (choice === undefined) readRest(state, chunk)
  else readChoice(state, choice, chunk)
  if (usage !== undefined && !isNothing(usage) && hasAnswer(state)) usageClosed(state.ending, choice === undefined)
}

function readChoice(state: Decoding, choice: Choice, chunk: Chunk): void {
  state.seen = 'choice'
  const part = choice.delta ?? choice.message ?? choice
  const known = readPart(state, part)
  if (!known || isRich(choice)) addExtras(state.extras, chunk)
  readFinish(state, choice, known)
  // what is behind a finish is no content, and must not wait for a slow reader
  if (!known && state.ending.state === 'finished') state.flowing = true
}

function readFinish(state: Decoding, choice: Choice, known: boolean): void {
  const end = choiceFinish(choice)
  if (end === undefined) return
  if (end.failure !== undefined) {
    throw isErrorValue(choice.error)
      ? inBandFailure(choice.error, contextOf(state))
      : decodeFailure(state, end.failure, end.message)
  }
  const isBare = !hasAnswer(state)
  finishSaid(state.ending, end.finishReason, {
    content: known,
    opening: isBare && !state.hasReasoning && isOpening(choice),
    thinking: isBare && known && state.hasReasoning,
  })
}

/** The frame that begins a message, before anything of it. */
function isOpening({ delta, message }: Choice): boolean {
  return isPresent((delta ?? message)?.['role']) || delta?.content === ''
}

/** There is more than a frame and thoughts. */
export function hasAnswer({ hasText, toolCalls, refusal, markup }: Decoding): boolean {
  return hasText || refusal !== '' || countOf(toolCalls) > 0 || markup?.hasBegun() === true
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
  if (state.tags === undefined) return sayText(state, text)
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

/** Text for the reader, without tool calls that the server left in it (F54). */
function sayText(state: Decoding, text: string): void {
  if (state.markup === undefined) return emitText(state, text)
  const plain = state.markup.write(text)
  if (plain !== '') emitText(state, plain)
  else tellAlive(state)
}

/**
 * Blanks alone are no content: they wait for the text that they belong to, so that no caller commits to an empty answer (R44, R47), and
 * behind a finish they do not reopen the answer.
 */
export function emitText(state: Decoding, part: string): void {
  const text = wholeCharacters(state.halves, 'text', part)
  if (text === '') return
  const { hasText, blanks, ending } = state
  if (hasText && blanks === '' && ending.state !== 'finished') return emit(state, { type: 'text-delta', text })
  state.blanks += text
  if (text.trim() === '') return
  state.hasText = true
  emitBlanks(state)
}

export function emitBlanks(state: Decoding): void {
  const { blanks: text } = state
  state.blanks = ''
  emit(state, { type: 'text-delta', text })
}

export function emitReasoning(state: Decoding, part: string): void {
  if (state.options.isAllText === true) return emitText(state, part)
  const text = wholeCharacters(state.halves, 'thought', part)
  if (text === '') return
  if (state.options.call?.output !== undefined) state.thought += text
  state.hasReasoning = true
  emit(state, { type: 'reasoning-delta', text })
}

/** A chunk without a choice of ours: usage, a filter's report, another of `n` choices, or an error that is not called one. */
function readRest(state: Decoding, chunk: Chunk): void {
  const hasChoices = chunk.choices !== undefined
  if (!hasChoices && isFlatError(chunk)) throw inBandFailure(chunk, contextOf(state))
  if (state.seen !== 'choice') state.seen = hasChoices || state.seen === 'choices' ? 'choices' : 'other'
  if (hasChoices) addExtras(state.extras, chunk)
}

function tell(state: Decoding, { id, model }: Chunk): void {
  if (typeof id === 'string') state.id = id
  const named = typeof model === 'string' && model !== '' ? model : undefined
  if (state.id === '' && named === undefined) return
  state.told = true
  const requestId = requestIdOf(state.options.headers)
  emit(state, { type: 'response-metadata', id: state.id === '' ? undefined : state.id, model: named, requestId })
}

export function toolCallsOf(state: Decoding): ToolCalls {
  const { call } = state.options
  state.toolCalls ??= createToolCalls({
    emit: event => emit(state, event),
    createId: position => (state.id === '' ? `call_${position}` : `call_${state.id}_${position}`),
    tools: Object.keys(call?.tools ?? {}),
    takenIds: toolCallIdsOf(call?.messages ?? []),
  })
  return state.toolCalls
}

export function countOf(toolCalls: ToolCalls | undefined): number {
  return toolCalls?.count() ?? 0
}

export function emit(state: Decoding, event: ProviderEvent): void {
  if (state.ending.state === 'finished' && isContent(event)) contentCame(state.ending)
  state.flowing = state.options.emit(event)
}

function isContent({ type }: ProviderEvent): boolean {
  return type === 'text-delta' || type === 'reasoning-delta' || type === 'tool-call-delta'
}

/** With what it cost: an answer that is none was made, and billed, all the same. */
export function decodeFailure({ options, ending }: Decoding, reason: FailureReason, message: string): ProviderError {
  const { status, headers } = options
  return new ProviderError(message, { reason, status, requestId: requestIdOf(headers), usage: costOf(ending.usage) })
}

function costOf(usage: Usage | undefined): Usage | undefined {
  return usage === undefined || isNothing(usage) ? undefined : usage
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}
