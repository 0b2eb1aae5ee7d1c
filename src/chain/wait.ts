import type { Call, Clock } from '../contract.ts'
import type { RetrySettings } from '../contract-targets.ts'
import type { TargetHealth } from '../health/health.ts'
import { longestTimerMs } from '../health/timer.ts'

/** The shortest backoff: full jitter sometimes draws nearly zero, and an immediate retry finds the same busy server. */
const floorMs = 50

/**
 * Returns a backoff with full jitter: random between a small floor and `baseDelayMs * 2^retry`, at most `maxDelayMs`. The cap is applied
 * before the jitter, so that clients do not synchronise at the cap.
 *
 * @param retry 0 for the first retry
 */
export function backoffMs(settings: RetrySettings, retry: number, random: () => number): number {
  const ceiling = Math.min(settings.maxDelayMs, settings.baseDelayMs * 2 ** retry)
  const floor = Math.min(floorMs, ceiling / 5)
  return floor + random() * (ceiling - floor)
}

/** A wait that can be cancelled at any moment and then leaves no timer. */
export type Wait = {
  /** Resolves with true when the time is over, with false when the wait was cancelled. */
  readonly done: Promise<boolean>
  cancel(): void
}

export function wait(clock: Clock, delayMs: number): Wait {
  const { promise: done, resolve } = Promise.withResolvers<boolean>()
  const handle = clock.setTimeout(() => resolve(true), delayMs)
  return {
    done,
    cancel() {
      clock.clearTimeout(handle)
      resolve(false)
    },
  }
}

/** A blocked target, and the call that waits for it. */
export type Opener = {
  readonly health: TargetHealth
  readonly call: Call | undefined
  /** When the call stops waiting for the target, in the clock's time. */
  readonly until: number
  /** When the target's answer would be too late, in the clock's time. */
  readonly deadline: number
}

/** Waits until one of these targets admits this call: true. False when the wait was cancelled or timed out. */
export function untilOpening(clock: Clock, openers: readonly Opener[]): Wait {
  const latest = openers.reduce((last, { until }) => Math.max(last, until), 0)
  const limit = wait(clock, Math.min(longestTimerMs, Math.max(0, latest - clock.now())))
  const { promise: done, resolve } = Promise.withResolvers<boolean>()
  const cancels: (() => void)[] = []
  const end = (opened: boolean) => {
    for (const cancel of cancels) cancel()
    cancels.length = 0
    limit.cancel()
    resolve(opened)
  }
  for (const { health, deadline, call } of openers) cancels.push(health.onOpening(() => end(true), deadline, call))
  void limit.done.then(() => end(false))
  return { done, cancel: () => end(false) }
}
