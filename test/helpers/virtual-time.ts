import type { Clock } from '../../src/contract.ts'
import { type Appointment, createAgenda, delayAsNode } from '../../src/testing/agenda.ts'

/** The clock of one client: what it set and did not clear is seen. */
export type WatchedClock = Clock & {
  /** Timers that are set and neither fired nor cleared. */
  alive(): number
  /** Timers whose delay Node would have turned into 1 ms: NaN, negative, or above 2^31-1. */
  misused(): number
  /** The longest delay that was ever asked for. */
  longestDelay(): number
}

export type VirtualTime = {
  now(): number
  at(time: number, run: () => void): Appointment
  cancel(appointment: Appointment): void
  createClock(): WatchedClock
  /** Moves time at once, for code that awaits nothing: what is due runs at its own time. */
  pass(byMs: number): void
  /** Lives on until `finished` answers true, or until nothing is left to happen before `untilMs`. */
  live(finished: () => boolean, untilMs: number): Promise<void>
}

const longestDelayMs = 2 ** 31 - 1

/**
 * Time that jumps from event to event. One event is run per `setImmediate`, so that all microtasks, ticks and immediates that it
 * caused have run before time moves on.
 */
export function createVirtualTime(startAt = 0): VirtualTime {
  const agenda = createAgenda(startAt)
  const { now, at, cancel } = agenda

  const createClock = (): WatchedClock => {
    let alive = 0
    let misused = 0
    let longest = 0
    return {
      now,
      setTimeout(listener, delayMs) {
        longest = Math.max(longest, delayMs)
        if (Number.isNaN(delayMs) || delayMs < 0 || delayMs > longestDelayMs) misused++
        alive++
        return at(now() + delayAsNode(delayMs), () => {
          alive--
          listener()
        })
      },
      clearTimeout(handle) {
        const appointment = handle as Appointment | undefined
        if (appointment?.run === undefined) return
        cancel(appointment)
        alive--
      },
      alive: () => alive,
      misused: () => misused,
      longestDelay: () => longest,
    }
  }

  const pass = (byMs: number): void => {
    const untilMs = now() + byMs
    while (agenda.runNext(untilMs));
    agenda.moveTo(untilMs)
  }

  const live = (finished: () => boolean, untilMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          if (finished() || !agenda.runNext(untilMs)) resolve()
          else setImmediate(step)
        } catch (error) {
          reject(error)
        }
      }
      setImmediate(step)
    })

  return { now, at, cancel, createClock, pass, live }
}
