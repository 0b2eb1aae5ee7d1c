import type { Clock } from '../contract.ts'
import { createAlarm } from './alarm.ts'
import type { Alarm } from './alarm.ts'
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
  readonly outlook: (now: number) => Outlook
  /** How many calls a second this target is usually asked. */
  readonly perSecond: () => number
}

/** How many may enter now, and if none, from when on. */
export type Outlook = {
  readonly room: number
  /** Infinity: when a place gets free. */
  readonly openAt: number
  /** Only one may try, and nobody knows how it ends. */
  readonly isTrial: boolean
}

type Memory = WaitersOptions & {
  /** A set keeps the order, and anybody may leave from the middle at no cost. */
  readonly queue: Set<{ readonly listener: () => void }>
  readonly alarm: Alarm
  shutSince: number | undefined
  /** Between two waiters, in milliseconds; 0 when nothing has to be spread. */
  intervalMs: number
  nextAt: number
  /** Woken, but not here yet. Their places are kept, or they would have to queue again. */
  expected: number
  wokenAt: number
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

export function createWaiters(options: WaitersOptions): Waiters {
  const memory: Memory = {
    ...options,
    queue: new Set(),
    alarm: createAlarm(options.clock, () => pump(memory)),
    shutSince: undefined,
    intervalMs: 0,
    nextAt: Number.NEGATIVE_INFINITY,
    expected: 0,
    wokenAt: Number.NEGATIVE_INFINITY,
  }
  const { queue, settings } = memory
  return {
    add: listener => add(memory, listener),
    hasRoom: () => queue.size < settings.maxWaiting,
    size: () => queue.size,
    pump: () => pump(memory),
    entered: () => void (memory.expected = Math.max(0, memory.expected - 1)),
    clear() {
      queue.clear()
      rest(memory)
    },
  }
}

function add(memory: Memory, listener: () => void): () => void {
  const { queue, settings, alarm, clock } = memory
  if (queue.size >= settings.maxWaiting) return () => {}
  const waiter = { listener }
  queue.add(waiter)
  const now = clock.now()
  const { room, openAt } = memory.outlook(now)
  if (room <= 0) awaitOpening(memory, openAt, now)
  // Not within this very call: its listener would run before it knows how to leave.
  else if (!alarm.isSet()) alarm.set(now)
  return () => {
    if (queue.delete(waiter) && queue.size === 0) rest(memory)
  }
}

function rest(memory: Memory): void {
  memory.alarm.clear()
  memory.shutSince = undefined
  memory.intervalMs = 0
}

function pump(memory: Memory): void {
  const { queue, clock, alarm } = memory
  if (queue.size === 0) {
    rest(memory)
    return
  }
  const now = clock.now()
  if (now - memory.wokenAt >= patienceMs) memory.expected = 0
  const { room, openAt, isTrial } = memory.outlook(now)
  if (room <= 0) awaitOpening(memory, openAt, now)
  else if (room <= memory.expected) alarm.set(memory.wokenAt + patienceMs)
  else if (isTrial) wakeForTrial(memory, now)
  else drain(memory, room - memory.expected, now)
}

function awaitOpening(memory: Memory, openAt: number, now: number): void {
  // A full target opens whenever a place is free, and those come one by one: nothing to spread.
  if (openAt === Infinity) {
    memory.alarm.clear()
    return
  }
  memory.shutSince ??= now
  memory.alarm.set(openAt)
}

function wakeForTrial(memory: Memory, now: number): void {
  memory.shutSince ??= now
  memory.alarm.set(now + patienceMs)
  wakeFirst(memory, now)
}

function drain(memory: Memory, room: number, now: number): void {
  const { queue, alarm, random } = memory
  if (memory.shutSince !== undefined) {
    memory.intervalMs = spreadMs(memory, now - memory.shutSince) / queue.size
    memory.nextAt = now + memory.intervalMs * random()
    memory.shutSince = undefined
  }
  memory.nextAt = Math.max(memory.nextAt, now - catchUpMs)
  for (let left = Math.min(room, queue.size); left > 0 && memory.nextAt <= now; left -= 1) {
    memory.nextAt += memory.intervalMs * (0.5 + random())
    wakeFirst(memory, now)
  }
  if (queue.size === 0) rest(memory)
  else alarm.set(memory.nextAt > now ? memory.nextAt : now + patienceMs)
}

function spreadMs({ queue, settings, perSecond }: Memory, waitedMs: number): number {
  const byRateMs = (1_000 * queue.size) / (settings.rateFactor * Math.max(perSecond(), leastPerSecond))
  const leastMs = Math.min(leastSpreadMs, leastSpreadPerWaiterMs * queue.size)
  return Math.max(leastMs, settings.spreadShare * waitedMs + settings.spreadMs + byRateMs)
}

function wakeFirst(memory: Memory, now: number): void {
  const [first] = memory.queue
  if (first === undefined) return
  memory.queue.delete(first)
  memory.expected += 1
  memory.wokenAt = now
  first.listener()
}
