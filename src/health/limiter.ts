import type { ArrivalRate } from './waiters.ts'

/** How the limit of requests in flight is learned from a target's refusals. `docs/health.md` lists these numbers. */
export const limiterSettings = {
  /** The limit is multiplied by this after an overload. */
  decrease: 0.7,
  /** The limit after an outage is at least this. */
  slowStartLimit: 8,
  /** The limit after an outage is at least this share of the highest number in flight before it. */
  slowStartShare: 0.1,
  /** A limit that the server named is raised by this factor every minute, because the account's limit may have been raised. */
  relaxPerMinute: 1.1,
} as const

/**
 * Limits how many requests a target has in flight. There is no limit until the target refuses a request. From then on the limit falls by
 * a third with every round of refusals, and grows with every success while it is reached (AIMD). Gradients of the response time, as in
 * Vegas or Envoy, do not fit: one answer may last a hundred times longer than another.
 */
export type Limiter = {
  hasRoom(now: number): boolean
  enter(): void
  /** Records a first content, once for each request. `isPrompt`: it was as fast as usual, so the target has room for more requests. */
  succeed(isPrompt: boolean, rate: ArrivalRate): void
  /** Records the end of a request. `answeredMs`: how long it took, if it ended with an answer. */
  leave(hasBegun: boolean, answeredMs?: number): void
  /** Records that the target refused a request, because too many are in flight or arrive too fast. */
  refuse(now: number): void
  /** Records that the target reported an overload, which may be caused by us, by others, or by chance. */
  overload(now: number): void
  /** Applies a limit that the target named. */
  obey(limit: number, now: number): void
  /** Applies this process's share of the limit, as the fleet has divided it. */
  share(limit: number, now: number): void
  /** Remembers the peak of requests in flight, because the target is down. */
  stop(): void
  /** Begins with a small limit that doubles with every round, because the target works again. */
  startSlowly(now: number): void
  inFlight(): number
  /** Returns how long an answer usually takes, in milliseconds; 0 before the first answer. */
  answerMs(): number
  /** Returns the limit; Infinity: not limited. */
  limit(now: number): number
}

type LimiterState = {
  readonly named: NamedLimit
  inFlight: number
  /** The requests whose answers have begun: proof that the target can handle that many. */
  begun: number
  learned: number
  /** A limit that has grown above this is removed. */
  liftAbove: number
  isSlowStart: boolean
  overloadsInARow: number
  /** The most answers that arrived at the same time. Requests that the server queues or never answers are not counted. */
  peak: number
  lastPeak: number
  decreasedAt: number
  /** When a refusal or an outage last set `learned`; its growth afterwards does not count. */
  learnedAt: number
  /** The moving average of how long an answer takes, which is one round. Only answers count, because refusals are fast. */
  answerMs: number
}

/** A round lasts at least this long, in milliseconds, even if answers take no time. */
const shortestRoundMs = 1_000
const roundWeight = 0.1
/**
 * After this many overloads in a row the target is surely full: a full server refuses everything until a request ends. A server that
 * refuses at random does not refuse less at lower concurrency. If every refusal lowered the limit, a brownout of 30 % would send a third of
 * all calls to a more expensive target, and the bill would double.
 */
const surelyOverloaded = 8
/** A limit that was only learned from refusals is forgotten after this time without a refusal, in milliseconds. */
const forgetAfterMs = 300_000
/** A limit above this multiple of the peak of requests in flight has no effect and is removed. */
const liftFactor = 1.2

export function createLimiter(): Limiter {
  const limiter: LimiterState = {
    named: createNamedLimit(),
    inFlight: 0,
    begun: 0,
    learned: Infinity,
    liftAbove: Infinity,
    isSlowStart: false,
    overloadsInARow: 0,
    peak: 0,
    lastPeak: 0,
    decreasedAt: Number.NEGATIVE_INFINITY,
    learnedAt: Number.NEGATIVE_INFINITY,
    answerMs: 0,
  }
  return {
    hasRoom: now => limiter.inFlight < limitAt(limiter, now),
    enter: () => void (limiter.inFlight += 1),
    succeed: (isPrompt, rate) => succeed(limiter, isPrompt, rate),
    leave: (hasBegun, answeredMs) => leave(limiter, hasBegun, answeredMs),
    refuse: now => refuse(limiter, now),
    overload: now => overload(limiter, now),
    obey: (limit, now) => obey(limiter, limit, now),
    share: (limit, now) => limiter.named.set(limit, now),
    stop: () => stop(limiter),
    startSlowly: now => startSlowly(limiter, now),
    inFlight: () => limiter.inFlight,
    answerMs: () => limiter.answerMs,
    limit: now => limitAt(limiter, now),
  }
}

function limitAt(limiter: LimiterState, now: number): number {
  // A single refusal at night, at low concurrency, must not make the calls of the morning wait.
  if (now - limiter.learnedAt > forgetAfterMs) limiter.learned = Infinity
  return Math.min(limiter.learned, limiter.named.at(now))
}

function leave(limiter: LimiterState, hasBegun: boolean, answeredMs: number | undefined): void {
  limiter.inFlight -= 1
  if (hasBegun) limiter.begun -= 1
  if (answeredMs === undefined) return
  limiter.answerMs += (answeredMs - limiter.answerMs) * (limiter.answerMs === 0 ? 1 : roundWeight)
}

function succeed(limiter: LimiterState, isPrompt: boolean, rate: ArrivalRate): void {
  limiter.begun += 1
  limiter.overloadsInARow = 0
  const hasBacklog = rate.waiting > 0
  limiter.peak = Math.max(limiter.peak, limiter.begun)
  if (!hasBacklog) rate.peak = Math.max(rate.peak, limiter.peak)
  const isAtLimit = limiter.isSlowStart || limiter.inFlight >= limiter.learned
  if (!isAtLimit || !isPrompt) return
  if (limiter.learned < limiter.liftAbove || (hasBacklog && limiter.learned < liftFactor * rate.peak)) limiter.learned += 1
  // More requests than ever before may be too many for the target. While calls wait after an outage, that risk is not taken.
  else if (!hasBacklog) limiter.learned = Infinity
}

function refuse(limiter: LimiterState, now: number): void {
  // With only one request in flight, the number of requests cannot be the reason for the refusal.
  if (limiter.inFlight <= 1) return
  // Requests in flight together are refused together. With more than one decrease per round, a single hiccup would lower the limit to 1.
  if (now - limiter.decreasedAt < Math.max(shortestRoundMs, limiter.answerMs)) return
  limiter.decreasedAt = now
  limiter.learnedAt = now
  limiter.isSlowStart = false
  limiter.liftAbove = Infinity
  const reduced = Math.floor(Math.min(limiter.learned, limiter.inFlight) * limiterSettings.decrease)
  // The limit never falls below the answers that are arriving. Otherwise a brownout that refuses at random would block most calls.
  limiter.learned = Math.max(1, limiter.begun, reduced)
}

function overload(limiter: LimiterState, now: number): void {
  limiter.overloadsInARow += 1
  if (limiter.overloadsInARow >= surelyOverloaded) refuse(limiter, now)
}

function obey(limiter: LimiterState, limit: number, now: number): void {
  // A named limit is used as it is. A refusal below it does not lower it, because others of the same account may use the rest.
  if (limit >= 1) limiter.named.set(limit, now)
}

function stop(limiter: LimiterState): void {
  limiter.lastPeak = Math.max(limiter.peak, limiter.lastPeak / 2, 1)
  limiter.peak = 0
}

function startSlowly(limiter: LimiterState, now: number): void {
  const { slowStartLimit, slowStartShare } = limiterSettings
  // Requests in flight are being served already, so they do not count against the small limit.
  limiter.learned = limiter.inFlight + Math.max(slowStartLimit, Math.ceil(slowStartShare * limiter.lastPeak))
  limiter.liftAbove = liftFactor * limiter.lastPeak
  limiter.isSlowStart = true
  limiter.decreasedAt = Number.NEGATIVE_INFINITY
  limiter.learnedAt = now
}

/** A limit that the server named. It is obeyed at first and raised slowly afterwards, because the limits of accounts are raised. */
export type NamedLimit = {
  set(limit: number, now: number): void
  /** Returns the limit at a time; Infinity: no limit was named. */
  at(now: number): number
}

export function createNamedLimit(): NamedLimit {
  let named = Infinity
  let namedAt = 0
  return {
    set(limit, now) {
      named = Math.max(1, Math.floor(limit))
      namedAt = now
    },
    at(now) {
      return Math.floor(named * limiterSettings.relaxPerMinute ** Math.floor((now - namedAt) / 60_000))
    },
  }
}
