import type { Usage } from '../../contract.ts'
import type { Answer, AnswerToolCall } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { StreamBody, WireFormat } from './wire-format.ts'

type Fields = { readonly [field: string]: unknown }

/** What the services that speak chat completions differ in. */
export type Dialect = Pick<WireFormat, 'name' | 'basePath' | 'error'> & {
  readonly reasoningField: 'reasoning_content' | 'reasoning' | undefined
  /** An id in the form that this service gives its answers. */
  id(request: ReceivedRequest): string
  toolCallId(request: ReceivedRequest, index: number): string
  /** Fields of every chunk and of the whole answer. */
  readonly common: Fields
  /** Fields of every choice. */
  readonly choice: Fields
  /** Fields of the choice that ends the answer, beside `finish_reason`. */
  readonly lastChoice: Fields
  /** The delta that opens a stream. */
  opening(thinks: boolean): Fields
  /** What every delta in between says beside its content. */
  delta(thinks: boolean): Fields
  /** The delta of the finish frame. */
  readonly lastDelta: Fields
  /** Where a stream has its usage: on the finish frame; or, if asked for, in a frame without choices. */
  readonly usageOn: 'finish' | 'extra'
  /** Do frames without figures say `usage: null`? */
  readonly nullUsage: boolean
  usage(usage: Usage): Fields
  /** What ends the whole answer, beside choices and usage. */
  readonly tail: Fields
  /** Is an error in a stream followed by `[DONE]`? */
  readonly doneAfterError: boolean
  /** The error that a busy server puts into a stream. */
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

/** A field of something that may be anything. */
export function field(value: unknown, name: string): unknown {
  return isFields(value) ? value[name] : undefined
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** Hexadecimal text that is different for every request and the same in every run. */
export function hex(request: ReceivedRequest, length: number): string {
  return (request.index + 1)
    .toString(16)
    .padStart(8, '0')
    .repeat(Math.ceil(length / 8))
    .slice(0, length)
}

/** When the answers of this server were made: always the same second, so that a run can be compared with another. */
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
  ]
}

type Place = { readonly request: ReceivedRequest; readonly index: number }

/** The name first, with empty arguments, then the arguments in pieces that end anywhere. */
function toolDeltasOf(dialect: Dialect, call: AnswerToolCall, place: Place): readonly Fields[] {
  const { index } = place
  const { name, arguments: text } = functionOf(call)
  const opening = { index, ...toolCallOf(dialect, call, place), function: { name, arguments: '' } }
  const pieces = text.match(/[^]{1,8}/gu) ?? []
  return [opening, ...pieces.map(piece => ({ index, function: { arguments: piece } }))].map(delta => ({ tool_calls: [delta] }))
}

function toolCallOf(dialect: Dialect, call: AnswerToolCall, place: Place): Fields {
  return { id: call.toolCallId ?? dialect.toolCallId(place.request, place.index), type: 'function' }
}

function functionOf(call: AnswerToolCall): { name: string; arguments: string } {
  return { name: call.toolName, arguments: typeof call.input === 'string' ? call.input : JSON.stringify(call.input) }
}

/** The figures as OpenAI names them; most services follow. */
export function openaiUsage(usage: Usage): Fields {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedInputTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  }
}
