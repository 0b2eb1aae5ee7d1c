/** Something that will happen in virtual time. Without `run` it has happened, or was cancelled. */
export type Appointment = { readonly at: number; readonly order: number; run: (() => void) | undefined }

/** Virtual time, and what is going to happen in it: the base of `fakeClock`, and of the simulation that unbusy is tested by. */
export type Agenda = {
  now(): number
  /** Plans something for a time. A time that is over means now. */
  at(time: number, run: () => void): Appointment
  cancel(appointment: Appointment): void
  /** The number of appointments that are still to come. */
  pending(): number
  /** The time of the next appointment. */
  nextAt(): number | undefined
  /** Moves time to the next appointment and keeps it. Does nothing and returns false if there is none up to `untilMs`. */
  runNext(untilMs: number): boolean
  /** Moves time without running what it passes. */
  moveTo(time: number): void
}

/** What Node makes of a delay: whole milliseconds, and 1 for a delay that is below 1, above 2^31-1 or NaN. */
export function delayAsNode(delayMs: number): number {
  return delayMs >= 1 && delayMs <= 2 ** 31 - 1 ? Math.trunc(delayMs) : 1
}

export function createAgenda(startAtMs: number): Agenda {
  const heap: Appointment[] = []
  let now = startAtMs
  let orders = 0
  let pending = 0

  function first(): Appointment | undefined {
    while (heap[0] !== undefined && heap[0].run === undefined) removeFirst(heap)
    return heap[0]
  }

  return {
    now: () => now,
    at(time, run) {
      const appointment: Appointment = { at: Math.max(time, now), order: orders++, run }
      add(heap, appointment)
      pending += 1
      return appointment
    },
    cancel(appointment) {
      if (appointment.run === undefined) return
      appointment.run = undefined
      pending -= 1
    },
    pending: () => pending,
    nextAt: () => first()?.at,
    runNext(untilMs) {
      const next = first()
      if (next?.run === undefined || next.at > untilMs) return false
      removeFirst(heap)
      const { run } = next
      next.run = undefined
      pending -= 1
      now = next.at
      run()
      return true
    },
    moveTo(time) {
      now = time
    },
  }
}

/** Adds to a binary heap, which is ordered by time and then by the order of planning. */
function add(heap: Appointment[], appointment: Appointment): void {
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

function removeFirst(heap: Appointment[]): void {
  const last = heap.pop() as Appointment
  const { length } = heap
  if (length === 0) return
  let index = 0
  for (let child = 1; child < length; child = 2 * index + 1) {
    if (child + 1 < length && isBefore(heap[child + 1] as Appointment, heap[child] as Appointment)) child += 1
    const below = heap[child] as Appointment
    if (!isBefore(below, last)) break
    heap[index] = below
    index = child
  }
  heap[index] = last
}

function isBefore(a: Appointment, b: Appointment): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
