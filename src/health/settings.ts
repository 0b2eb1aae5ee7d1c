/** When a target counts as broken, and how it is let back in. */
export type BreakerSettings = {
  /**
   * The share of failed calls from which a target counts as broken, above 0 and up to 1.
   * A target that has failed often for a while is compared with its own baseline, up to 60 % of this share.
   * @default 0.5
   */
  readonly failureRatio: number
  /**
   * How many calls must have been counted before their share of failures counts. With fewer calls only `consecutiveFailures` decides.
   * @default 10
   */
  readonly minimumCalls: number
  /**
   * The share is taken over the longer of this time, in milliseconds, and the last `windowCalls` calls.
   * @default 5_000
   */
  readonly windowMs: number
  /** How many of the last calls count, if they go back further than `windowMs`. @default 20 */
  readonly windowCalls: number
  /**
   * Calls older than this, in milliseconds, are never counted, so that an idle hour is forgotten.
   * @default 60_000
   */
  readonly maxAgeMs: number
  /**
   * How many failures in a row open the breaker if there are fewer than `minimumCalls` calls in `windowMs`.
   * @default 3
   */
  readonly consecutiveFailures: number
  /**
   * How long the breaker is open at first, in milliseconds; doubled after every failed probe, up to `maxOpenMs`, and spread by +/-20 %.
   * @default 2_000
   */
  readonly openMs: number
  /**
   * The longest time between two probes, in milliseconds. 60_000 suits hundreds of processes that call rarely.
   * @default 10_000
   */
  readonly maxOpenMs: number
  /**
   * How long one probe prevents others, in milliseconds. After this time another probe may replace a lost one.
   * @default 10_000
   */
  readonly probeLeaseMs: number
  /**
   * The first content of a probe must arrive within this time, in milliseconds, or the probe ends.
   * @default 6_000
   */
  readonly probeFirstChunkMs: number
  /**
   * How many probes in a row must succeed before the target is used again.
   * @default 3
   */
  readonly successesToClose: number
}

/** How many retries a target may get: a bucket of tokens that only the target's own first contents fill. */
export type RetryBudgetSettings = {
  /** Tokens at the start. @default 5 */
  readonly start: number
  /** The most tokens that are kept. @default 10 */
  readonly capacity: number
  /** Tokens earned by every first content. 0.1 means at most one retry per ten answers. @default 0.1 */
  readonly perFirstChunk: number
}

/** The settings of `health/` that a client's options change. All other numbers are constants at the top of the file that uses them. */
export type HealthSettings = {
  /** `false`: there is no breaker; then only the other guards block calls. */
  readonly breaker: BreakerSettings | false
  readonly budget: RetryBudgetSettings
}

export function isSameSettings(one: HealthSettings, other: HealthSettings): boolean {
  return isSameGroup(one.breaker, other.breaker) && isSameGroup(one.budget, other.budget)
}

function isSameGroup(one: object | false, other: object | false): boolean {
  if (one === false || other === false) return one === other
  return Object.entries(one).every(([name, value]) => Reflect.get(other, name) === value)
}

/** Protects the first target: a brownout moves calls to the next target instead of adding load to this one. */
export const loadFirst = {
  breaker: {
    failureRatio: 0.5,
    minimumCalls: 10,
    windowMs: 5_000,
    windowCalls: 20,
    maxAgeMs: 60_000,
    consecutiveFailures: 3,
    openMs: 2_000,
    maxOpenMs: 10_000,
    probeLeaseMs: 10_000,
    probeFirstChunkMs: 6_000,
    successesToClose: 3,
  },
  budget: { start: 5, capacity: 10, perFirstChunk: 0.1 },
} as const satisfies HealthSettings

/** Protects the bill: the first target gets more retries before a call moves to a more expensive target. */
export const costFirst = {
  ...loadFirst,
  budget: { start: 5, capacity: 10, perFirstChunk: 0.3 },
} as const satisfies HealthSettings
