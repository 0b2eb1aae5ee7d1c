import type { Clock } from '../contract.ts'
import { longestTimerMs } from './clocks.ts'
import type { CallSignal } from './signal.ts'

/**
 * Waits for something of the caller's that may never settle (F83): as long as its time lasts, and not beyond the end of the call.
 *
 * @returns what it settled with; undefined: its time was over
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
