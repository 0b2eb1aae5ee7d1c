import type { Usage } from '../../contract.ts'
import type { Answer, AnswerToolCall } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { StreamBody, WireFormat } from './wire-format.ts'

type Fields = { readonly [field: string]: unknown }

/** The differences between services that use the chat completions format. */
export type Dialect = Pick<WireFormat, 'name' | 'basePath' | 'error'> & {
  readonly reasoningField: 'reasoning_content' | 'reasoning' | undefined
  /** Returns an answer id in the style of this service. */
  id(request: ReceivedRequest): string
  toolCallId(request: ReceivedRequest, index: number): string
  /** Fields of every chunk and of an answer that is not streamed. */
  readonly common: Fields
  /** Fields of every choice. */
  readonly choice: Fields
  /** Fields of the last choice, besides `finish_reason`. */
  readonly lastChoice: Fields
  /** The delta that opens a stream. */
  opening(thinks: boolean): Fields
  /** Returns the fields that every delta in between has besides its content. */
  delta(thinks: boolean): Fields
  /** The delta of the finish frame. */
  readonly lastDelta: Fields
  /** Where a stream reports its usage: on the finish frame or, on request, in a frame without choices. */
  readonly usageOn: 'finish' | 'extra'
  /** Whether frames without usage contain `usage: null`. */
  readonly nullUsage: boolean
  usage(usage: Usage): Fields
  /** Fields at the end of an answer that is not streamed, after choices and usage. */
  readonly tail: Fields
  /** Whether an error in a stream is followed by `[DONE]`. */
  readonly doneAfterError: boolean
  /** The error that an overloaded server sends inside a stream. */
  readonly busy: unknown
  readonly sseType: string
  headers(kind: 'stream' | 'json' | 'error', request: ReceivedRequest): { readonly [name: string]: string }
}

export function chatCompletions(dialect: Dialect): WireFormat {
  return {
    name: dialect.name,
    basePath: dialect.basePath,
    error: dialect.error,
    wantsStream: request => field(request.json, 'stream') === true,
    stream: (answer, request) => streamOf(dialect, answer, request),
    json: (answer, request) => wholeOf(dialect, answer, request),
    inBandError: (error = dialect.busy, isStream) => ({
      text: isStream ? event({ error }) : JSON.stringify({ error }),
      done: dialect.doneAfterError,
    }),
    keepAlive: isStream => (isStream ? ': keep-alive\n\n' : '\n'),
    headers: (kind, request) => ({
      'content-type': kind === 'stream' ? dialect.sseType : 'application/json',
      ...dialect.headers(kind, request),
    }),
  }
}

/** Reads a field of a value of any type. */
export function field(value: unknown, name: string): unknown {
  return isFields(value) ? value[name] : undefined
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** Returns hexadecimal text that differs between requests but is the same in every run. */
export function hex(request: ReceivedRequest, length: number): string {
  return (request.index + 1)
    .toString(16)
    .padStart(8, '0')
    .repeat(Math.ceil(length / 8))
    .slice(0, length)
}

/** The timestamp of every answer. It is constant, so that runs can be compared. */
export const created = 1_790_000_000

function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

function streamOf(dialect: Dialect, answer: Answer, request: ReceivedRequest): StreamBody {
  const chunk = (choices: readonly Fields[], extra: Fields = {}): string =>
    event({ ...envelope(dialect, answer, request), object: 'chat.completion.chunk', choices, ...extra })
  const choice = (delta: Fields, last: Fields = { ...dialect.choice, finish_reason: null }): Fields => ({
    index: 0,
    delta,
    ...last,
  })
  const nullUsage = dialect.nullUsage ? { usage: null } : {}
  const usage = answer.usage === null ? undefined : { usage: dialect.usage(answer.usage) }
  const thinks = answer.reasoning.length > 0
  const wantsUsage = field(field(request.json, 'stream_options'), 'include_usage') === true
  const last = choice(dialect.lastDelta, { ...dialect.choice, finish_reason: answer.finishReason, ...dialect.lastChoice })
  const finish = chunk([last], dialect.usageOn === 'finish' && usage !== undefined ? usage : nullUsage)
  const extra = dialect.usageOn === 'extra' && wantsUsage && usage !== undefined ? [chunk([], { ...usage, ...dialect.tail })] : []
  return {
    opening: [chunk([choice(dialect.opening(thinks))], nullUsage)],
    chunks: deltasOf(dialect, answer, request).map(delta => chunk([choice({ ...dialect.delta(thinks), ...delta })], nullUsage)),
    finish: [finish, ...extra],
    done: 'data: [DONE]\n\n',
  }
}

function wholeOf(dialect: Dialect, answer: Answer, request: ReceivedRequest): Fields {
  const { reasoningField } = dialect
  const thinks = reasoningField !== undefined && answer.reasoning.length > 0
  const toolCalls = answer.toolCalls.map((call, index) => ({
    index,
    ...toolCallOf(dialect, call, { request, index }),
    function: functionOf(call),
  }))
  const message = {
    role: 'assistant',
    content: answer.text.join(''),
    ...(thinks ? { [reasoningField]: answer.reasoning.join('') } : {}),
    ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
    ...answer.extra,
  }
  const choice = { index: 0, message, ...dialect.choice, finish_reason: answer.finishReason, ...dialect.lastChoice }
  const usage = answer.usage === null ? {} : { usage: dialect.usage(answer.usage) }
  return { ...envelope(dialect, answer, request), object: 'chat.completion', choices: [choice], ...usage, ...dialect.tail }
}

function envelope(dialect: Dialect, answer: Answer, request: ReceivedRequest): Fields {
  const model = answer.model ?? field(request.json, 'model') ?? 'default'
  return { id: answer.id ?? dialect.id(request), created, model, ...dialect.common }
}

function deltasOf(dialect: Dialect, answer: Answer, request: ReceivedRequest): readonly Fields[] {
  const { reasoningField } = dialect
  return [
    ...(reasoningField === undefined ? [] : answer.reasoning.map(text => ({ [reasoningField]: text }))),
    ...answer.text.map(text => ({ content: text })),
    ...answer.toolCalls.flatMap((call, index) => toolDeltasOf(dialect, call, { request, index })),
    ...(answer.extra === undefined ? [] : [answer.extra]),
  ]
}

type Place = { readonly request: ReceivedRequest; readonly index: number }

/** Sends the name with empty arguments first, then the arguments in arbitrary pieces. */
function toolDeltasOf(dialect: Dialect, call: AnswerToolCall, place: Place): readonly Fields[] {
  const { index } = place
  const { name, arguments: text } = functionOf(call)
  const opening = { index, ...toolCallOf(dialect, call, place), function: { name, arguments: '' } }
  const pieces = text.match(/[^]{1,8}/gu) ?? []
  return [opening, ...pieces.map(piece => ({ index, function: { arguments: piece } }))].map(delta => ({ tool_calls: [delta] }))
}

function toolCallOf(dialect: Dialect, call: AnswerToolCall, place: Place): Fields {
  return { id: call.toolCallId ?? dialect.toolCallId(place.request, place.index), type: 'function', ...call.extra }
}

function functionOf(call: AnswerToolCall): { name: string; arguments: string } {
  return { name: call.toolName, arguments: typeof call.input === 'string' ? call.input : JSON.stringify(call.input) }
}

/** The usage with OpenAI's field names, which most services use. */
export function openaiUsage(usage: Usage): Fields {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedInputTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  }
}
