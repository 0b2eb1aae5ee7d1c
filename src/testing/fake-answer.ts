import type { FinishReason, ProviderEvent, ProviderMetadata, ToolCall, Usage } from '../contract.ts'
import type { FailureReason } from '../contract-failures.ts'
import { ProviderError } from '../errors.ts'

/** What a fake target does in one attempt. Times are in milliseconds on the target's clock; `Infinity` means for ever. */
export type FakeAnswer = {
  /** A string is emitted as one delta, a list as one delta per item. */
  readonly text?: string | readonly string[] | undefined
  readonly reasoning?: string | readonly string[] | undefined
  readonly toolCalls?:
    | readonly {
        readonly toolName: string
        readonly input: unknown
        readonly toolCallId?: string | undefined
        /** What the service expects back with this tool call. It is sent back as it is here, not nested under the provider's name. */
        readonly providerMetadata?: ProviderMetadata | undefined
      }[]
    | undefined
  /** What the service expects back with this turn. It is emitted as a `reasoning-delta` without text, after all others. */
  readonly reasoningMetadata?: ProviderMetadata | undefined
  /** Also reported with an `error` that is a reason, because a failed answer may have been billed. */
  readonly usage?: Usage | undefined
  /** @default 'stop', with tool calls 'tool-calls' */
  readonly finishReason?: FinishReason | undefined
  readonly providerMetadata?: { readonly [key: string]: unknown } | undefined
  readonly warnings?: readonly { readonly setting: string; readonly message: string }[] | undefined
  /** `response-metadata` is emitted if any of the three is set. */
  readonly id?: string | undefined
  readonly model?: string | undefined
  readonly requestId?: string | undefined

  /** Time until the connection is established. @default 0 */
  readonly connectAfterMs?: number | undefined
  /** Time from the connection to the response headers. @default 0 */
  readonly headersAfterMs?: number | undefined
  /** The number of `queued` events after the headers. @default 0, with `keepAliveForMs` as many as fit */
  readonly keepAlives?: number | undefined
  readonly keepAliveForMs?: number | undefined
  /** @default 1000 */
  readonly keepAliveEveryMs?: number | undefined
  /** Time from the headers, or from the last keep-alive, to the first delta. @default 0 */
  readonly firstChunkAfterMs?: number | undefined
  /** Time between two deltas. @default 0 */
  readonly chunkEveryMs?: number | undefined

  /**
   * Makes the attempt fail. A reason becomes a `ProviderError` with the matching status; an error of your own is thrown unchanged.
   * `network` and `timeout` fail before the headers.
   */
  readonly error?: FailureReason | Error | undefined
  /** Fails after this number of deltas, inside a response with status 200. @default 0 */
  readonly errorAfterChunks?: number | undefined
  /** The `retryAfterMs` of the failure. Only for an `error` that is a reason. */
  readonly retryAfterMs?: number | undefined
  /** The HTTP status. @default 200, or the status that matches the reason */
  readonly status?: number | undefined
  /** Resolves without `finish` after this number of deltas, as a truncated stream does. */
  readonly cutAfterChunks?: number | undefined
  /** Stays silent after this number of deltas until the attempt is aborted. */
  readonly hangAfterChunks?: number | undefined
  /** Never sends headers. @default false */
  readonly hang?: boolean | undefined
}

/** The steps of an attempt, in order. */
export type FakeStep =
  | { readonly type: 'wait'; readonly delayMs: number }
  | { readonly type: 'say'; readonly event: ProviderEvent }
  | { readonly type: 'fail'; readonly error: Error }
  | { readonly type: 'cut' }

type Asked = { readonly provider: string; readonly model: string }

export function stepsOf(answer: FakeAnswer, asked: Asked): readonly FakeStep[] {
  const failure = answer.error === undefined ? undefined : errorOf(answer.error, { answer, asked })
  const failsAtOnce = failure !== undefined && (answer.errorAfterChunks ?? 0) === 0
  if (failsAtOnce) return failingOpening(answer, failure)
  return [...openingOf(answer, answer.status ?? 200), ...contentOf(answer, failure)]
}

/** The HTTP status for each reason. Reasons that are missing here have no status. */
const statusOf: Partial<Record<FailureReason, number>> = {
  overloaded: 503,
  loading: 503,
  'server-error': 500,
  'rate-limit': 429,
  quota: 402,
  authentication: 401,
  permission: 403,
  'not-found': 404,
  'context-length': 400,
  'invalid-request': 400,
  'content-filter': 400,
  truncated: 200,
  'malformed-response': 200,
  empty: 200,
  'invalid-output': 200,
}

function errorOf(error: FailureReason | Error, { answer, asked }: { answer: FakeAnswer; asked: Asked }): Error {
  if (typeof error !== 'string') return error
  const isInside = (answer.errorAfterChunks ?? 0) > 0
  return new ProviderError(`The fake target failed, as its script says: ${error}.`, {
    reason: error,
    ...asked,
    status: answer.status ?? (isInside ? 200 : statusOf[error]),
    retryAfterMs: answer.retryAfterMs,
    requestId: answer.requestId,
    usage: answer.usage,
  })
}

/** The steps before the failure. A failure without a status comes before the headers, a network failure before the request is sent. */
function failingOpening(answer: FakeAnswer, failure: Error): readonly FakeStep[] {
  const { status, reason } = ProviderError.isInstance(failure) ? failure : { status: undefined, reason: undefined }
  const steps = openingOf(answer, status ?? 200)
  const isBefore = (type: ProviderEvent['type']): number =>
    steps.findIndex(step => step.type === 'say' && step.event.type === type)
  const end = reason === 'network' ? isBefore('sent') : status === undefined ? isBefore('headers') : steps.length
  return [...steps.slice(0, end), { type: 'fail', error: failure }]
}

function openingOf(answer: FakeAnswer, status: number): readonly FakeStep[] {
  const { requestId } = answer
  return [
    say({ type: 'connecting' }),
    ...wait(answer.connectAfterMs),
    say({ type: 'sent' }),
    ...wait(answer.hang === true ? Infinity : answer.headersAfterMs),
    say({ type: 'headers', status, headers: requestId === undefined ? {} : { 'x-request-id': requestId } }),
    ...keepAlivesOf(answer),
  ]
}

function keepAlivesOf({ keepAlives, keepAliveForMs, keepAliveEveryMs = 1_000 }: FakeAnswer): readonly FakeStep[] {
  const count = keepAlives ?? Math.floor((keepAliveForMs ?? 0) / keepAliveEveryMs)
  // An endless queue is cut to one day, which is longer than any timeout.
  const bounded = Math.min(count, Math.ceil(86_400_000 / keepAliveEveryMs))
  return Array.from({ length: bounded }, () => [...wait(keepAliveEveryMs), say({ type: 'queued' })]).flat()
}

function contentOf(answer: FakeAnswer, failure: Error | undefined): readonly FakeStep[] {
  const steps: FakeStep[] = [...metadataOf(answer)]
  const deltas = deltasOf(answer)
  for (const [index, delta] of [...deltas, undefined].entries()) {
    const isHere = (position: number | undefined): boolean =>
      position === index || (delta === undefined && position !== undefined && position > index)
    if (isHere(answer.hangAfterChunks)) steps.push({ type: 'wait', delayMs: Infinity })
    if (failure !== undefined && isHere(answer.errorAfterChunks)) return [...steps, { type: 'fail', error: failure }]
    if (isHere(answer.cutAfterChunks)) return [...steps, { type: 'cut' }]
    if (delta !== undefined) steps.push(...wait(index === 0 ? answer.firstChunkAfterMs : answer.chunkEveryMs), say(delta))
  }
  return [...steps, ...endOf(answer)]
}

function metadataOf({ id, model, requestId, warnings = [] }: FakeAnswer): readonly FakeStep[] {
  const isSaid = id !== undefined || model !== undefined || requestId !== undefined
  return [
    ...(isSaid ? [say({ type: 'response-metadata', id, model, requestId })] : []),
    ...warnings.map(warning => say({ type: 'warning', ...warning })),
  ]
}

function deltasOf(answer: FakeAnswer): readonly ProviderEvent[] {
  return [
    ...listOf(answer.reasoning).map(text => ({ type: 'reasoning-delta', text }) as const),
    ...listOf(answer.text).map(text => ({ type: 'text-delta', text }) as const),
    ...callsOf(answer).map(({ input, toolCallId, toolName }) => {
      return { type: 'tool-call-delta', toolCallId, toolName, inputText: JSON.stringify(input) } as const
    }),
  ]
}

function endOf(answer: FakeAnswer): readonly FakeStep[] {
  const calls = callsOf(answer)
  const { finishReason = calls.length > 0 ? 'tool-calls' : 'stop', providerMetadata, reasoningMetadata, usage } = answer
  return [
    ...(reasoningMetadata === undefined ? [] : [say({ type: 'reasoning-delta', text: '', providerMetadata: reasoningMetadata })]),
    ...calls.map(call => say({ type: 'tool-call', ...call })),
    say({ type: 'finish', finishReason, usage, providerMetadata }),
  ]
}

function callsOf({ toolCalls = [] }: FakeAnswer): readonly ToolCall[] {
  return toolCalls.map(({ toolCallId, toolName, input, providerMetadata }, index) => ({
    toolCallId: toolCallId ?? `call-${index}`,
    toolName,
    input,
    ...(providerMetadata === undefined ? undefined : { providerMetadata }),
  }))
}

function listOf(text: string | readonly string[] | undefined): readonly string[] {
  return text === undefined ? [] : typeof text === 'string' ? [text] : text
}

function wait(delayMs: number | undefined): readonly FakeStep[] {
  return delayMs === undefined || delayMs <= 0 ? [] : [{ type: 'wait', delayMs }]
}

function say(event: ProviderEvent): FakeStep {
  return { type: 'say', event }
}
