import type { Clock } from '../contract.ts'

/** One timer that can be set to any time. It never fires early. */
export type Timer = {
  /** Sets the time, replacing an earlier one. */
  set(at: number): void
  clear(): void
  isSet(): boolean
}

/** Node turns a longer delay into 1 ms, so waiting for 25 days would be a busy loop. */
export const longestTimerMs = 2 ** 31 - 1

/** @param options `keepsProcess: false`: the process may end while the timer is set */
export function createTimer(
  clock: Clock,
  fire: () => void,
  { keepsProcess = true }: { readonly keepsProcess?: boolean } = {},
): Timer {
  let handle: unknown
  let setTo: number | undefined

  function clear(): void {
    if (setTo === undefined) return
    setTo = undefined
    clock.clearTimeout(handle)
  }

  function start(at: number): void {
    setTo = at
    // Node truncates fractions of a millisecond, so without rounding up the timer would fire early.
    const delayMs = Math.max(0, Math.ceil(at - clock.now()))
    handle = clock.setTimeout(onTimeout, Math.min(delayMs, longestTimerMs))
    if (!keepsProcess && canUnref(handle)) handle.unref()
  }

  function onTimeout(): void {
    const at = setTo
    if (at === undefined) return
    if (clock.now() < at) {
      start(at)
      return
    }
    setTo = undefined
    fire()
  }

  return {
    set(at) {
      if (at === setTo) return
      clear()
      start(at)
    },
    clear,
    isSet: () => setTo !== undefined,
  }
}

/** A user's own clock may return any handle. */
function canUnref(handle: unknown): handle is { unref(): void } {
  return typeof handle === 'object' && handle !== null && 'unref' in handle && typeof handle.unref === 'function'
}
