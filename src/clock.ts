import type { Clock } from './contract.ts'
import { longestTimerMs } from './health/timer.ts'

/** The clock of a client that is given none. Looks up its functions late, so that a test's fake timers replace them. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (listener, delayMs) => setTimeout(listener, Math.min(delayMs, longestTimerMs)),
  clearTimeout: handle => clearTimeout(handle as NodeJS.Timeout),
}

/** Returns a function that says what to add to the clock's time to get the time in milliseconds since 1970. */
export function epochOffsetOf(clock: Clock): () => number {
  return () => (clock.date?.() ?? Date.now()) - clock.now()
}
