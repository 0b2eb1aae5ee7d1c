import { requestIdIn } from '../../http/post.ts'
import { isErrorValue, isFlatError, isNamedError } from '../chat-failure/error-body.ts'
import { inBandFailure } from '../chat-failure/failure.ts'
import { asObject } from '../json.ts'
import { addTurnState } from '../service-state.ts'
import {
  addExtras,
  bringsState,
  type Choice,
  choiceOf,
  type Chunk,
  isOpening,
  isPresent,
  isReasoningPart,
  isRich,
  messageOf,
  newsOf,
  type Part,
  reasoningOf,
  textOfPart,
  type TextField,
  toolCallsIn,
} from './chunk.ts'
import {
  contextOf,
  decodeFailure,
  type DecodeOptions,
  type Decoding,
  emit,
  emitReasoning,
  emitText,
  hasAnswer,
  tellAlive,
  toolCallsOf,
} from './decoding.ts'
import { createEnding, finishSaid, usageCame, usageClosed } from './ending.ts'
import { finishIn } from './finish.ts'
import { createThinkTags } from './think-tags.ts'
import { markupOf } from './tool-markup.ts'
import { isNothing, usageIn } from './usage.ts'

/** Turns the JSON of one answer into events. Its own errors are always a `ProviderError` (R115). */
export function startDecoding(options: DecodeOptions): Decoding {
  const { thinkTags = false } = options
  const decoding: Decoding = {
    options,
    extras: { found: undefined, logprobs: undefined },
    tags: undefined,
    toolCalls: undefined,
    markup: options.call?.tools === undefined ? undefined : markupOf(options.call.tools),
    thought: '',
    id: '',
    told: false,
    ending: createEnding(),
    refusal: '',
    wanted: undefined,
    blanks: '',
    halves: { text: '', thought: '' },
    hasText: false,
    hasReasoning: false,
    isPieced: false,
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

/** Decodes a chunk that carries only text. */
export function decodeText(decoding: Decoding, field: TextField, text: string): void {
  if (field === 'content') readText(decoding, text)
  else emitReasoning(decoding, text)
}

/**
 * Decodes one chunk of a stream, or a whole answer.
 *
 * This is the hot path of every token: a few property reads and one event. No closure, no spread, no regular expression.
 */
export function decodeChunk(state: Decoding, chunk: Chunk): void {
  if (mayBeError(chunk) && isNamedError(chunk)) throw inBandFailure(chunk, contextOf(state))
  if (!state.told) tell(state, chunk)
  const choice = choiceOf(chunk)
  const usage = usageIn(chunk, choice)
  usageCame(state.ending, usage)
  if (choice === undefined) readRest(state, chunk)
  else readChoice(state, choice, chunk)
  if (usage !== undefined && !isNothing(usage) && hasAnswer(state)) usageClosed(state.ending, choice === undefined)
}

function mayBeError(chunk: Chunk): boolean {
  return chunk.error !== undefined || chunk['base_resp'] !== undefined || chunk['x_groq'] !== undefined
}

function readChoice(state: Decoding, choice: Choice, chunk: Chunk): void {
  state.seen = 'choice'
  const { error } = choice
  if (error !== undefined && isErrorValue(error)) throw inBandFailure(error, contextOf(state))
  const known = readParts(state, choice)
  if (!known || isRich(choice)) addExtras(state.extras, chunk)
  readFinish(state, chunk, known)
  // data after a finish is not content, and must not wait for a slow reader
  if (!known && state.ending.state === 'finished') state.flowing = true
}

/** Returns whether there was any content. */
function readParts(state: Decoding, choice: Choice): boolean {
  const { delta } = choice
  if (delta === undefined || delta === null) return readPart(state, state.isPieced ? newsOf(choice, state) : messageOf(choice))
  const isKnown = readPart(state, delta)
  // some servers put the calls beside the `delta`, others there too
  const isBeside = isPresent(choice.tool_calls) && !isPresent(delta.tool_calls)
  const known = (isBeside && readCalls(state, choice)) || isKnown
  state.isPieced ||= known
  return known
}

function readFinish(state: Decoding, chunk: Chunk, known: boolean): void {
  const choice = choiceOf(chunk)
  const end = finishIn(chunk, choice)
  if (end === undefined) return
  if (end.failure !== undefined) throw decodeFailure(state, end.failure, end.message)
  const isBare = !hasAnswer(state)
  finishSaid(state.ending, end.finishReason, {
    content: known,
    opening: isBare && !state.hasReasoning && choice !== undefined && isOpening(choice),
    thinking: isBare && known && state.hasReasoning,
  })
}

/** Returns whether the part held any content. */
function readPart(state: Decoding, part: Part): boolean {
  const reasoning = reasoningOf(part)
  if (reasoning !== '') emitReasoning(state, reasoning)
  const text = part.content ?? part.text
  if (typeof text === 'string') readText(state, text)
  else readList(state, text)
  if (typeof part.refusal === 'string') state.refusal += part.refusal
  if (bringsState(part)) state.wanted = addTurnState(state.wanted, part)
  if (isPresent(part.tool_calls) && readCalls(state, part)) return true
  if (isPresent(part.function_call)) toolCallsOf(state).add([{ index: 0, function: part.function_call }])
  else return reasoning !== '' || (typeof text === 'string' && text !== '')
  return true
}

/** Returns whether there were any. */
function readCalls(state: Decoding, part: Part): boolean {
  const calls = toolCallsIn(part)
  if (calls !== undefined) toolCallsOf(state).add(calls)
  return calls !== undefined
}

function readText(state: Decoding, text: string): void {
  if (text === '') return
  if (state.tags === undefined) return sayText(state, text)
  state.tags.write(text)
  if (state.tags.isOver()) state.tags = undefined
}

/** The parts in one event are read in one step. */
const mostParts = 10_000

/** Reads a list of parts, or one part without the list around it. */
function readList(state: Decoding, content: unknown): void {
  if (content === null || content === undefined) return
  const typed = typedContent(state, content)
  if (typed !== undefined) return readText(state, typed)
  const parts: readonly unknown[] = Array.isArray(content) ? content : [content]
  if (parts.length > mostParts) throw decodeFailure(state, 'malformed-response', `An event holds more than ${mostParts} parts.`)
  for (const part of parts) {
    // gateways in PHP write a text of digits as a number
    const text = Number.isFinite(part) ? String(part) : textOfPart(part)
    if (text !== '' && isReasoningPart(part)) emitReasoning(state, text)
    else readText(state, text)
  }
}

/** Where JSON was asked for, Workers AI gives the value itself in place of its text. */
function typedContent({ options }: Decoding, content: unknown): string | undefined {
  const value = asObject(content)
  if (value === undefined || options.call?.output === undefined) return undefined
  return typeof value['type'] === 'string' && textOfPart(value) !== '' ? undefined : JSON.stringify(value)
}

/** Emits text, minus tool calls that the server left in it (F54). */
function sayText(state: Decoding, text: string): void {
  if (state.markup === undefined) return emitText(state, text)
  const plain = state.markup.write(text)
  if (plain !== '') emitText(state, plain)
  else tellAlive(state)
}

/**
 * Handles a chunk without a choice of ours: usage, a filter report, another of `n` choices, or an error without an `error` field.
 */
function readRest(state: Decoding, chunk: Chunk): void {
  const hasChoices = chunk.choices !== undefined
  if (isWithoutChoice(chunk) && isFlatError(chunk)) throw inBandFailure(chunk, contextOf(state))
  if (state.seen !== 'choice') state.seen = hasChoices || state.seen === 'choices' ? 'choices' : 'other'
  if (hasChoices) addExtras(state.extras, chunk)
  // some servers say the finish beside `choices`, also where those are empty
  if (isWithoutChoice(chunk)) readFinish(state, chunk, false)
}

function isWithoutChoice({ choices }: Chunk): boolean {
  return !Array.isArray(choices) || choices.length === 0
}

function tell(state: Decoding, { id, model }: Chunk): void {
  if (typeof id === 'string') state.id = id
  const named = typeof model === 'string' && model !== '' ? model : undefined
  if (state.id === '' && named === undefined) return
  state.told = true
  const requestId = requestIdIn(state.options.headers)
  emit(state, { type: 'response-metadata', id: state.id === '' ? undefined : state.id, model: named, requestId })
}
