import type { FinishReason } from '../../contract.ts'
import type { FailureReason } from '../../contract-failures.ts'
import { asObject } from '../json.ts'
import type { Choice, Chunk } from './chunk.ts'

/** Either the end of an answer, or a failure that the server reports as a finish reason. */
type Finish =
  | { readonly finishReason: FinishReason; readonly failure?: undefined }
  | { readonly finishReason?: undefined; readonly failure: FailureReason; readonly message: string }

/**
 * The meaning of a finish reason, for every server we know. An unknown word is `other`: the server did report that it is done.
 *
 * Some are failures: DeepSeek's `insufficient_system_resource` and `aborted`, vLLM's and SGLang's `abort`, `error` of vLLM and
 * OpenRouter. `repetition` (vLLM stopped a model that was looping) fails too, but is the model's fault, so it is not charged to
 * the target.
 */
export function finishOf(raw: string): Finish {
  // some gateways send the name of the enum: `FINISH_REASON_STOP`, `FinishReason.STOP`
  const word = raw
    .slice(0, longestWord)
    .trim()
    .toLowerCase()
    .replace(/^finish_?reason[._]/, '')
  return finishes.get(word) ?? kinds.find(([words]) => words.test(word))?.[1] ?? { finishReason: 'other' }
}

/** The patterns below take time that grows with the square of the length. */
const longestWord = 200

/**
 * Returns undefined for the placeholders that some servers send on chunks before the last: `""` (StepFun), a string that means
 * null (F5), or anything that is neither a string nor an object or a list with one (SGLang's `{ type }`).
 */
export function saidFinish(said: unknown): Finish | undefined {
  const raw = typeof said === 'object' && said !== null ? wordIn(said) : said
  return typeof raw === 'string' && !nothings.has(raw.trim().toLowerCase()) ? finishOf(raw) : undefined
}

function wordIn(said: object): unknown {
  if (Array.isArray(said)) return said[0]
  const { type, reason }: { type?: unknown; reason?: unknown } = said
  return type ?? reason
}

/**
 * The finish of a choice. Gateways map finish reasons they do not know to `stop` and put the upstream's own reason beside it. An
 * upstream reason that means a failure, a limit or a filter takes precedence (F6).
 */
function choiceFinish(choice: Choice): Finish | undefined {
  const said = choice.finish_reason ?? choice.delta?.['finish_reason']
  const native = nativeFinish(choice)
  if (native === undefined || native === null) return saidFinish(said)
  const own = saidFinish(native)
  if (own?.failure !== undefined) return own
  const finish = saidFinish(said)
  return finish !== undefined && saysLittle.has(finish.finishReason) && saysMore.has(own?.finishReason) ? own : finish
}

/**
 * The finish in a chunk: of its choice, else beside `choices`, else under another name. The other names are only looked for where
 * the usual one is missing, so that `stop_reason` of vLLM, which may hold a stop sequence, is not taken for a finish.
 */
export function finishIn(chunk: Chunk, choice: Choice | undefined): Finish | undefined {
  const finish = (choice === undefined ? undefined : choiceFinish(choice)) ?? saidFinish(chunk['finish_reason'])
  if (finish !== undefined || (choice !== undefined && choice.finish_reason !== undefined)) return finish
  return (
    (choice === undefined ? undefined : (otherFinish(choice.message ?? choice.delta) ?? otherFinish(choice))) ??
    otherFinish(chunk)
  )
}

function otherFinish(fields: Fields | null | undefined): Finish | undefined {
  if (fields === undefined || fields === null) return undefined
  return saidFinish(fields['finish_reason'] ?? fields['finishReason'] ?? fields['stop_reason'] ?? fields['stopReason'])
}

type Fields = { readonly [key: string]: unknown }

/** OpenRouter's field, then LiteLLM's. */
function nativeFinish(choice: Choice): unknown {
  return choice.native_finish_reason ?? asObject(choice['provider_specific_fields'])?.['native_finish_reason']
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
  // the answer is not finished yet
  'not_finished',
  'unfinished',
  'n/a',
  'processing',
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
  ['normal', stop],
  ['done', stop],
  ['finish', stop],
  ['finished', stop],
  ['success', stop],
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
  // Gemini's finish reasons
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

/** Patterns for finish reasons that are not listed above. */
const kinds: readonly (readonly [RegExp, Finish])[] = [
  [
    /malformed_?(?:function|tool)|unexpected_?tool|(?:function|tool)_call_?(?:filter|error|invalid)/,
    { failure: 'invalid-output', message: 'The model wrote a tool call that its server could not read.' },
  ],
  // before the errors: Cohere's `ERROR_TOXIC`
  [/toxic|guardrail|risk|violat|^block/, filtered],
  [/^<.{1,40}>$/, stop],
  [
    /overload|capacity|busy|rate_?limit/,
    { failure: 'overloaded', message: 'The server ran out of capacity in the middle of the answer.' },
  ],
  [/error|timeout|timed_?out|exception|fail|crash|unavailable|disconnect/, failed],
  [/abort|cancel|interrupt/, aborted],
  [/filter|safety|sensitive|moderation|prohibited|censor/, filtered],
  [/length|(?:max|limit).*token|token.*(?:max|limit)|context_?window|^limit|^incomplete|truncated/, length],
]

/** The state of an answer once no more data will come. */
export type AnswerState = {
  /** The most that arrived: no chunk, chunks of another format, `choices` that were null or empty, or a choice. */
  readonly seen: 'nothing' | 'other' | 'choices' | 'choice'
  /** Undefined until the server reports that it is done. */
  readonly finishReason: FinishReason | undefined
  /** The answer was one complete JSON document, so nothing can be missing. */
  readonly complete: boolean
  /** There is text besides whitespace. */
  readonly hasText: boolean
  readonly hasReasoning: boolean
  readonly refusal: string
  readonly toolCalls: number
  readonly allowEmpty: boolean
}

type Verdict = { readonly finishReason: FinishReason } | { readonly failure: FailureReason; readonly message: string }

/**
 * Whether the state is a valid answer (R28, R37 to R41, R44).
 *
 * - A stream without a finish reason was truncated. A JSON document is complete without one; its finish reason is then `other`.
 * - `choices` without any choice: `empty`. No `choices` at all: the server does not speak chat completions.
 * - A filter or refusal that left no text is a failure, `content-filter`, and no other target is tried. If it left text, the
 *   answer has the finish reason `content-filter`: the caller gets the text and knows that it is incomplete.
 * - Only whitespace (JSON mode does this under load), or only reasoning: `empty`. With the finish reason `length` the message
 *   says so, because raising the limit is the remedy.
 */
export function verdictOf(state: AnswerState): Verdict {
  if (state.seen === 'other') return foreign
  if (state.seen === 'choices') return noChoice
  if (state.finishReason === undefined && !state.complete) return cut
  const said = state.finishReason ?? 'other'
  if (state.toolCalls > 0) return withToolCalls(said)
  if (said === 'content-filter' || state.refusal !== '') return whenFiltered(state)
  // a server that announces tool calls but sends none has finished its answer
  return state.hasText ? { finishReason: said === 'tool-calls' ? 'stop' : said } : whenEmpty(state, said)
}

const cut: Verdict = { failure: 'truncated', message: 'The answer was cut: the stream ended without a finish reason.' }

const noChoice: Verdict = { failure: 'empty', message: 'The answer is empty: the server sent no choice.' }

const foreign: Verdict = {
  failure: 'malformed-response',
  message: 'The answer does not have the chat completions format: it has no choices. Check the base URL.',
}

/** Some servers end tool calls with `stop`. `length` is kept: more calls may have been cut off. */
function withToolCalls(said: FinishReason): Verdict {
  return { finishReason: said === 'stop' || said === 'other' ? 'tool-calls' : said }
}

function whenFiltered({ hasText, refusal }: AnswerState): Verdict {
  if (hasText) return { finishReason: 'content-filter' }
  const what = refusal === '' ? 'The content filter of the service removed the whole answer.' : 'The model refused to answer.'
  return { failure: 'content-filter', message: `${what} No other target is asked.` }
}

function whenEmpty({ allowEmpty, hasReasoning }: AnswerState, said: FinishReason): Verdict {
  if (allowEmpty && !hasReasoning) return { finishReason: said }
  if (said !== 'length') {
    return {
      failure: 'empty',
      message: hasReasoning ? 'The model thought, but gave no answer.' : 'The model stopped without any content.',
    }
  }
  const [by, cure] = hasReasoning ? [' by reasoning', ', or ask for less reasoning'] : ['', '']
  return { failure: 'empty', message: `The token limit was used up${by} before the answer began. Raise maxOutputTokens${cure}.` }
}
