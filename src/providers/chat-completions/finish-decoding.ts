import type { FinishReason } from '../../contract.ts'
import type { Decoding } from './decode.ts'
import { countOf, decodeFailure, emit, emitBlanks, emitReasoning, emitText, hasAnswer, toolCallsOf } from './decode.ts'
import { endSaid } from './ending.ts'
import { extrasResult, setExtra } from './extras.ts'
import { requestIdOf } from './failure.ts'
import { isGuidedAnswer } from './guided-answer.ts'
import { reportedUsage } from './usage.ts'
import type { AnswerState } from './verdict.ts'
import { verdictOf } from './verdict.ts'
import { restOf } from './whole-characters.ts'

/** The answer is over. `complete`: it was one JSON document, so nothing of it can be missing. Emits `finish`, once. */
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
  const fault = toolCalls?.close()
  if (fault !== undefined) throw decodeFailure(state, 'invalid-output', brokenToolCall(fault, finishReason))
  emitFinish(state, verdict.finishReason)
}

/** What was held back: the markup of tool calls, or an answer in the place of a thought. */
function readRest(state: Decoding, isEnded: boolean): void {
  const isRead = readMarkup(state)
  if (!isEnded) return
  if (!isRead) throw decodeFailure(state, 'malformed-response', leakedMarkup)
  if (state.ending.finishReason !== 'length' && !hasAnswer(state)) answerFromThought(state)
}

const leakedMarkup =
  'The server left the markup of tool calls in the text, and it cannot be read. Start it with the tool call parser of its model.'

/** Answers whether what there was of it can be read. Calls that the server has read itself go before those in the text. */
function readMarkup(state: Decoding): boolean {
  const { text = '', toolCalls } = state.markup?.end() ?? {}
  if (text !== '') emitText(state, text)
  if (toolCalls === undefined || countOf(state.toolCalls) > 0) return true
  for (const call of toolCalls) toolCallsOf(state).add([call])
  return toolCalls.length > 0
}

/** F55: guided JSON in the field for thoughts, and nothing in the one for the answer. */
function answerFromThought(state: Decoding): void {
  const { output } = state.options.call ?? {}
  if (output !== undefined && isGuidedAnswer(state.thought, output.schema)) emitText(state, state.thought)
}

function emitFinish(state: Decoding, finishReason: FinishReason): void {
  const { options, extras, refusal } = state
  const { usage } = state.ending
  if (refusal !== '') setExtra(extras, 'refusal', refusal)
  const requestId = state.told ? undefined : requestIdOf(options.headers)
  if (requestId !== undefined) emit(state, { type: 'response-metadata', requestId })
  emit(state, {
    type: 'finish',
    finishReason,
    usage: hasAnswer(state) || state.hasReasoning ? reportedUsage(usage, state.hasReasoning) : usage,
    providerMetadata: extrasResult(extras),
  })
}

/** The input of a call is the model's work, so neither the target nor its health is to blame. */
function brokenToolCall(fault: string, finishReason: AnswerState['finishReason']): string {
  const cut = finishReason === 'length' ? ' The token limit cut it: raise maxOutputTokens.' : ''
  return `No tool call is handed out: ${fault}.${cut}`
}
