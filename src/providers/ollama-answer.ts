import { randomUUID } from 'node:crypto'
import type { Attempt, FinishReason, ResponseHeaders, ToolCall, Usage } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { BodyReader } from '../http/post.ts'
import { createLineReader } from '../http/json-lines.ts'
import { failureOf, inBandFailure } from './chat-completions/failure.ts'
import { asObject, isCutJson, parseJson } from './chat-completions/parse-json.ts'

type Line = { readonly [key: string]: unknown }

export type OllamaReading = {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly secrets: readonly string[]
  readonly emit: Attempt['emit']
}

/** Reads `/api/chat` and `/api/generate`: a line of JSON for each piece, or one for the whole answer. Both end in `done: true`. */
export function readOllama(reading: OllamaReading): BodyReader {
  return reading.status >= 200 && reading.status <= 299 ? readLines(reading) : readFailure(reading)
}

function readFailure({ status, headers, secrets }: OllamaReading): BodyReader {
  let body = ''
  return {
    write(text) {
      if (body.length < 100_000) body += text
      return true
    },
    end() {
      throw failureOf({ status, headers, body, secrets })
    },
  }
}

function readLines({ status, headers, secrets, emit }: OllamaReading): BodyReader {
  const toolCalls: ToolCall[] = []
  let blank = true
  let spoke = false
  let finished = false
  let open = true

  const say = (type: 'text-delta' | 'reasoning-delta', value: unknown) => {
    if (typeof value !== 'string' || value === '') return
    if (type === 'text-delta') spoke = true
    open = emit({ type, text: value })
  }
  const finish = (line: Line) => {
    finished = true
    const reason = finishReasonOf(line['done_reason'], toolCalls.length > 0)
    if (!spoke && toolCalls.length === 0 && reason !== 'length') throw empty(status)
    // only now: half an answer is no reason to act (R126)
    for (const call of toolCalls) emit({ type: 'tool-call', ...call })
    open = emit({ type: 'finish', finishReason: reason, usage: usageOf(line), providerMetadata: timesOf(line) })
  }
  const lines = createLineReader({
    onLine(text) {
      blank = false
      if (finished) return
      const line = parsedLine(text, status)
      if (line['error'] !== undefined) throw inBandFailure(line['error'], { status, headers, secrets })
      const message = asObject(line['message'])
      say('reasoning-delta', message?.['thinking'] ?? line['thinking'])
      say('text-delta', message?.['content'] ?? line['response'])
      for (const call of toolCallsOf(message)) {
        toolCalls.push(call)
        open = emit({
          type: 'tool-call-delta',
          toolCallId: call.toolCallId,
          toolName: call.toolName,
          inputText: JSON.stringify(call.input),
        })
      }
      if (line['done'] === true) finish(line)
    },
    onBlank: () => void emit({ type: 'queued' }),
  })

  return {
    write(text) {
      lines.write(text)
      return open
    },
    end() {
      lines.end()
      if (finished) return
      // a 200 without a word is how an overloaded gateway in front of it says busy (R43)
      if (blank) throw new ProviderError('The server answered 200 with an empty body.', { reason: 'overloaded', status })
      throw new ProviderError('The answer ended before it was done.', { reason: 'truncated', status })
    },
  }
}

function parsedLine(text: string, status: number): Line {
  try {
    return asObject(parseJson(text)) ?? {}
  } catch (cause) {
    const reason = isCutJson(text) ? 'truncated' : 'malformed-response'
    throw new ProviderError('A line of the answer is not JSON, or it was cut.', { reason, status, cause })
  }
}

/** Tool calls come whole, and mostly without an id: they get one, because a conversation that goes on elsewhere needs it. */
function toolCallsOf(message: Line | undefined): ToolCall[] {
  const calls = message?.['tool_calls']
  if (!Array.isArray(calls)) return []
  return calls.flatMap((call: unknown) => {
    const named = asObject(asObject(call)?.['function'])
    const name = named?.['name']
    if (typeof name !== 'string') return []
    const id = asObject(call)?.['id']
    const toolCallId = typeof id === 'string' && id !== '' ? id : `call_${randomUUID().slice(0, 8)}`
    return { toolCallId, toolName: name, input: named?.['arguments'] ?? {} }
  })
}

function finishReasonOf(reason: unknown, calledTools: boolean): FinishReason {
  if (reason === 'length') return 'length'
  if (calledTools) return 'tool-calls'
  return reason === 'stop' || reason === undefined || reason === '' ? 'stop' : 'other'
}

function usageOf(line: Line): Usage {
  const inputTokens = numberOf(line['prompt_eval_count'])
  const outputTokens = numberOf(line['eval_count'])
  const totalTokens = inputTokens === undefined || outputTokens === undefined ? undefined : inputTokens + outputTokens
  return { inputTokens, outputTokens, totalTokens }
}

/** Ollama counts in nanoseconds. `loadMs` above a second means that this call had to wait for the model to be read. */
function timesOf(line: Line): { readonly loadMs?: number; readonly totalMs?: number } {
  const load = numberOf(line['load_duration'])
  const total = numberOf(line['total_duration'])
  return {
    ...(load === undefined ? undefined : { loadMs: load / 1e6 }),
    ...(total === undefined ? undefined : { totalMs: total / 1e6 }),
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function empty(status: number): ProviderError {
  return new ProviderError('The answer was done without a word.', { reason: 'empty', status })
}
