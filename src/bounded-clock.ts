import { systemClock } from './clock.ts'
import type { Clock } from './contract.ts'
import { longestTimerMs } from './health/timer.ts'

/** The clients of a shared health must have one clock, so each clock is wrapped once. */
const bounded = new WeakMap<Clock, Clock>([[systemClock, systemClock]])

/** Returns the clock with delays that every timer can take: Node turns `Infinity`, and anything above 25 days, into 1 ms. */
export function withBoundedDelays(clock: Clock): Clock {
  const before = bounded.get(clock)
  if (before !== undefined) return before
  const made: Clock = {
    now: () => clock.now(),
    setTimeout: (listener, delayMs) => clock.setTimeout(listener, Math.min(delayMs, longestTimerMs)),
    clearTimeout: handle => clock.clearTimeout(handle),
    ...(clock.date === undefined ? undefined : { date: () => clock.date?.() ?? 0 }),
  }
  bounded.set(clock, made)
  return made
}
