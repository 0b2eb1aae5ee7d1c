/**
 * How fast waiters are woken, over all targets of a client together: who is woken because one target has opened may go to any of
 * them, so that lines with a pace of their own would send their sum to the first one.
 */
export type Pace = {
  /** A call was let through. Counts only while nobody waits: the backlog of an outage is not the usual rate. */
  mark(now: number): void
  /** Calls a second at quiet times. */
  perSecond(): number
  /** How many wait, of all targets. */
  waiting: number
  /** The most that one target had in flight while nobody waited: what the first one carries, the next one is asked to carry. */
  peak: number
  /** When the next waiter may be woken. */
  nextAt: number
}

const memoryMs = 5_000
/** A longer silence counts as this: most likely everything was shut. Below one call a second the rate is too high, and no matter. */
const longestSilenceMs = 1_000

export function createPace(): Pace {
  let level = 0
  let markedAt = Number.NEGATIVE_INFINITY
  const pace: Pace = {
    mark(now) {
      if (pace.waiting > 0) return
      level = level * Math.exp(-Math.min(longestSilenceMs, now - markedAt) / memoryMs) + 1
      markedAt = now
    },
    perSecond: () => (level * 1_000) / memoryMs,
    waiting: 0,
    peak: 0,
    nextAt: Number.NEGATIVE_INFINITY,
  }
  return pace
}
