import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../contract.ts'
import { type Appointment, createAgenda, delayAsNode } from './agenda.ts'

/** Virtual time that stands still until the test moves it. Its time of day is `now()`, counted from 1970 (see `startAtMs`). */
export type FakeClock = Clock & {
  /** Moves time forward by this number of milliseconds. Timers fire in order, each at its own time, and promises settle in between. */
  advance(byMs: number): Promise<void>
  /** Moves time to the next timer and fires every timer that is due then. Returns false if there is no timer. */
  advanceToNext(): Promise<boolean>
  /**
   * Moves time from timer to timer until the promise settles, and settles in the same way. Rejects if no timer is left and the
   * promise is still pending: then it waits for something that this clock does not control.
   */
  until<Result>(work: Promise<Result>): Promise<Result>
  /** The number of pending timers. A value of 0 after a call proves that the call left no timer behind. */
  pending(): number
}

/**
 * A clock for `createClient({ clock })`, so that a test of an hour takes no time and its durations are exact. Its timers behave
 * like Node's: a delay below 1, above 2^31-1 or NaN becomes 1 millisecond, and fractions are cut off.
 *
 * It does not control real sockets: use it with `fakeTarget`, and use `startServer` with real time.
 *
 * @example
 * const clock = fakeClock()
 * const silent = fakeTarget({ hang: true }, { timeout: { headersMs: 20_000 } })
 * const client = createClient({ chain: [silent, fakeTarget('Hi.')], hedge: false, clock })
 * const { text } = await clock.until(client.generate('Hello'))
 * clock.now()   //=> 20000, the time after which the first target was given up
 */
export function fakeClock(options: { readonly startAtMs?: number | undefined } = {}): FakeClock {
  const agenda = createAgenda(options.startAtMs ?? 0)
  const { now, pending } = agenda

  async function advance(byMs: number): Promise<void> {
    if (!(byMs >= 0)) throw new TypeError(`advance: ${byMs} is not a time. Write a number of milliseconds, 0 or more.`)
    const untilMs = now() + byMs
    await settle()
    while (agenda.runNext(untilMs)) await settle()
    agenda.moveTo(untilMs)
  }

  async function advanceToNext(): Promise<boolean> {
    await settle()
    const dueMs = agenda.nextAt()
    if (dueMs === undefined) return false
    await advance(dueMs - now())
    return true
  }

  async function until<Result>(work: Promise<Result>): Promise<Result> {
    const state = { isOpen: true }
    const settled = (): void => void (state.isOpen = false)
    work.then(settled, settled)
    await settle()
    while (state.isOpen && (await advanceToNext()));
    if (state.isOpen)
      throw new Error(
        `No timer is left at ${now()} ms, and the promise has not settled. It may wait for real time or for real I/O.`,
      )
    return work
  }

  return {
    now,
    date: now,
    setTimeout: (listener, delayMs) => agenda.at(now() + delayAsNode(delayMs), listener),
    clearTimeout(handle) {
      if (typeof handle === 'object' && handle !== null) agenda.cancel(handle as Appointment)
    },
    advance,
    advanceToNext,
    until,
    pending,
  }
}

/** Waits one turn of the event loop, after which every promise that can settle has settled. */
async function settle(): Promise<void> {
  await setImmediate()
}
