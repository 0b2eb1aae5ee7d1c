import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../contract.ts'

/** Virtual time: it stands still until the test moves it. */
export type FakeClock = Clock & {
  /** Moves time by so many milliseconds. Timers fire in their order, each at its own time, and promises settle in between. */
  advance(byMs: number): Promise<void>
  /** Moves time to the next timer and fires what is due then. False: there is none. */
  advanceToNext(): Promise<boolean>
  /**
   * Moves time on, from timer to timer, until the promise settles, and hands on what it settles to. Rejects when no timer is left
   * and it still has not: then it waits for something that this clock does not know.
   */
  until<Result>(work: Promise<Result>): Promise<Result>
  /** How many timers are set: 0 after a call proves that it left none behind. */
  pending(): number
}

/**
 * A clock for `createClient({ clock })`, so that a test of an hour takes no time and its durations are exact. It behaves as
 * Node's timers do: a delay that is below 1, above 2^31-1 or no number is 1 millisecond, and fractions are cut off.
 *
 * It knows nothing of real sockets: use it with `fakeTarget`, and `startServer` with real time.
 *
 * @example
 * const clock = fakeClock()
 * const silent = fakeTarget({ hang: true }, { timeout: { headersMs: 20_000 } })
 * const client = createClient({ chain: [silent, fakeTarget('Hi.')], hedge: false, clock })
 * const { text } = await clock.until(client.generate('Hello'))
 * clock.now()   //=> 20000, the time after which the first target was given up
 */
export function fakeClock(options: { readonly startAtMs?: number | undefined } = {}): FakeClock {
  let nowMs = options.startAtMs ?? 0
  let count = 0
  const timers = new Map<unknown, Timer>()

  function fireNext(untilMs: number): boolean {
    const next = soonest(timers)
    if (next === undefined || next.dueMs > untilMs) return false
    timers.delete(next.id)
    nowMs = next.dueMs
    next.listener()
    return true
  }

  async function advance(byMs: number): Promise<void> {
    if (!(byMs >= 0)) throw new TypeError(`advance: ${byMs} is no time. Give milliseconds, 0 or more.`)
    const untilMs = nowMs + byMs
    await settle()
    while (fireNext(untilMs)) await settle()
    nowMs = untilMs
  }

  async function advanceToNext(): Promise<boolean> {
    await settle()
    const next = soonest(timers)
    if (next === undefined) return false
    await advance(next.dueMs - nowMs)
    return true
  }

  async function until<Result>(work: Promise<Result>): Promise<Result> {
    const state = { isOpen: true }
    const settled = (): void => void (state.isOpen = false)
    work.then(settled, settled)
    await settle()
    while (state.isOpen && (await advanceToNext()));
    if (state.isOpen)
      throw new Error(`No timer is left at ${nowMs} ms, and the promise has not settled. Does it wait for real time?`)
    return work
  }

  return {
    now: () => nowMs,
    setTimeout(listener, delayMs) {
      count += 1
      timers.set(count, { id: count, dueMs: nowMs + asNodeDoes(delayMs), listener })
      return count
    },
    clearTimeout: handle => void timers.delete(handle),
    advance,
    advanceToNext,
    until,
    pending: () => timers.size,
  }
}

type Timer = { readonly id: number; readonly dueMs: number; readonly listener: () => void }

/** The earliest; of those that are due together the one that was set first. */
function soonest(timers: ReadonlyMap<unknown, Timer>): Timer | undefined {
  let first: Timer | undefined
  for (const timer of timers.values()) if (first === undefined || timer.dueMs < first.dueMs) first = timer
  return first
}

/** A turn of the event loop: by then every promise that could settle has. */
async function settle(): Promise<void> {
  await setImmediate()
}

function asNodeDoes(delayMs: number): number {
  return delayMs >= 1 && delayMs <= 2 ** 31 - 1 ? Math.trunc(delayMs) : 1
}
