import type { Clock } from '../contract.ts'
import { createAlarm } from './alarm.ts'
import type { WaitingSettings } from './settings.ts'

/** The calls that wait for one target, first come, first woken; spread out, so that they never stampede. */
export type Waiters = {
  /** Answers how to leave. When the room is full the listener is never called. */
  add(listener: () => void): () => void
  hasRoom(): boolean
  size(): number
  /** Wakes whom it may now, and sets the alarm for the next. To be called when the target may have opened or shut. */
  pump(): void
  /** Somebody entered: most likely the one that was woken. */
  entered(): void
  /** Forgets all of them. */
  clear(): void
}

export type WaitersOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly settings: WaitingSettings
  /** How many may enter now, and if none, from when on; Infinity when that is not known. */
  outlook(now: number): Outlook
  /** How many calls a second this target is usually asked. */
  perSecond(): number
}

export type Outlook = {
  readonly room: number
  readonly openAt: number
  /** Only one may try, and nobody knows how it ends. */
  readonly isTrial: boolean
}

/** The place of a waiter that was woken and did not come is given to the next one after this time. */
const patienceMs = 100
/** A late timer catches up by no more than this, or a busy event loop would wake a crowd. */
const catchUpMs = 20
/** Below this rate a spread by rate would outlast the deadlines of those who wait. */
const leastPerSecond = 5
/** Nobody wakes faster than this, so that of a crowd no 100 ms holds more than 5 %. */
const leastSpreadMs = 2_500
const leastSpreadPerWaiterMs = 50

export function createWaiters({ clock, random, settings, outlook, perSecond }: WaitersOptions): Waiters {
  /** A set keeps the order, and anybody may leave from the middle at no cost. */
  const queue = new Set<{ listener: () => void }>()
  const alarm = createAlarm(clock, pump)
  let shutSince: number | undefined
  /** Between two waiters, in milliseconds; 0 when nothing has to be spread. */
  let intervalMs = 0
  let nextAt = Number.NEGATIVE_INFINITY
  /** Woken, but not here yet. Their places are kept, or they would have to queue again. */
  let expected = 0
  let wokenAt = Number.NEGATIVE_INFINITY

  function pump(): void {
    if (queue.size === 0) {
      rest()
      return
    }
    const now = clock.now()
    if (now - wokenAt >= patienceMs) expected = 0
    const { room, openAt, isTrial } = outlook(now)
    if (room <= 0) awaitOpening(openAt, now)
    else if (room <= expected) alarm.set(wokenAt + patienceMs)
    else if (isTrial) wakeForTrial(now)
    else drain(room - expected, now)
  }

  function rest(): void {
    alarm.clear()
    shutSince = undefined
    intervalMs = 0
  }

  function awaitOpening(openAt: number, now: number): void {
    // A full target opens whenever a place is free, and those come one by one: nothing to spread.
    if (openAt === Infinity) {
      alarm.clear()
      return
    }
    shutSince ??= now
    alarm.set(openAt)
  }

  function wakeForTrial(now: number): void {
    shutSince ??= now
    alarm.set(now + patienceMs)
    wakeFirst(now)
  }

  function drain(room: number, now: number): void {
    if (shutSince !== undefined) {
      intervalMs = spreadMs(queue.size, now - shutSince) / queue.size
      nextAt = now + intervalMs * random()
      shutSince = undefined
    }
    nextAt = Math.max(nextAt, now - catchUpMs)
    for (let left = Math.min(room, queue.size); left > 0 && nextAt <= now; left -= 1) {
      nextAt += intervalMs * (0.5 + random())
      wakeFirst(now)
    }
    if (queue.size === 0) rest()
    else alarm.set(nextAt > now ? nextAt : now + patienceMs)
  }

  function spreadMs(waiting: number, waitedMs: number): number {
    const byRateMs = (1_000 * waiting) / (settings.rateFactor * Math.max(perSecond(), leastPerSecond))
    const leastMs = Math.min(leastSpreadMs, leastSpreadPerWaiterMs * waiting)
    return Math.max(leastMs, settings.spreadShare * waitedMs + settings.spreadMs + byRateMs)
  }

  function wakeFirst(now: number): void {
    const [first] = queue
    if (first === undefined) return
    queue.delete(first)
    expected += 1
    wokenAt = now
    first.listener()
  }

  function settle(): void {
    const now = clock.now()
    const { room, openAt } = outlook(now)
    if (room <= 0) awaitOpening(openAt, now)
    else if (!alarm.isSet()) alarm.set(now)
  }

  return {
    add(listener) {
      if (queue.size >= settings.maxWaiting) return () => {}
      const waiter = { listener }
      queue.add(waiter)
      settle()
      return () => {
        if (queue.delete(waiter) && queue.size === 0) rest()
      }
    },
    hasRoom: () => queue.size < settings.maxWaiting,
    size: () => queue.size,
    pump,
    entered() {
      if (expected > 0) expected -= 1
    },
    clear() {
      queue.clear()
      rest()
    },
  }
}
