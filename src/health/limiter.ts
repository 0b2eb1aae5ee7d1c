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
  /** A first content came. Once for each that entered. `isPrompt`: it came as fast as usual, so that there is room for more. */
  succeed(isPrompt: boolean, pace: Pace): void
  /** Gives one place back. `answeredMs`: how long it was held, when it ended with an answer. */
  leave(hasBegun: boolean, answeredMs?: number): void
  /** The target said that too many requests are in flight, or come in too fast. */
  refuse(now: number): void
  /** The target said that it is overloaded: by us or by others, or by chance. */
  overload(now: number): void
  /** The target said how many it takes. */
  obey(limit: number, now: number): void
  /** Its share of what the target takes, as the fleet has divided it. */
  share(limit: number, now: number): void
  /** The target is out: what was in flight at its best is remembered. */
  stop(): void
  /** The target is back: begins small and doubles with every round. */
  startSlowly(now: number): void
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
  /** Those of them whose answers come: the proof that so many fit. */
  begun: number
  learned: number
  /** A limit that has grown above this is none any more. */
  liftAbove: number
  isSlowStart: boolean
  overloadsInARow: number
  /** The most whose answers came at once: neither what waited in a queue nor what a black hole piled up. */
  peak: number
  lastPeak: number
  decreasedAt: number
  /** When `learned` was last told by the target, and not only grown. */
  learnedAt: number
  /** How long an answer holds its place, as a moving average: the round trip. Fast refusals would make it short. */
  answerMs: number
}

/** Answers of no length at all must not make a round of no length. */
const shortestRoundMs = 1_000
const roundWeight = 0.1
/**
 * A server that is full refuses everything until a place is free. One that refuses now and then would not by fewer requests refuse less:
 * with a decrease at every refusal, a brownout of 30 % sends a third of all calls to a dearer target, and the bill doubles.
 */
const surelyOverloaded = 8
/** A limit that was only learned from refusals is forgotten when there was none for so long. */
const forgetAfterMs = 300_000
/** A limit that is this much above what was in flight at the best does not limit. */
const liftFactor = 1.2

export function createLimiter(settings: LimiterSettings): Limiter {
  const memory: Memory = {
    settings,
    named: createNamedLimit(settings.relaxPerMinute),
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
    hasRoom: now => memory.inFlight < limitAt(memory, now),
    enter: () => void (memory.inFlight += 1),
    succeed: (isPrompt, pace) => succeed(memory, isPrompt, pace),
    leave: (hasBegun, answeredMs) => leave(memory, hasBegun, answeredMs),
    refuse: now => refuse(memory, now),
    overload: now => overload(memory, now),
    obey: (limit, now) => obey(memory, limit, now),
    share: (limit, now) => memory.named.set(limit, now),
    stop: () => stop(memory),
    startSlowly: now => startSlowly(memory, now),
    inFlight: () => memory.inFlight,
    answerMs: () => memory.answerMs,
    limit: now => limitAt(memory, now),
  }
}

function limitAt(memory: Memory, now: number): number {
  // One refusal at night, with one request in flight, must not make the morning wait in line.
  if (memory.learned < Infinity && now - memory.learnedAt > forgetAfterMs) lift(memory)
  return Math.min(memory.learned, memory.named.at(now))
}

function leave(memory: Memory, hasBegun: boolean, answeredMs: number | undefined): void {
  memory.inFlight -= 1
  if (hasBegun) memory.begun -= 1
  if (answeredMs === undefined) return
  memory.answerMs += (answeredMs - memory.answerMs) * (memory.answerMs === 0 ? 1 : roundWeight)
}

function succeed(memory: Memory, isPrompt: boolean, pace: Pace): void {
  memory.begun += 1
  memory.overloadsInARow = 0
  const hasBacklog = pace.waiting > 0
  if (memory.begun > memory.peak) memory.peak = memory.begun
  if (memory.peak > pace.peak && !hasBacklog) pace.peak = memory.peak
  const isAtLimit = memory.isSlowStart || memory.inFlight >= memory.learned
  if (memory.learned === Infinity || !isAtLimit || !isPrompt) return
  if (memory.learned < memory.liftAbove || (hasBacklog && memory.learned < liftFactor * pace.peak)) memory.learned += 1
  // More than it ever had in flight may be more than it can: the backlog of an outage is not the time to find out.
  else if (!hasBacklog) lift(memory)
}

function lift(memory: Memory): void {
  memory.learned = Infinity
  memory.isSlowStart = false
}

function refuse(memory: Memory, now: number): void {
  // With one request in flight it was not the number of them that was refused.
  if (memory.inFlight <= 1) return
  // What was in flight together is refused together: one decrease a round, or a single hiccup would end at 1.
  if (now - memory.decreasedAt < Math.max(shortestRoundMs, memory.answerMs)) return
  memory.decreasedAt = now
  memory.learnedAt = now
  memory.isSlowStart = false
  memory.liftAbove = Infinity
  const reduced = Math.floor(Math.min(memory.learned, memory.inFlight) * memory.settings.decrease)
  // A refusal does not disprove the answers that are coming in: a brownout that refuses by chance would shut out most calls.
  memory.learned = Math.max(1, memory.begun, reduced)
}

function overload(memory: Memory, now: number): void {
  memory.overloadsInARow += 1
  if (memory.overloadsInARow >= surelyOverloaded) refuse(memory, now)
}

function obey(memory: Memory, limit: number, now: number): void {
  // It is taken at its word: a refusal within it, because others of the same account hold the rest, says nothing about less.
  if (limit >= 1) memory.named.set(limit, now)
}

function stop(memory: Memory): void {
  memory.lastPeak = Math.max(memory.peak, memory.lastPeak / 2, 1)
  memory.peak = 0
}

function startSlowly(memory: Memory, now: number): void {
  const { slowStartLimit, slowStartShare } = memory.settings
  // What is still in flight is being served already: it must not keep everybody else away until it ends.
  memory.learned = memory.inFlight + Math.max(slowStartLimit, Math.ceil(slowStartShare * memory.lastPeak))
  memory.liftAbove = liftFactor * memory.lastPeak
  memory.isSlowStart = true
  memory.decreasedAt = Number.NEGATIVE_INFINITY
  memory.learnedAt = now
}
