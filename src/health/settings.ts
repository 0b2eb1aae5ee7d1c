/** When a target counts as broken, and how it is let back in. */
export type BreakerSettings = {
  /**
   * The share of failed calls from which a target counts as broken, above 0 and up to 1.
   * A target that has failed often for a while already is judged against what is usual for it, up to 60 % of this share.
   * @default 0.5
   */
  readonly failureRatio: number
  /**
   * How many calls must have been counted before a share is a share. Below it only `consecutiveFailures` decides.
   * @default 10
   */
  readonly minimumCalls: number
  /**
   * The share is taken over the longer of this time, in milliseconds, and the last `windowCalls` calls.
   * @default 5_000
   */
  readonly windowMs: number
  /** @default 20 */
  readonly windowCalls: number
  /**
   * Calls older than this, in milliseconds, are never counted, so that an idle hour is forgotten.
   * @default 60_000
   */
  readonly maxAgeMs: number
  /**
   * So many failures in a row open the breaker where there are fewer than `minimumCalls` in `windowMs`.
   * @default 3
   */
  readonly consecutiveFailures: number
  /**
   * How long it is open at first, in milliseconds; doubled after every failed probe, up to `maxOpenMs`, and spread by +/-20 %.
   * @default 2_000
   */
  readonly openMs: number
  /**
   * The longest time between two probes, in milliseconds. 60_000 suits hundreds of processes that call rarely.
   * @default 10_000
   */
  readonly maxOpenMs: number
  /**
   * How long one probe keeps others from probing, in milliseconds. A probe that was lost gives its place back this way.
   * @default 10_000
   */
  readonly probeLeaseMs: number
  /**
   * The first content of a probe must be here in this time, in milliseconds. The chain ends the probe.
   * @default 6_000
   */
  readonly probeFirstChunkMs: number
  /**
   * So many probes in a row must succeed before the target is used again.
   * @default 3
   */
  readonly successesToClose: number
}

/** How many retries a target may be sent: a bucket of tokens that its own successes fill. */
export type BudgetSettings = {
  /** Tokens at the start. @default 5 */
  readonly start: number
  /** The most tokens that are kept. @default 10 */
  readonly capacity: number
  /** Tokens earned by every first content. 0.1 means at most one retry for ten answers. @default 0.1 */
  readonly perFirstChunk: number
}

/** How many requests a target may have in flight, learned from its refusals. */
export type LimiterSettings = {
  /** What an overload leaves of the limit. @default 0.7 */
  readonly decrease: number
  /** The limit after an outage is at least this. @default 8 */
  readonly slowStartLimit: number
  /** The limit after an outage is at least this share of the highest number in flight before it. @default 0.1 */
  readonly slowStartShare: number
  /** A limit that a server named is relaxed by this factor every minute, because it may have been raised. @default 1.1 */
  readonly relaxPerMinute: number
}

/** How long a target is left alone when it says so, or refuses the key or the model. */
export type GateSettings = {
  /** A named wait is stretched by up to this share, so that a fleet does not return in one moment. @default 0.1 */
  readonly jitterShare: number
  /** At least this much stretch is allowed, in milliseconds. @default 200 */
  readonly jitterMs: number
  /**
   * A named time up to this, in milliseconds, is obeyed to the letter. During a longer one a call looks each time this has passed
   * whether it still holds, and requests of at most half the size of the refused one may go. @default 900_000
   */
  readonly obeyedMs: number
  /** The longest wait after a 429 that names none, in milliseconds; the shortest is half of it. @default 1_000 */
  readonly unnamedMs: number
  /** How long a refused key or an unknown model is left alone at first, in milliseconds; doubled while it stays refused. @default 300_000 */
  readonly refusedMs: number
  /** The longest such time, in milliseconds. @default 3_600_000 */
  readonly maxRefusedMs: number
  /** A key or model that answered not longer ago than this, in milliseconds, may be refused by mistake. @default 60_000 */
  readonly recentMs: number
  /** So soon one call tries it then, in milliseconds, before it is left alone for long. @default 3_000 */
  readonly doubtMs: number
  /** One call tries a refused key or model again; it keeps others away for this long, in milliseconds. @default 30_000 */
  readonly trialLeaseMs: number
}

/** How calls that wait for an opening are woken. */
export type WaitingSettings = {
  /** The most calls that wait for one target. @default 10_000 */
  readonly maxWaiting: number
  /** Waiters are spread over this share of the time they waited ... @default 0.1 */
  readonly spreadShare: number
  /** ... plus this many milliseconds ... @default 500 */
  readonly spreadMs: number
  /** ... plus so long that they come at this multiple of the usual rate of calls. @default 2 */
  readonly rateFactor: number
}

/** When failures of several services are taken for a fault on our side. */
export type LocalFaultSettings = {
  /** Services that begin to fail within this time of each other, in milliseconds, fail together. @default 5_000 */
  readonly withinMs: number
  /** How long nobody is asked then, in milliseconds; doubled while it lasts, up to `maxPauseMs`. @default 1_000 */
  readonly pauseMs: number
  /** @default 4_000 */
  readonly maxPauseMs: number
}

/** Everything that `health/` is told; a client's options are turned into this once. */
export type HealthSettings = {
  /** `false` turns it off: a target is then left only by gates. */
  readonly breaker: BreakerSettings | false
  readonly budget: BudgetSettings
  readonly limiter: LimiterSettings
  readonly gate: GateSettings
  readonly waiting: WaitingSettings
  readonly localFault: LocalFaultSettings
}

/** Every default of health. Protects the first target: a brownout moves calls to the next target rather than load to this one. */
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
  limiter: { decrease: 0.7, slowStartLimit: 8, slowStartShare: 0.1, relaxPerMinute: 1.1 },
  gate: {
    jitterShare: 0.1,
    jitterMs: 200,
    obeyedMs: 900_000,
    unnamedMs: 1_000,
    refusedMs: 300_000,
    maxRefusedMs: 3_600_000,
    recentMs: 60_000,
    doubtMs: 3_000,
    trialLeaseMs: 30_000,
  },
  waiting: { maxWaiting: 10_000, spreadShare: 0.1, spreadMs: 500, rateFactor: 2 },
  localFault: { withinMs: 5_000, pauseMs: 1_000, maxPauseMs: 4_000 },
} as const satisfies HealthSettings

/** Protects the bill: the first target is asked again more often before a dearer one is. */
export const costFirst = {
  ...loadFirst,
  budget: { start: 5, capacity: 10, perFirstChunk: 0.3 },
} as const satisfies HealthSettings
