/** What users set for a target: retries, limits, money, prices. */

import type { Call, Provider, TimeoutSettings } from './contract.ts'

/** The clocks of a call: those of its attempts, and one for the call as a whole. */
export type CallTimeoutSettings = TimeoutSettings & {
  /**
   * From the start of the call to the first content that any attempt receives, waits included, in milliseconds. When it runs out, no target
   * is asked any more, also for `generate()`.
   * @default Infinity. With a `defaultResponse`, waits before requests last 10 s in all; a running request is not shortened
   */
  readonly firstContentMs: number
}

/** How often a call retries the same target, and how long it waits. */
export type RetrySettings = {
  /** The maximum number of requests to the same target after the first, over the whole call. @default 1 */
  readonly maxRetries: number
  /** The wait before retry n is random: from 50 (at most a fifth of the limit) up to `baseDelayMs * 2^(n-1)` milliseconds. @default 250 */
  readonly baseDelayMs: number
  /** The upper limit of that wait, in milliseconds. @default 10_000 */
  readonly maxDelayMs: number
  /**
   * The longest wait for a blocked target, in milliseconds; 0 = never wait.
   * @default a Retry-After of up to 2,500 ms while another target could answer; otherwise any time within the deadline
   */
  readonly waitForMs?: number | undefined
  /**
   * How many times a call goes through the chain while its targets fail for temporary reasons, 1 or more. `Infinity` suits batch jobs.
   * @default 3, with waits of ten seconds in all; 1 with `retry: 0` or a `defaultResponse`
   */
  readonly rounds?: number | undefined
}

/** One step of the chain: a provider, a model, and settings of its own. */
export type Target = {
  /** The provider that sends the requests. */
  readonly provider: Provider
  /** The model to request, by the service's name for it. */
  readonly model: string
  /** Your own name for the target, shown in attempts, health and events. It tells targets of the same model apart. @default none */
  readonly name?: string | undefined
  /** A number is short for `{ maxRetries }`; 0 means exactly one attempt. @default the client's */
  readonly retry?: number | Partial<RetrySettings> | undefined
  /** Clocks of each attempt at this target, `totalMs` included. They override the client's. @default the client's, else the service's */
  readonly timeout?: Partial<TimeoutSettings> | undefined
  /** US dollars per million tokens. Undefined = not known; then the target gets no hedges if `hedge.unpriced` is false. */
  readonly price?: Price | undefined
  /**
   * The spending limit of this target and of all others of its identity (origin, path, model, key). In a fleet each process counts its own.
   * @default no limit
   */
  readonly budget?: Budget | undefined
  /**
   * Nothing is sent to this target unless `when` returns true: no attempt, no hedge, no probe. It is called once per call, before
   * anything is sent. If it returns anything but a boolean, even a promise, the call rejects with a TypeError and nothing is sent.
   */
  readonly when?: ((call: Call) => boolean) | undefined
  /**
   * Adapts the call for this target alone: returns synchronously the fields to change, for example `{ temperature: 0 }` or shorter
   * `messages`; `undefined` changes nothing. It is called before each attempt, also for retries, repairs and continuations, and sees their
   * changes. It must not return `output`, `tools`, `prefix`, `model`, `metadata` or `tag`, which are the same for all targets: those, or a
   * promise, reject the call with a TypeError. An error that it throws rejects the call unchanged. `when` sees the call without its changes.
   */
  readonly prepare?: ((call: Call) => CallChanges) | undefined
  /**
   * Sends a small request from time to time while the target is idle, so that the next call waits neither for the model to load nor for the
   * prompt to be read. Never sends one during a call to the target, nor to a target that is down. `when` is not called.
   * @default off
   */
  readonly keepWarm?: KeepWarm | undefined
  /**
   * Limits on the requests to this target, for example `{ concurrency: 4 }`. A call beyond a limit goes to the next target; if no other can
   * answer, it waits in line as long as its clocks allow. Targets with the same address, model and key share their limits and must be
   * given the same ones. @default none
   */
  readonly limits?: TargetLimits | undefined
}

/** What to keep ready on an idle server: `model`, `prompt`, or both. */
export type KeepWarm = {
  /** Keeps the model in memory. */
  readonly model?: true | undefined
  /** The system prompt that your calls share: it is kept in the server's cache. Each ping sends it and asks for one token. */
  readonly prompt?: string | undefined
  /**
   * A ping is sent when the target has been idle for this long, in milliseconds, 100 or more. Choose less than half of the server's unload time.
   * @default 120_000
   */
  readonly everyMs?: number | undefined
  /** Allows pings that cost money. Without it, `keepWarm` on a target with a price throws. @default false */
  readonly paid?: boolean | undefined
}

/**
 * US dollars within a rolling window of `perMs` milliseconds, above 0; `Infinity`: the lifetime of the client. A request counts with its
 * maximum cost until its usage is reported, and for good if it never is. A target whose next request may cost more than is left is skipped with the
 * reason `budget`.
 */
export type Budget = { readonly dollars: number; readonly perMs: number }

/** Limits on the requests to one target, each a whole number, 1 or more. In a fleet each process gets an equal share. */
export type TargetLimits = {
  /** The maximum number of requests in flight. Retries, probes and hedges count too. @default no limit */
  readonly concurrency?: number | undefined
  /** The maximum number of requests that start within a minute, of every kind. @default no limit */
  readonly requestsPerMinute?: number | undefined
  /**
   * The maximum number of tokens of the requests that start within a minute, estimated from the length of the prompt and `maxOutputTokens` and
   * corrected when the usage arrives. A target whose limit is smaller than one request is skipped. @default no limit
   */
  readonly tokensPerMinute?: number | undefined
}

/** What a target's `prepare` may change. */
export type CallChanges = Partial<Omit<Call, 'model' | 'output' | 'tools' | 'prefix' | 'metadata' | 'tag'>>

/** US dollars per million tokens. */
export type Price = {
  /** For input tokens. */
  readonly input: number
  /** For input tokens that came from the service's cache. @default `input`; the cost is then an upper bound */
  readonly cachedInput?: number | undefined
  /** For output tokens, reasoning included. */
  readonly output: number
  /**
   * Prices for certain times, or for large requests. The first rule that matches at the start of a request applies. If a request ran
   * across a boundary, the higher price counts and `costIsUpperBound` is true. @default none
   */
  readonly rules?: readonly PriceRule[] | undefined
}

/** Prices that apply while all conditions of the rule are met. US dollars per million tokens. */
export type PriceRule = {
  /** Hours of the day in UTC, from 0 to 24: `[1, 4]` is from 01:00 up to 04:00, `[22, 6]` spans midnight. @default all day */
  readonly hoursUtc?: readonly [from: number, to: number] | undefined
  /**
   * Days of the week in UTC: 0 is Sunday, 1 Monday, 6 Saturday. The hours after midnight of `[22, 6]` belong to the day that has begun.
   * @default every day
   */
  readonly weekdays?: readonly number[] | undefined
  /** From this moment on, as ISO 8601 with a zone: `2026-08-16T16:00:00Z`. @default always */
  readonly from?: string | undefined
  /** Up to this moment (exclusive), as ISO 8601 with a zone. @default for ever */
  readonly until?: string | undefined
  /**
   * Days on which it is uncertain whether the rule applies, such as movable holidays: first and last day, as month and day in UTC:
   * `['12-30', '01-03']`. On these days the higher price counts and `costIsUpperBound` is true. @default none
   */
  readonly mayNotHoldOn?: readonly (readonly [first: string, last: string])[] | undefined
  /** Only for requests with more input tokens than this, cached ones included. @default requests of every size */
  readonly aboveInputTokens?: number | undefined
  /** For input tokens. */
  readonly input: number
  /** For input tokens that came from the service's cache. @default `input` of this rule; the cost is then an upper bound */
  readonly cachedInput?: number | undefined
  /** For output tokens, reasoning included. */
  readonly output: number
}
