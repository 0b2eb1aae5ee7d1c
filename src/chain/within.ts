import type { Clock } from '../contract.ts'
import { longestTimerMs } from '../health/timer.ts'
import type { CallSignal } from './signal.ts'

/**
 * Waits for a promise of the caller's that may never settle (F83), until its time is over or the call ends.
 *
 * @returns the result of the promise; undefined if its time was over
 */
export function within<Value>(
  work: Promise<Value>,
  { clock, signal, forMs }: { readonly clock: Clock; readonly signal: CallSignal; readonly forMs: number },
): Promise<Value | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Value | undefined>()
  const stop = () => reject(signal.reason)
  const timer = clock.setTimeout(() => resolve(undefined), Math.min(forMs, longestTimerMs))
  signal.onAbort = stop
  if (signal.aborted) stop()
  work.then(resolve, reject)
  return promise.finally(() => {
    clock.clearTimeout(timer)
    signal.onAbort = undefined
  })
}
