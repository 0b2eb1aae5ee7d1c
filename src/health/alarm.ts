import type { Clock } from '../contract.ts'

/** One timer that may be set to any time. It never rings early. */
export type Alarm = {
  /** Replaces the time it was set to before. */
  set(at: number): void
  clear(): void
  isSet(): boolean
}

/** Node turns a longer delay into 1 ms: a gate of 25 days would be a storm. */
export const longestTimerMs = 2 ** 31 - 1

/** @param options `keepsProcess: false`: a process may end while it is set */
export function createAlarm(
  clock: Clock,
  ring: () => void,
  { keepsProcess = true }: { readonly keepsProcess?: boolean } = {},
): Alarm {
  let handle: unknown
  let setTo: number | undefined

  function clear(): void {
    if (setTo === undefined) return
    setTo = undefined
    clock.clearTimeout(handle)
  }

  function arm(at: number): void {
    setTo = at
    // Timers cut off fractions of a millisecond and would ring before the time is over.
    const delayMs = Math.max(0, Math.ceil(at - clock.now()))
    handle = clock.setTimeout(onTimer, Math.min(delayMs, longestTimerMs))
    if (!keepsProcess && isTimer(handle)) handle.unref()
  }

  function onTimer(): void {
    const at = setTo
    if (at === undefined) return
    if (clock.now() < at) {
      arm(at)
      return
    }
    setTo = undefined
    ring()
  }

  return {
    set(at) {
      if (at === setTo) return
      clear()
      arm(at)
    },
    clear,
    isSet: () => setTo !== undefined,
  }
}

/** Another clock than Node's may give anything as a handle. */
function isTimer(handle: unknown): handle is { unref(): void } {
  return typeof handle === 'object' && handle !== null && 'unref' in handle && typeof handle.unref === 'function'
}
