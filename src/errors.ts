import type { Issue, ToolCall, Usage } from './contract.ts'
import type { AttemptRecord } from './contract-events.ts'
import type { Charged, ClockName, Failure, FailureReason } from './contract-failures.ts'

/** Text that others wrote. It is in a private field, because `inspect()` with `showHidden` shows non-enumerable properties. */
type Quoted = Pick<ProviderErrorOptions, 'said' | 'text' | 'issues' | 'toolCalls' | 'toolCallId'>

const brand = Symbol.for('unbusy.error')

/** The base class of all errors of unbusy. Invalid arguments throw a `TypeError` instead; an abort rejects with the caller's own reason. */
export class UnbusyError extends Error {
  override readonly name: string = 'UnbusyError'
  readonly [brand] = true
  /** Also true for an error that another copy of this package created. */
  static isInstance(value: unknown): value is UnbusyError {
    return value instanceof Error && brand in value
  }
}

/** The fields with which a provider of your own describes a failure. */
export type ProviderErrorOptions = Partial<Omit<Failure, 'reason' | 'message'>> & {
  /** Determines what the policy does: retry, ask the next target, or give up. */
  readonly reason: FailureReason
  /** The server's own message, with keys masked. The error keeps at most 1,000 characters. */
  readonly said?: string | undefined
  /** `invalid-output`: what the model wrote. */
  readonly text?: string | undefined
  /** `invalid-output`: what is wrong with it. */
  readonly issues?: readonly Issue[] | undefined
  /** The usage of the failed answer, if the server reported it. */
  readonly usage?: Usage | undefined
  /** `invalid-output`: the tool calls of the model, if one of them is invalid. */
  readonly toolCalls?: readonly ToolCall[] | undefined
  /** `invalid-output`: the id of the invalid tool call. */
  readonly toolCallId?: string | undefined
  /** The underlying error. No logger shows it. */
  readonly cause?: unknown
}

/** A longer name may be a piece of the prompt: no message contains 24 or more consecutive characters of a caller's text. */
const longestName = 23

/** Returns the name of a field or a tool as a message may show it; `''` if a message must not contain it. */
export function shortName(name: string): string {
  return name.length <= longestName && /^[\p{L}\d_$][\w.[\]-]*$/u.test(name) ? name : ''
}

/** How much of a server's message an error keeps, in UTF-16 units. */
export const longestSaid = 1_000

/**
 * How one attempt failed. A provider of your own may throw it, and the policy applies to it.
 *
 * `message` contains only our own words. Text of others may quote the prompt: the server's in `said`, the model's in `text`, `issues` and
 * the tool call. Only reading these properties by name returns it; no logger, `inspect()` or `JSON.stringify()` shows it.
 *
 * @example
 * throw new ProviderError('The queue is full.', { reason: 'overloaded', status: 503, retryAfterMs: 2_000 })
 */
export class ProviderError extends UnbusyError implements Failure {
  override readonly name = 'ProviderError'
  readonly reason: FailureReason
  readonly provider: string
  readonly model: string
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly requestId: string | undefined
  readonly clock: ClockName | undefined
  readonly contextTokens: number | undefined
  readonly requestedTokens: number | undefined
  readonly concurrencyLimit: number | undefined
  readonly charged: Charged | undefined
  readonly atMostMs: number | undefined
  readonly usage: Usage | undefined
  readonly #quoted: Quoted

  constructor(message: string, options: ProviderErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = options.reason
    this.provider = options.provider ?? ''
    this.model = options.model ?? ''
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
    this.requestId = options.requestId
    this.clock = options.clock
    this.contextTokens = options.contextTokens
    this.requestedTokens = options.requestedTokens
    this.concurrencyLimit = options.concurrencyLimit
    this.charged = options.charged
    this.atMostMs = options.atMostMs
    this.usage = options.usage
    const { said, text, issues, toolCalls, toolCallId } = options
    this.#quoted = { said: said?.slice(0, longestSaid), text, issues, toolCalls, toolCallId }
  }

  /** The server's own message, at most 1,000 characters, keys masked. It may quote the prompt: show it to a person, do not log it. */
  get said(): string | undefined {
    return this.#quoted.said
  }

  /** `invalid-output`: what the model wrote. */
  get text(): string | undefined {
    return this.#quoted.text
  }

  /** `invalid-output`: what is wrong with it. */
  get issues(): readonly Issue[] | undefined {
    return this.#quoted.issues
  }

  /** `invalid-output`: the tool calls of the model, if one of them is invalid. */
  get toolCalls(): readonly ToolCall[] | undefined {
    return this.#quoted.toolCalls
  }

  /** `invalid-output`: the id of the invalid tool call. */
  get toolCallId(): string | undefined {
    return this.#quoted.toolCallId
  }

  static override isInstance(value: unknown): value is ProviderError {
    return UnbusyError.isInstance(value) && value.name === 'ProviderError'
  }
}

/** Returns a copy of the error with some fields changed. Unlike a spread, it also copies the fields that are read by name only. */
export function changedError(error: ProviderError, changes: Partial<ProviderErrorOptions>): ProviderError {
  const { message, cause, said, text, issues, toolCalls, toolCallId } = error
  const shown: ProviderErrorOptions = error
  return new ProviderError(message, { ...shown, cause, said, text, issues, toolCalls, toolCallId, ...changes })
}

/**
 * No target answered. `attempts` lists all attempts in order; `reason`, `status` and `retryAfterMs` sum them up as a gateway would: all keys
 * refused or out of quota 502, all too large 413, all rate-limited 429, all invalid 400, all models unknown 404, all timed out 504, all
 * excluded by `when` 403, all over budget 402, one content filter 400, any other reason 503. Mixed reasons are `overloaded`, 503.
 * `message` is one line that is safe to show to strangers; `trail` is for your own log.
 */
export class ChainExhaustedError extends UnbusyError {
  override readonly name = 'ChainExhaustedError'
  readonly attempts: readonly AttemptRecord[]
  /** One error for every attempt that failed and every target that was skipped, in order. */
  readonly failures: readonly ProviderError[]
  readonly reason: FailureReason
  readonly status: number
  /** When to call again, in milliseconds: the soonest time that a server named or after which the client would ask a target again. */
  readonly retryAfterMs: number | undefined

  constructor(
    attempts: readonly AttemptRecord[],
    failures: readonly ProviderError[],
    { opensInMs }: { readonly opensInMs?: number | undefined } = {},
  ) {
    const { reason, status } = attempts.length + failures.length === 0 ? outOfTime : summary(failures)
    const waits = [
      ...failures.flatMap(failure => failure.retryAfterMs ?? []),
      ...(opensInMs === undefined ? [] : [Math.ceil(opensInMs)]),
    ]
    const retryAfterMs = waits.length === 0 ? undefined : Math.min(...waits)
    super(inOneLine(reason, retryAfterMs), failures.length === 0 ? undefined : { cause: failures.at(-1) })
    this.attempts = attempts
    this.failures = failures
    this.reason = reason
    this.status = status
    this.retryAfterMs = retryAfterMs
  }

  /** A line for every request made and every target skipped: provider, model, reason and our message. For a log, not for strangers. */
  get trail(): string {
    return this.attempts.map(lineOf).join('\n')
  }

  /** Node's `inspect` and an uncaught error show this: the stack, and the trail. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `${this.stack ?? this.message}\n${this.trail.replaceAll(/^/gm, '  ')}`
  }

  static override isInstance(value: unknown): value is ChainExhaustedError {
    return UnbusyError.isInstance(value) && value.name === 'ChainExhaustedError'
  }
}

/** The status of a gateway when all failures are of one kind. */
const gatewayStatus: Partial<Record<FailureReason, number>> = {
  authentication: 502,
  permission: 502,
  quota: 502,
  'context-length': 413,
  'rate-limit': 429,
  'invalid-request': 400,
  'content-filter': 400,
  'not-found': 404,
  timeout: 504,
  excluded: 403,
  budget: 402,
}

/** No target was asked or skipped: the time of the call was over before. */
const outOfTime = { reason: 'timeout', status: 504 } as const

function summary(failures: readonly ProviderError[]): { reason: FailureReason; status: number } {
  const filtered = failures.find(failure => failure.reason === 'content-filter')
  if (filtered !== undefined) return { reason: 'content-filter', status: 400 }
  // targets that `when` excludes say nothing about those that could have answered
  const able = failures.filter(failure => failure.reason !== 'excluded')
  const reasons = new Set((able.length === 0 ? failures : able).map(failure => failure.reason))
  const [only = 'overloaded'] = reasons
  return reasons.size === 1 ? { reason: only, status: gatewayStatus[only] ?? 503 } : { reason: 'overloaded', status: 503 }
}

function inOneLine(reason: FailureReason, retryAfterMs: number | undefined): string {
  const later = retryAfterMs === undefined ? '' : ` Try again in ${Math.max(1, Math.ceil(retryAfterMs / 1_000))} s.`
  return `No target answered (${reason}).${later}`
}

function lineOf({ provider, model, name, attempt, status, reason, outcome, message, durationMs }: AttemptRecord): string {
  const what = reason === undefined ? outcome : status === undefined ? reason : `${reason} (${status})`
  const sent = attempt === 0 ? 'skipped' : `attempt ${attempt}, ${Math.round(durationMs)} ms`
  const who = name === undefined || name === provider ? `${provider} ${model}` : `${provider} ${model} (${name})`
  return `${who}: ${what}, ${sent}${message === undefined ? '' : `: ${message}`}`
}
