import type { FailureReason, FinishReason } from '../../contract.ts'
import type { Choice } from './chunk.ts'
import { asObject } from './parse-json.ts'

/** Either the answer is over, or what the server calls a finish is a failure. */
export type Finish =
  | { readonly finishReason: FinishReason; readonly failure?: undefined }
  | { readonly finishReason?: undefined; readonly failure: FailureReason; readonly message: string }

/**
 * What a finish reason means, of every server we know. One that nobody knows is `other`: the server did say that it was done.
 *
 * Failures among them: DeepSeek's `insufficient_system_resource` and `aborted`, vLLM's and SGLang's `abort`, `error` of vLLM and
 * OpenRouter. `repetition` (vLLM stopped a model that ran in a loop) is the model's doing, so the target is not blamed for it, but no
 * answer either.
 */
export function finishOf(raw: string): Finish {
  const word = raw.trim().toLowerCase()
  return finishes.get(word) ?? kinds.find(([words]) => words.test(word))?.[1] ?? { finishReason: 'other' }
}

/**
 * What a server says where it says nothing: `""` (StepFun) or a text that means null (F5), on chunks that are not the last. Undefined
 * then, as for anything that is no text.
 */
export function saidFinish(raw: unknown): Finish | undefined {
  return typeof raw === 'string' && !nothings.has(raw.trim().toLowerCase()) ? finishOf(raw) : undefined
}

/**
 * What a choice says of its end. A gateway turns what it does not know into `stop`; beside it stands what the model's own service had
 * said. Where that is a failure it is one (F6), and where it is a limit or a filter it says more than `stop`.
 */
export function choiceFinish({ finish_reason: said, ...choice }: Choice): Finish | undefined {
  // OpenRouter's place for it, and LiteLLM's
  const native = choice.native_finish_reason ?? asObject(choice['provider_specific_fields'])?.['native_finish_reason']
  if (native === undefined || native === null) return saidFinish(said)
  const own = saidFinish(native)
  if (own?.failure !== undefined) return own
  const finish = saidFinish(said)
  return finish !== undefined && saysLittle.has(finish.finishReason) && saysMore.has(own?.finishReason) ? own : finish
}

const saysLittle: ReadonlySet<FinishReason | undefined> = new Set(['stop', 'other'])
const saysMore: ReadonlySet<FinishReason | undefined> = new Set(['length', 'content-filter'])

const nothings: ReadonlySet<string> = new Set([
  '',
  'null',
  'none',
  'nil',
  'undefined',
  'unspecified',
  'finish_reason_unspecified',
  // not yet
  'in_progress',
  'inprogress',
  'running',
  'pending',
  'generating',
  'streaming',
  'continue',
])

const stop: Finish = { finishReason: 'stop' }
const length: Finish = { finishReason: 'length' }
const toolCalls: Finish = { finishReason: 'tool-calls' }
const filtered: Finish = { finishReason: 'content-filter' }
const aborted: Finish = { failure: 'truncated', message: 'The server broke off the answer.' }

const failed: Finish = { failure: 'server-error', message: 'The server failed in the middle of the answer.' }

const finishes: ReadonlyMap<string, Finish> = new Map<string, Finish>([
  ['stop', stop],
  ['eos', stop],
  ['eos_token', stop],
  ['end_turn', stop],
  ['end', stop],
  ['complete', stop],
  ['completed', stop],
  ['stop_sequence', stop],
  ['length', length],
  ['max_tokens', length],
  ['max_output_tokens', length],
  ['max_new_tokens', length],
  ['model_length', length],
  ['model_context_window_exceeded', length],
  ['tool_calls', toolCalls],
  ['tool_call', toolCalls],
  ['function_call', toolCalls],
  ['tool_use', toolCalls],
  ['content_filter', filtered],
  ['sensitive', filtered],
  // Gemini's words
  ['safety', filtered],
  ['recitation', filtered],
  ['blocklist', filtered],
  ['prohibited_content', filtered],
  ['spii', filtered],
  ['refusal', filtered],
  [
    'insufficient_system_resource',
    { failure: 'overloaded', message: 'The server ran out of capacity in the middle of the answer.' },
  ],
  ['aborted', aborted],
  ['abort', aborted],
  ['cancelled', aborted],
  ['canceled', aborted],
  ['error', failed],
  ['network_error', failed],
  ['server_error', failed],
  ['internal_error', failed],
  ['upstream_error', failed],
  ['failed', failed],
  ['repetition', { failure: 'invalid-output', message: 'The model repeated itself until the server stopped it.' }],
])

/** Words that nobody has listed, by what stands in them. */
const kinds: readonly (readonly [RegExp, Finish])[] = [
  [
    /malformed_?(?:function|tool)|unexpected_?tool|(?:function|tool)_call_?(?:filter|error|invalid)/,
    { failure: 'invalid-output', message: 'The model wrote a tool call that its server could not read.' },
  ],
  [
    /overload|capacity|busy|rate_?limit/,
    { failure: 'overloaded', message: 'The server ran out of capacity in the middle of the answer.' },
  ],
  [/error|timeout|timed_?out|exception|fail|crash|unavailable|disconnect/, failed],
  [/abort|cancel|interrupt/, aborted],
  [/filter|safety|sensitive|moderation|prohibited|censor/, filtered],
  [/length|(?:max|limit).*token|token.*(?:max|limit)|context_?window/, length],
]
