import type { Answer } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import { field } from './chat-completions.ts'
import { ollamaCompatible } from './dialects.ts'
import { ollamaNativeError } from './errors.ts'
import type { StreamBody, WireFormat } from './wire-format.ts'

/** The native `/api/chat` and `/api/generate` send lines of JSON; all other paths use the OpenAI-compatible `/v1` format. */
export const ollama: WireFormat = {
  name: 'ollama',
  basePath: '',
  // The native endpoints stream unless the request sets `stream: false`.
  wantsStream: request => (isNative(request) ? field(request.json, 'stream') !== false : ollamaCompatible.wantsStream(request)),
  stream: (answer, request) => (isNative(request) ? linesOf(answer, request) : ollamaCompatible.stream(answer, request)),
  json: (answer, request) => (isNative(request) ? wholeOf(answer, request) : ollamaCompatible.json(answer, request)),
  error: (status, request) => (isNative(request) ? ollamaNativeError(status) : ollamaCompatible.error(status, request)),
  inBandError: (error, isStream, request) =>
    isNative(request)
      ? { text: line({ error: error ?? 'an error was encountered while running the model' }), done: false }
      : ollamaCompatible.inBandError(error, isStream, request),
  keepAlive: (isStream, request) => (isNative(request) ? '\n' : ollamaCompatible.keepAlive(isStream, request)),
  headers: (kind, request) =>
    isNative(request) && kind === 'stream' ? { 'content-type': 'application/x-ndjson' } : ollamaCompatible.headers(kind, request),
}

function isNative(request: ReceivedRequest): boolean {
  return request.path.startsWith('/api/')
}

function line(data: unknown): string {
  return `${JSON.stringify(data)}\n`
}

type Said = {
  readonly content?: string
  readonly thinking?: string
  readonly tool_calls?: readonly unknown[]
  readonly [field: string]: unknown
}

function linesOf(answer: Answer, request: ReceivedRequest): StreamBody {
  const chunk = (said: Said): string => line({ ...envelope(answer, request), ...saidOf(request, said), done: false })
  return {
    opening: [],
    chunks: [
      ...answer.reasoning.map(thinking => chunk({ content: '', thinking })),
      ...answer.text.map(content => chunk({ content })),
      ...toolCallsOf(answer).map(call => chunk({ content: '', tool_calls: [call] })),
      ...(answer.extra === undefined ? [] : [chunk({ content: '', ...answer.extra })]),
    ],
    finish: [line({ ...envelope(answer, request), ...saidOf(request, { content: '' }), ...endOf(answer) })],
    done: undefined,
  }
}

function wholeOf(answer: Answer, request: ReceivedRequest): unknown {
  const calls = toolCallsOf(answer)
  const said = {
    content: answer.text.join(''),
    ...(answer.reasoning.length > 0 ? { thinking: answer.reasoning.join('') } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    ...answer.extra,
  }
  return { ...envelope(answer, request), ...saidOf(request, said), ...endOf(answer) }
}

function envelope(answer: Answer, request: ReceivedRequest): { readonly model: unknown; readonly created_at: string } {
  return { model: answer.model ?? field(request.json, 'model') ?? 'default', created_at: '2026-09-21T14:13:20.000000Z' }
}

/** `/api/generate` sends the text in `response`, `/api/chat` in a message. */
function saidOf(request: ReceivedRequest, said: Said): { readonly [field: string]: unknown } {
  const { content, ...rest } = said
  return request.path.startsWith('/api/generate') ? { response: content, ...rest } : { message: { role: 'assistant', ...said } }
}

/** Arguments are an object here, never a string. Ids were added late to Ollama and are often missing. */
function toolCallsOf(answer: Answer): readonly unknown[] {
  return answer.toolCalls.map((call, index) => ({
    ...(call.toolCallId === undefined ? {} : { id: call.toolCallId }),
    function: { index, name: call.toolName, arguments: inputOf(call.input) },
    ...call.extra,
  }))
}

function inputOf(input: unknown): unknown {
  return typeof input === 'string' ? JSON.parse(input) : input
}

function endOf(answer: Answer): { readonly [field: string]: unknown } {
  const { usage, finishReason } = answer
  // Ollama's finish reason for an answer with tool calls is `stop`.
  const reason = finishReason === 'tool_calls' ? 'stop' : finishReason
  const figures = usage === null ? {} : { prompt_eval_count: usage.inputTokens, eval_count: usage.outputTokens }
  return {
    done: true,
    ...(reason === null ? {} : { done_reason: reason }),
    total_duration: 5_000_000,
    load_duration: 1_000_000,
    ...figures,
  }
}
