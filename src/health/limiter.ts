import { createNamedLimit } from './named-limit.ts'
import type { NamedLimit } from './named-limit.ts'
import type { Pace } from './pace.ts'
import type { LimiterSettings } from './settings.ts'

/**
 * How many requests a target takes at once. Nothing is known, and nothing limited, until it refuses one; from then on the limit falls
 * by a third with every round of refusals and grows with every success at it (AIMD). Gradients of the response time, as
 * Vegas or Envoy use them, do not fit: one answer may last a hundred times longer than another.
 */
export type Limiter = {
  hasRoom(now: number): boolean
  enter(): void
  /** Gives one place back. `answeredMs`: how long it was held, when it ended with an answer. */
  leave(answeredMs?: number): void
  /** A first content came. */
  succeed(pace: Pace): void
  /** The target said that it is too busy. */
  refuse(now: number): void
  /** The target said how many it takes. */
  obey(limit: number, now: number): void
  /** Its share of what the target takes, as the fleet has divided it. */
  share(limit: number, now: number): void
  /** The target is out: what was in flight at its best is remembered. */
  stop(): void
  /** The target is back: begins small and doubles with every round. */
  startSlowly(): void
  inFlight(): number
  /** How long an answer usually takes, in milliseconds; 0 until there was one. */
  answerMs(): number
  /** Infinity: not limited. */
  limit(now: number): number
}

type Memory = {
  readonly settings: LimiterSettings
  readonly named: NamedLimit
  inFlight: number
  learned: number
  /** A limit that has grown above this is none any more. */
  liftAbove: number
  isSlowStart: boolean
  /** The most in flight when answers came, not when a black hole piled them up. */
  peak: number
  lastPeak: number
  decreasedAt: number
  /** How long an answer holds its place, as a moving average: the round trip. Fast refusals would make it short. */
  answerMs: number
}

/** Answers of no length at all must not make a round of no length. */
const shortestRoundMs = 1_000
const roundWeight = 0.1
/** A limit that is this much above what was in flight at the best does not limit. */
const liftFactor = 1.2

export function createLimiter(settings: LimiterSettings): Limiter {
  const memory: Memory = {
    settings,
    named: createNamedLimit(settings.relaxPerMinute),
    inFlight: 0,
    learned: Infinity,
    liftAbove: Infinity,
    isSlowStart: false,
    peak: 0,
    lastPeak: 0,
    decreasedAt: Number.NEGATIVE_INFINITY,
    answerMs: 0,
  }
  return {
    hasRoom: now => memory.inFlight < limitAt(memory, now),
    enter: () => void (memory.inFlight += 1),
    leave: answeredMs => leave(memory, answeredMs),
    succeed: pace => succeed(memory, pace),
    refuse: now => refuse(memory, now),
    obey: (limit, now) => obey(memory, limit, now),
    share: (limit, now) => memory.named.set(limit, now),
    stop: () => stop(memory),
    startSlowly: () => startSlowly(memory),
    inFlight: () => memory.inFlight,
    answerMs: () => memory.answerMs,
    limit: now => limitAt(memory, now),
  }
}

function limitAt({ learned, named }: Memory, now: number): number {
  return Math.min(learned, named.at(now))
}

function leave(memory: Memory, answeredMs: number | undefined): void {
  memory.inFlight -= 1
  if (answeredMs === undefined) return
  memory.answerMs += (answeredMs - memory.answerMs) * (memory.answerMs === 0 ? 1 : roundWeight)
}

function succeed(memory: Memory, pace: Pace): void {
  const hasBacklog = pace.waiting > 0
  if (memory.inFlight > memory.peak) memory.peak = memory.inFlight
  if (memory.peak > pace.peak && !hasBacklog) pace.peak = memory.peak
  if (memory.learned === Infinity || !(memory.isSlowStart || memory.inFlight >= memory.learned)) return
  if (memory.learned < memory.liftAbove || (hasBacklog && memory.learned < liftFactor * pace.peak)) memory.learned += 1
  // More than it ever had in flight may be more than it can: the backlog of an outage is not the time to find out.
  else if (!hasBacklog) lift(memory)
}

function lift(memory: Memory): void {
  memory.learned = Infinity
  memory.isSlowStart = false
}

function refuse(memory: Memory, now: number): void {
  // What was in flight together is refused together: one decrease a round, or a single hiccup would end at 1.
  if (now - memory.decreasedAt < Math.max(shortestRoundMs, memory.answerMs)) return
  memory.decreasedAt = now
  memory.isSlowStart = false
  memory.liftAbove = Infinity
  memory.learned = Math.max(1, Math.floor(Math.min(memory.learned, memory.inFlight) * memory.settings.decrease))
}

function obey(memory: Memory, limit: number, now: number): void {
  if (!(limit >= 1)) return
  memory.named.set(limit, now)
  // Others of the same account may hold the rest of it.
  if (memory.inFlight <= limit) refuse(memory, now)
}

function stop(memory: Memory): void {
  memory.lastPeak = Math.max(memory.peak, memory.lastPeak / 2, 1)
  memory.peak = 0
}

function startSlowly(memory: Memory): void {
  const { slowStartLimit, slowStartShare } = memory.settings
  memory.learned = Math.max(slowStartLimit, Math.ceil(slowStartShare * memory.lastPeak))
  memory.liftAbove = liftFactor * memory.lastPeak
  memory.isSlowStart = true
  memory.decreasedAt = Number.NEGATIVE_INFINITY
}
