import { setTimeout } from 'node:timers/promises'

/** Waits of one exchange. When the exchange ends, each wait rejects with {@link gone}, so that no timer outlives its server. */
export type Pauses = {
  after(delayMs: number): Promise<void>
  until(promise: Promise<unknown>): Promise<void>
  forEver(): Promise<never>
}

/** Not a failure: the client disconnected or the server was closed, so no work is left. */
export const gone = new Error('The exchange is over.')

/** Node fires a timer with a longer delay at once. */
const longestTimerMs = 2 ** 31 - 1

export function createPauses(signal: AbortSignal): Pauses {
  const leaving = new Set<() => void>()
  signal.addEventListener('abort', () => leaving.forEach(leave => leave()), { once: true })

  // Not `Promise.race` with one promise for the end: that promise would retain one reaction per chunk of a long answer.
  async function until(promise: Promise<unknown>): Promise<void> {
    if (signal.aborted) throw gone
    const { promise: untilGone, reject } = Promise.withResolvers<never>()
    const leave = (): void => reject(gone)
    leaving.add(leave)
    await Promise.race([promise, untilGone]).finally(() => leaving.delete(leave))
  }

  return {
    until,
    forEver: async () => {
      await until(new Promise(() => {}))
      throw gone
    },
    async after(delayMs) {
      if (delayMs > longestTimerMs) return until(new Promise(() => {}))
      if (delayMs > 0) await setTimeout(delayMs, undefined, { signal }).catch(() => Promise.reject(gone))
    },
  }
}
