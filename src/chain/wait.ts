import type { Clock, RetrySettings } from '../contract.ts'
import type { TargetHealth } from '../health/health.ts'
import { longestTimerMs } from './clocks.ts'

/** A retry after next to nothing finds the same busy server. Source: full jitter draws near zero once in a while. */
const floorMs = 50

/**
 * Full jitter: somewhere between a small floor and `baseDelayMs * 2^retry`, at most `maxDelayMs`. The cap comes before the jitter, so
 * that clients do not meet again at the cap.
 *
 * @param retry 0 for the first retry
 */
export function backoffMs(settings: RetrySettings, retry: number, random: () => number): number {
  const ceiling = Math.min(settings.maxDelayMs, settings.baseDelayMs * 2 ** retry)
  const floor = Math.min(floorMs, ceiling / 5)
  return floor + random() * (ceiling - floor)
}

/** A wait that can be given up at any moment and then leaves no timer. */
export type Wait = {
  /** True when the time is over, false when it was given up. */
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

/** A target that may open. `until`: how long the call waits for it. `deadline`: when its answer would be too late. Both on the clock. */
export type Opener = { readonly health: TargetHealth; readonly until: number; readonly deadline: number }

/** Waits until one of these targets lets this waiter try: true. False when it was given up or their times went by. */
export function untilOpening(clock: Clock, openers: readonly Opener[]): Wait {
  const latest = openers.reduce((last, { until }) => Math.max(last, until), 0)
  const limit = wait(clock, Math.min(longestTimerMs, Math.max(0, latest - clock.now())))
  const { promise: done, resolve } = Promise.withResolvers<boolean>()
  const cancels: (() => void)[] = []
  const settle = (opened: boolean) => {
    for (const cancel of cancels) cancel()
    cancels.length = 0
    limit.cancel()
    resolve(opened)
  }
  for (const { health, deadline } of openers) cancels.push(health.onOpening(() => settle(true), deadline))
  void limit.done.then(() => settle(false))
  return { done, cancel: () => settle(false) }
}
