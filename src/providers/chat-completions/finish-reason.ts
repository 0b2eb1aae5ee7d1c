import type { FailureReason, FinishReason } from '../../contract.ts'

/** Either the answer is over, or what the server calls a finish is a failure. */
export type Finish =
  | { readonly finishReason: FinishReason; readonly failure?: undefined }
  | { readonly failure: FailureReason; readonly message: string }

/**
 * What a finish reason means, of every server we know. One that nobody knows is `other`: the server did say that it was done.
 *
 * Failures among them: DeepSeek's `insufficient_system_resource` and `aborted`, vLLM's and SGLang's `abort`, `error` of vLLM and
 * OpenRouter. `repetition` (vLLM stopped a model that ran in a loop) is the model's doing, so the target is not blamed for it, but no
 * answer either.
 */
export function finishOf(raw: string): Finish {
  return finishes.get(raw.toLowerCase()) ?? { finishReason: 'other' }
}

const stop: Finish = { finishReason: 'stop' }
const length: Finish = { finishReason: 'length' }
const toolCalls: Finish = { finishReason: 'tool-calls' }
const filtered: Finish = { finishReason: 'content-filter' }
const aborted: Finish = { failure: 'truncated', message: 'The server broke off the answer.' }

const finishes: ReadonlyMap<string, Finish> = new Map<string, Finish>([
  ['stop', stop],
  ['eos', stop],
  ['eos_token', stop],
  ['end_turn', stop],
  ['stop_sequence', stop],
  ['length', length],
  ['max_tokens', length],
  ['model_length', length],
  ['tool_calls', toolCalls],
  ['function_call', toolCalls],
  ['tool_use', toolCalls],
  ['content_filter', filtered],
  ['sensitive', filtered],
  [
    'insufficient_system_resource',
    { failure: 'overloaded', message: 'The server ran out of capacity in the middle of the answer.' },
  ],
  ['aborted', aborted],
  ['abort', aborted],
  ['cancelled', aborted],
  ['error', { failure: 'server-error', message: 'The server failed in the middle of the answer.' }],
  ['network_error', { failure: 'server-error', message: 'The server failed in the middle of the answer.' }],
  ['repetition', { failure: 'invalid-output', message: 'The model repeated itself until the server stopped it.' }],
])
