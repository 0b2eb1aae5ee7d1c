import type { Clock } from '../contract.ts'
import { createAlarm } from './alarm.ts'
import type { Alarm } from './alarm.ts'
import { createLine } from './line.ts'
import type { Line } from './line.ts'
import type { Pace } from './pace.ts'
import type { WaitingSettings } from './settings.ts'

/** The calls that wait for one target: first come, first woken, and spread out, so that they never stampede. */
export type Waiters = {
  /** Answers how to leave. When the room is full the listener is never called. */
  add(listener: () => void, until?: number): () => void
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
  /** Shared by all targets of a client. */
  readonly pace: Pace
  /** How long an answer of this target usually takes, in milliseconds. */
  readonly answerMs: () => number
}

/** How many may enter now, and if none, from when on. */
export type Outlook = {
  readonly room: number
  /** Infinity: when a place gets free. */
  readonly openAt: number
  /** Only one may try, and nobody knows how it ends. */
  readonly isTrial: boolean
}

/** `until`: when it gives up. */
type Waiter = { readonly listener: () => void; readonly until: number }

type Memory = WaitersOptions & {
  readonly line: Line<Waiter>
  readonly alarm: Alarm
  /** When the line formed; undefined while it is empty. */
  since: number | undefined
  shutSince: number | undefined
  /** Between two waiters of this line, and of all lines, in milliseconds; 0 when nothing has to be spread. */
  intervalMs: number
  spacingMs: number
  nextAt: number
  /** How many of this line the pace knows. */
  counted: number
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
    line: createLine(),
    alarm: createAlarm(options.clock, () => pump(memory)),
    ...{ since: undefined, shutSince: undefined, intervalMs: 0, spacingMs: 0, nextAt: Number.NEGATIVE_INFINITY, counted: 0 },
    ...{ expected: 0, wokenAt: Number.NEGATIVE_INFINITY },
  }
  const { line, settings } = memory
  return {
    add: (listener, until = Infinity) => add(memory, { listener, until }),
    hasRoom: () => line.size() < settings.maxWaiting,
    size: line.size,
    pump: () => pump(memory),
    entered: () => void (memory.expected = Math.max(0, memory.expected - 1)),
    clear() {
      line.clear()
      settle(memory)
    },
  }
}

function add(memory: Memory, waiter: Waiter): () => void {
  const { line, settings, alarm, clock } = memory
  if (line.size() >= settings.maxWaiting) return () => {}
  const leave = line.join(waiter)
  const now = clock.now()
  memory.since ??= now
  settle(memory)
  const { room, openAt } = memory.outlook(now)
  if (room <= 0) awaitOpening(memory, openAt, now)
  // Not within this very call: its listener would run before it knows how to leave.
  else if (!alarm.isSet()) alarm.set(now)
  return () => {
    leave()
    settle(memory)
  }
}

/** After the line has changed. */
function settle(memory: Memory): void {
  const { line, pace } = memory
  pace.waiting += line.size() - memory.counted
  memory.counted = line.size()
  if (line.size() > 0) return
  memory.alarm.clear()
  memory.since = undefined
  memory.shutSince = undefined
  memory.intervalMs = 0
  memory.spacingMs = 0
}

function pump(memory: Memory): void {
  const { line, clock, alarm } = memory
  if (line.size() === 0) return
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
  // The one that came last has the most time left: a trial that its own deadline cuts short tells nothing.
  wake(memory, memory.line.takeLast(), now)
}

function drain(memory: Memory, room: number, now: number): void {
  const { line, alarm, random, pace } = memory
  if (memory.shutSince !== undefined) spread(memory, now)
  memory.nextAt = Math.max(memory.nextAt, now - catchUpMs)
  for (let left = Math.min(room, line.size()); left > 0 && turnAt(memory) <= now; left -= 1) {
    memory.nextAt += memory.intervalMs * (0.5 + random())
    pace.nextAt = Math.max(pace.nextAt, now - catchUpMs) + memory.spacingMs
    wake(memory, takeHopeful(memory, now), now)
  }
  settle(memory)
  if (line.size() > 0) alarm.set(turnAt(memory) > now ? turnAt(memory) : now + patienceMs)
}

/** When the next of this line may be woken. */
function turnAt({ nextAt, spacingMs, pace }: Memory): number {
  return spacingMs === 0 ? nextAt : Math.max(nextAt, pace.nextAt)
}

/** Lays out the line over time: some for every wait, some for a long wait, and no faster than calls usually come. */
function spread(memory: Memory, now: number): void {
  const { line, settings, pace, random } = memory
  const { since = now, shutSince = now } = memory
  const waiting = line.size()
  const joinedPerSecond = (1_000 * waiting) / Math.max(1, now - since)
  memory.spacingMs = 1_000 / (settings.rateFactor * Math.max(leastPerSecond, pace.perSecond(), joinedPerSecond))
  const spreadMs = settings.spreadShare * (now - shutSince) + settings.spreadMs + waiting * memory.spacingMs
  const leastMs = Math.min(leastSpreadMs, leastSpreadPerWaiterMs * waiting)
  // one waiter alone is no crowd, and the time of its gate is spread already
  memory.intervalMs = waiting === 1 ? leastMs : Math.max(leastMs, spreadMs) / waiting
  memory.nextAt = now + memory.intervalMs * random()
  memory.shutSince = undefined
}

function wake(memory: Memory, waiter: Waiter | undefined, now: number): void {
  if (waiter === undefined) return
  memory.expected += 1
  memory.wokenAt = now
  settle(memory)
  waiter.listener()
}

/**
 * The first one whose time may still be enough. Where more wait than are served, the first in line always has nearly no time left:
 * everybody would be woken in vain.
 */
function takeHopeful({ line, answerMs }: Memory, now: number): Waiter | undefined {
  for (;;) {
    const first = line.takeFirst()
    if (first === undefined || now + answerMs() <= first.until) return first
  }
}
