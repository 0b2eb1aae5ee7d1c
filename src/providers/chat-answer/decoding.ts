import type { Attempt, Call, FinishReason, JsonSchema, ProviderEvent, ProviderMetadata, Usage } from '../../contract.ts'
import type { FailureReason } from '../../contract-failures.ts'
import { ProviderError } from '../../errors.ts'
import { requestIdIn } from '../../http/post.ts'
import { type Extras, extrasResult, type Halves, restOf, setExtra, wholeCharacters } from './chunk.ts'
import { contentCame, type Ending, endSaid } from './ending.ts'
import type { AnswerContext } from '../chat-failure/failure.ts'
import { asObject, jsonWork, parseJson } from '../json.ts'
import { type AnswerState, verdictOf } from './finish.ts'
import type { ThinkTags } from './think-tags.ts'
import { toolCallIdsOf } from '../tool-call-ids.ts'
import { createToolCalls, type ToolCalls } from './tool-calls.ts'
import { createToolMarkup, type ToolMarkup } from './tool-markup.ts'
import { isNothing, reportedUsage } from './usage.ts'

export type DecodeOptions = AnswerContext & {
  readonly emit: Attempt['emit']
  readonly call?: Call | undefined
  readonly thinkTags?: boolean | 'opened' | undefined
  readonly allowEmpty?: boolean | undefined
  /** Reasoning is emitted as text: the answer continues an existing text, where no thought can be open. */
  readonly isAllText?: boolean | undefined
}

/** The state of one answer. It is never shared between attempts (R10, R11). */
export type Decoding = {
  readonly options: DecodeOptions
  readonly extras: Extras
  /** Undefined when think tags are not expected, or can no longer come. */
  tags: ThinkTags | undefined
  toolCalls: ToolCalls | undefined
  /** Undefined when the call offers no tools. */
  readonly markup: ToolMarkup | undefined
  /**
   * The reasoning so far, because some servers put the answer there: all of it when the call asks for JSON (F55), and what may hold
   * markup of tool calls when it offers tools (F54).
   */
  thought: string
  id: string
  told: boolean
  readonly ending: Ending
  refusal: string
  /** State that the service wants back with this turn. */
  wanted: ProviderMetadata | undefined
  /** Whitespace before the first text, or after a finish. */
  blanks: string
  readonly halves: Halves
  hasText: boolean
  hasReasoning: boolean
  /** Text, reasoning or tool calls came in a `delta`. */
  isPieced: boolean
  /** `nothing`: no chunk has arrived. */
  seen: AnswerState['seen']
  /** The result of the last event: a reader that has caught up in the meantime does not call back again. */
  flowing: boolean
}

/** The server is working but has not sent any content: a keep-alive, a blank line, a prompt progress report. */
export function tellAlive(decoding: Decoding): void {
  const { hasText, hasReasoning, toolCalls } = decoding
  if (!hasText && !hasReasoning && countOf(toolCalls) === 0) emit(decoding, { type: 'queued' })
}

/** Whether the answer holds more than frames and reasoning. */
export function hasAnswer({ hasText, toolCalls, refusal, markup }: Decoding): boolean {
  return hasText || refusal !== '' || countOf(toolCalls) > 0 || markup?.hasBegun() === true
}

function isKept({ options, thought, markup }: Decoding, text: string): boolean {
  if (options.call?.output !== undefined) return true
  return markup !== undefined && (thought !== '' || text.includes('<') || text.includes('['))
}

/** The context that a failure is classified with: an error after content is not the request's fault (F25). */
export function contextOf({ options, hasText, hasReasoning, toolCalls }: Decoding): AnswerContext {
  return { ...options, begun: hasText || hasReasoning || countOf(toolCalls) > 0 }
}

/**
 * Whitespace alone is not content. It is held until text follows, so that no caller commits to an empty answer (R44, R47), and
 * after a finish it does not reopen the answer.
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

function emitBlanks(state: Decoding): void {
  const { blanks: text } = state
  state.blanks = ''
  emit(state, { type: 'text-delta', text })
}

export function emitReasoning(state: Decoding, part: string): void {
  if (state.options.isAllText === true) return emitText(state, part)
  const text = wholeCharacters(state.halves, 'thought', part)
  if (text === '') return
  if (isKept(state, text)) state.thought += text
  state.hasReasoning = true
  emit(state, { type: 'reasoning-delta', text })
}

/** A longer id of the answer is not repeated in each of its calls: a thousand copies of 2 MB end the process. */
const longestId = 128

export function toolCallsOf(state: Decoding): ToolCalls {
  const { call } = state.options
  state.toolCalls ??= createToolCalls({
    emit: event => emit(state, event),
    createId: position => (state.id === '' || state.id.length > longestId ? `call_${position}` : `call_${state.id}_${position}`),
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

/** The failure carries the usage: an unusable answer was still generated and billed. */
export function decodeFailure({ options, ending }: Decoding, reason: FailureReason, message: string): ProviderError {
  const { status, headers } = options
  return new ProviderError(message, { reason, status, requestId: requestIdIn(headers), usage: costOf(ending.usage) })
}

function costOf(usage: Usage | undefined): Usage | undefined {
  return usage === undefined || isNothing(usage) ? undefined : usage
}

// ---- the end

/** Ends the answer and emits `finish`, once. `complete`: the answer was one JSON document, so nothing can be missing. */
export function finishDecoding(state: Decoding, complete: boolean): void {
  if (!endSaid(state.ending)) return
  const { options } = state
  const { finishReason } = state.ending
  state.tags?.end(finishReason !== 'length')
  emitReasoning(state, restOf(state.halves, 'thought'))
  emitText(state, restOf(state.halves, 'text'))
  readRest(state, complete || finishReason !== undefined)
  if (state.hasText && state.blanks !== '') emitBlanks(state)
  const { toolCalls } = state
  const verdict = verdictOf({
    ...state,
    finishReason,
    toolCalls: countOf(toolCalls),
    complete,
    allowEmpty: options.allowEmpty === true,
  })
  if ('failure' in verdict) throw decodeFailure(state, verdict.failure, verdict.message)
  const { wanted } = state
  if (wanted !== undefined) emit(state, { type: 'reasoning-delta', text: '', providerMetadata: wanted })
  const fault = toolCalls?.close()
  if (fault !== undefined) throw decodeFailure(state, 'invalid-output', brokenToolCall(fault, finishReason))
  emitFinish(state, verdict.finishReason)
}

/** Reads what was held back: markup of tool calls, or an answer sent as reasoning. */
function readRest(state: Decoding, isEnded: boolean): void {
  const isRead = readMarkup(state)
  if (!isEnded) return
  if (!isRead) throw decodeFailure(state, 'malformed-response', leakedMarkup)
  const { finishReason } = state.ending
  if (finishReason === 'length' || hasAnswer(state)) return
  if (finishReason !== 'content-filter') callsFromThought(state)
  if (!hasAnswer(state)) answerFromThought(state)
}

const leakedMarkup =
  'The server left the markup of tool calls in the text, and the markup cannot be read. Start the server with the tool call parser of its model.'

/** Returns whether all tool-call markup could be parsed. Calls that the server parsed itself come before those in the text. */
function readMarkup(state: Decoding): boolean {
  const { text = '', toolCalls } = state.markup?.end() ?? {}
  if (text !== '') emitText(state, text)
  if (toolCalls === undefined || countOf(state.toolCalls) > 0) return true
  for (const call of toolCalls) toolCallsOf(state).add([call])
  return toolCalls.length > 0
}

/**
 * F54: the server took the markup of tool calls for reasoning. The calls count only as the last thing in the thought, because a
 * model also drafts calls that it then discards.
 */
function callsFromThought(state: Decoding): void {
  const { tools, toolChoice } = state.options.call ?? {}
  if (tools === undefined || toolChoice === 'none' || state.thought === '') return
  const markup = createToolMarkup(tools)
  markup.write(state.thought)
  const { text, toolCalls = [] } = markup.end()
  const isOffered = toolCalls.every(call => Object.hasOwn(tools, call.function.name))
  if (text.trim() !== '' || !isOffered) return
  for (const call of toolCalls) toolCallsOf(state).add([call])
}

/** F55: the guided JSON came in the reasoning field, and the content field stayed empty. */
function answerFromThought(state: Decoding): void {
  const { output } = state.options.call ?? {}
  if (output !== undefined && isGuidedAnswer(state.thought, output.schema)) emitText(state, state.thought)
}

function emitFinish(state: Decoding, finishReason: FinishReason): void {
  const { options, extras, refusal } = state
  const { usage } = state.ending
  if (refusal !== '') setExtra(extras, 'refusal', refusal)
  const requestId = state.told ? undefined : requestIdIn(options.headers)
  if (requestId !== undefined) emit(state, { type: 'response-metadata', requestId })
  emit(state, {
    type: 'finish',
    finishReason,
    usage: hasAnswer(state) || state.hasReasoning ? reportedUsage(usage, state.hasReasoning) : usage,
    providerMetadata: extrasResult(extras),
  })
}

/** The model wrote the broken input, so neither the target nor its health is charged. */
function brokenToolCall(fault: string, finishReason: AnswerState['finishReason']): string {
  const cut = finishReason === 'length' ? ' The token limit cut the answer off. Raise maxOutputTokens.' : ''
  return `The tool calls of the answer are not usable: ${fault}.${cut}`
}

/** Whether the reasoning looks like the requested JSON. Only the outline is compared: full validation follows, as always. */
function isGuidedAnswer(thought: string, schema: JsonSchema | undefined): boolean {
  const text = thought.trim()
  if (!/^[{[]/.test(text)) return false
  try {
    // the answer is parsed once more, in the same step
    return fitsOutline(parseJson(text, jsonWork(2)), schema ?? {})
  } catch {
    return false
  }
}

function fitsOutline(value: unknown, { type, required }: JsonSchema): boolean {
  if (type === 'array') return Array.isArray(value)
  const object = asObject(value)
  if (type === 'object' && object === undefined) return false
  if (!Array.isArray(required) || object === undefined) return true
  return required.every(name => typeof name !== 'string' || Object.hasOwn(object, name))
}
