import type { Clock } from '../../../src/contract.ts'

/** One entry of the agenda. Without `run` it was cancelled and is passed over. */
export type Appointment = { readonly at: number; readonly order: number; run: (() => void) | undefined }

/** The clock of one client: what it set and did not clear is seen. */
export type WatchedClock = Clock & {
  /** Timers that are set and neither fired nor cleared. */
  alive(): number
  /** Timers whose delay Node would have turned into 1 ms: NaN, negative, or above 2^31-1. */
  misused(): number
}

export type VirtualTime = {
  now(): number
  at(time: number, run: () => void): Appointment
  createClock(): WatchedClock
  /** Lives on until `finished` answers true, or until nothing is left to happen before `untilMs`. */
  live(finished: () => boolean, untilMs: number): Promise<void>
}

const longestDelayMs = 2 ** 31 - 1

/**
 * Time that jumps from event to event. One event is run per `setImmediate`, so that all microtasks, ticks and immediates that it
 * caused have run before time moves on.
 */
export function createVirtualTime(): VirtualTime {
  const agenda = createAgenda()
  let now = 0
  let orders = 0

  const at = (time: number, run: () => void): Appointment => {
    const appointment: Appointment = { at: time < now ? now : time, order: orders++, run }
    agenda.push(appointment)
    return appointment
  }

  const createClock = (): WatchedClock => {
    let alive = 0
    let misused = 0
    return {
      now: () => now,
      setTimeout(listener, delayMs) {
        if (Number.isNaN(delayMs) || delayMs < 0 || delayMs > longestDelayMs) misused++
        alive++
        return at(now + delayAsNode(delayMs), () => {
          alive--
          listener()
        })
      },
      clearTimeout(handle) {
        const appointment = handle as Appointment | undefined
        if (appointment?.run === undefined) return
        appointment.run = undefined
        alive--
      },
      alive: () => alive,
      misused: () => misused,
    }
  }

  const live = (finished: () => boolean, untilMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const step = (): void => {
        const next = finished() ? undefined : agenda.pop(untilMs)
        if (next?.run === undefined) {
          resolve()
          return
        }
        now = next.at
        const run = next.run
        next.run = undefined
        try {
          run()
          setImmediate(step)
        } catch (error) {
          reject(error)
        }
      }
      setImmediate(step)
    })

  return { now: () => now, at, createClock, live }
}

/** Whole milliseconds, and 1 ms for whatever is no delay at all: a gate of 25 days is a storm otherwise. */
function delayAsNode(delayMs: number): number {
  return delayMs >= 1 && delayMs <= longestDelayMs ? Math.trunc(delayMs) : 1
}

type Agenda = {
  push(appointment: Appointment): void
  /** The earliest that was not cancelled, unless it lies after `untilMs`. */
  pop(untilMs: number): Appointment | undefined
}

/** A binary heap, by time and then by the order in which things were planned. */
function createAgenda(): Agenda {
  const heap: Appointment[] = []

  const push = (appointment: Appointment): void => {
    let index = heap.length
    heap.push(appointment)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent] as Appointment
      if (!isBefore(appointment, above)) break
      heap[index] = above
      index = parent
    }
    heap[index] = appointment
  }

  const removeFirst = (): void => {
    const last = heap.pop() as Appointment
    const length = heap.length
    if (length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1] as Appointment, heap[child] as Appointment)) child++
      const below = heap[child] as Appointment
      if (!isBefore(below, last)) break
      heap[index] = below
      index = child
    }
    heap[index] = last
  }

  const pop = (untilMs: number): Appointment | undefined => {
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      if (first.run !== undefined && first.at > untilMs) return undefined
      removeFirst()
      if (first.run !== undefined) return first
    }
    return undefined
  }

  return { push, pop }
}

function isBefore(a: Appointment, b: Appointment): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
