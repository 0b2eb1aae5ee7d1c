/** What went wrong, and what it is charged to. */

/** Why an attempt failed. The list is closed: a reason without a rule in `chain/policy.ts` does not compile. */
export type FailureReason =
  | 'network'
  | 'overloaded'
  | 'server-error'
  | 'truncated'
  | 'malformed-response'
  | 'timeout'
  | 'loading'
  | 'rate-limit'
  | 'quota'
  | 'authentication'
  | 'permission'
  | 'not-found'
  | 'context-length'
  | 'invalid-request'
  | 'empty'
  | 'invalid-output'
  | 'content-filter'
  | 'excluded'
  | 'budget'

/** What a failure leads to: the call retries the same target, asks the next one, or gives up. */
export type Decision = 'retry' | 'next' | 'stop'

/**
 * What a failure is charged to. `target`: the target's breaker counts the failure. `gate`: the target is not down, but calls skip it for
 * a while. `key`, `model`: every target that uses this key, or this model with this key, is skipped for a long time. `request`: the
 * failure concerns this request alone, so its Retry-After blocks no other request. `nobody`: health records nothing, but a Retry-After
 * is obeyed.
 */
export type Charged = 'target' | 'gate' | 'key' | 'model' | 'request' | 'nobody'

/** The clock that ended an attempt: the name of its timeout option without the `Ms`. */
export type ClockName = 'connect' | 'headers' | 'firstChunk' | 'queued' | 'chunk' | 'total' | 'firstContent'

/** One failed attempt as data: the fields of a {@link ProviderError}, and the argument of hooks such as `decide`. */
export type Failure = {
  readonly reason: FailureReason
  readonly message: string
  /** The name of the provider that received the request. */
  readonly provider: string
  /** The model that was requested. */
  readonly model: string
  /** The HTTP status, if the server responded. An error inside a 200 response has status 200. */
  readonly status: number | undefined
  /** How long the server asked us to wait, in milliseconds from the receipt of its response. */
  readonly retryAfterMs: number | undefined
  /** The service's own id of the request, to quote to its support. */
  readonly requestId: string | undefined
  /** `timeout`: the clock that ran out. */
  readonly clock: ClockName | undefined
  /** `context-length`: the size of the model's context in tokens, if the server reported it. */
  readonly contextTokens: number | undefined
  /** `context-length`: how many tokens the request needed, if the server reported it. */
  readonly requestedTokens: number | undefined
  /** `rate-limit`: how many requests may be in flight at once, if the server reported it. */
  readonly concurrencyLimit: number | undefined
  /** What the failure is charged to, if that is known more precisely than from its reason. @default the policy table's entry for the reason */
  readonly charged?: Charged | undefined
  /**
   * The longest time that the limit can last, in milliseconds, if the server named no time but the kind of limit implies one: a limit per
   * minute is over after a minute. @default not known
   */
  readonly atMostMs?: number | undefined
}
