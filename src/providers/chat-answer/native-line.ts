import { randomUUID } from 'node:crypto'
import { asObject } from '../json.ts'
import { stateFields } from '../service-state.ts'
import { type Chunk, ofLine } from './chunk.ts'
import { saidFinish } from './finish.ts'

type Line = { readonly [key: string]: unknown }

/**
 * Whether this is a line in Ollama's own format: one for each piece of the answer, or one for the whole answer. Gateways in front
 * of Ollama send it also where chat completions were asked for. A `type` is that of another format's event (Anthropic's `message_start`).
 */
export function isNativeLine(line: Line): boolean {
  const { type, message, response, done } = line
  if (type !== undefined) return false
  return asObject(message) !== undefined || (done !== undefined && (typeof response === 'string' || message === undefined))
}

/** Converts a line to a chat-completions chunk. */
export function nativeChunk(line: Line): Chunk {
  const message = asObject(line['message'])
  const calls = toolCallsOf(message).map(wireCall)
  const said = {
    content: message?.['content'] ?? line['response'],
    thinking: thoughtIn(message) ?? line['thinking'],
    ...(calls.length === 0 ? undefined : { tool_calls: calls }),
    ...stateFields(message, 'turn'),
  }
  // gateways in JavaScript write the names in camel case
  const reason = line['done_reason'] ?? line['doneReason']
  const hasReason = saidFinish(reason) !== undefined
  if (!isDone(line['done'] ?? hasReason))
    return {
      [ofLine]: saidFinish(line['finish_reason']) === undefined ? 'more' : undefined,
      model: line['model'],
      choices: [{ message: said }],
      finish_reason: line['finish_reason'],
    }
  return {
    [ofLine]: 'last',
    model: line['model'],
    choices: [{ message: said, finish_reason: hasReason ? reason : 'stop' }],
    usage: usageOf(line),
    ...timesOf(line),
  }
}

function thoughtIn(message: Line | undefined): unknown {
  return message?.['thinking'] ?? message?.['reasoning_content'] ?? message?.['reasoning']
}

/** Some gateways write the value as text or as a number. */
function isDone(done: unknown): boolean {
  return done === true || done === 1 || (typeof done === 'string' && /^(?:true|1)$/i.test(done))
}

function toolCallsOf(message: Line | undefined): readonly unknown[] {
  const calls = message?.['tool_calls'] ?? message?.['toolCalls']
  return Array.isArray(calls) ? (calls as readonly unknown[]) : []
}

/**
 * Calls arrive complete and usually without an id. They get a random one, unique across turns, because another service may
 * continue the conversation.
 */
function wireCall(call: unknown): unknown {
  const fields = asObject(call) ?? {}
  const { id, function: called } = fields
  return {
    id: typeof id === 'string' && id !== '' ? id : `call_${randomUUID().slice(0, 8)}`,
    function: called,
    ...stateFields(fields, 'call'),
  }
}

function usageOf(line: Line): unknown {
  const input = line['prompt_eval_count'] ?? line['promptEvalCount']
  const output = line['eval_count'] ?? line['evalCount']
  if (input === undefined && output === undefined) return line['usage']
  const total = typeof input === 'number' && typeof output === 'number' ? input + output : undefined
  return { prompt_tokens: input, completion_tokens: output, total_tokens: total }
}

/** Ollama reports nanoseconds. `loadMs` above a second means that this call waited for the model to load. */
function timesOf({ load_duration: load, total_duration: total }: Line): { readonly loadMs?: number; readonly totalMs?: number } {
  return {
    ...(typeof load === 'number' ? { loadMs: load / 1e6 } : undefined),
    ...(typeof total === 'number' ? { totalMs: total / 1e6 } : undefined),
  }
}
