import type { Clock } from '../contract.ts'

/** A longer timer of Node fires at once. */
const longestTimerMs = 2 ** 31 - 1

/** Waits on a clock; ends at once with the signal's reason when it fires. More than 24.8 days is for ever. */
export async function waitFor(delayMs: number, { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const leave = (): void => reject(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  const timer = delayMs > longestTimerMs ? undefined : clock.setTimeout(resolve, delayMs)
  try {
    await promise
  } finally {
    if (timer !== undefined) clock.clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}
