import type { Clock } from '../contract.ts'
import { createLinkedQueue } from './linked-queue.ts'
import type { LinkedQueue } from './linked-queue.ts'
import type { Sized } from './request-size.ts'
import { createTimer } from './timer.ts'
import type { Timer } from './timer.ts'

/** How waiting calls are woken. `docs/health.md` lists these numbers. */
export const waitingSettings = {
  /** The most calls that wait for one target. */
  maxWaiting: 10_000,
  /** Waiters are spread over this share of the time that they waited ... */
  spreadShare: 0.1,
  /** ... plus this many milliseconds ... */
  spreadMs: 500,
  /** ... plus the time that keeps them at this multiple of the usual rate of calls. */
  rateFactor: 2,
} as const

/** The queue of calls that wait for one target. They are woken in order and spread out, so that they never arrive all at once. */
export type Waiters = {
  /** Adds a waiter and returns a function that removes it. If the queue is full, the listener is never called. */
  add(listener: () => void, until?: number, call?: Sized): () => void
  isFull(): boolean
  size(): number
  /** Wakes the waiters that may try now, and sets the timer for the next one. Call it when the target may have opened or closed. */
  pump(): void
  /** Records that a call entered, most likely the one that was woken. */
  entered(): void
  /** Forgets all waiters. */
  clear(): void
}

export type WaitersOptions = {
  readonly clock: Clock
  readonly random: () => number
  /** Returns how many calls may enter. `call`: the call of the next waiter, if known. */
  readonly outlook: (now: number, call: Sized | undefined) => Outlook
  /** Shared by all targets of a client. */
  readonly rate: ArrivalRate
  /** Returns how long an answer of this target usually takes, in milliseconds. */
  readonly answerMs: () => number
}

/** How many calls may enter now, or when the next call may. */
export type Outlook = {
  readonly room: number
  /** Infinity: when a request in flight ends. */
  readonly opensAt: number
  /** Whether only one call may try, as a probe. */
  readonly isProbe: boolean
  /** Whether places become free one by one, so that there is no crowd to spread. */
  readonly isOneByOne?: boolean
}

/** One waiting call. `until`: when it gives up. */
type Waiter = { readonly listener: () => void; readonly until: number; readonly call: Sized | undefined }

type WaitingLine = WaitersOptions & {
  readonly queue: LinkedQueue<Waiter>
  readonly timer: Timer
  /** When the queue formed; undefined while it is empty. */
  since: number | undefined
  blockedSince: number | undefined
  /** The time between two waiters of this queue (`spacingMs`: of all queues), in milliseconds; 0 if nothing has to be spread. */
  intervalMs: number
  spacingMs: number
  nextAt: number
  /** How many waiters of this queue are counted in `rate.waiting`. */
  counted: number
  /** How many woken waiters have not entered yet. Their places are kept, so that they need not queue again. */
  expected: number
  wokenAt: number
}

/** A waiter that was woken and has not entered after this time loses its place to the next one. */
const patienceMs = 100
/** A late timer catches up by no more than this, or a busy event loop would wake a crowd. */
const catchUpMs = 20
/** The lowest rate for spreading: at a lower one the spread would outlast the deadlines of the waiters. */
const leastPerSecond = 5
/** No queue is spread over less than this, in milliseconds, so that at most 5 % of a crowd are woken within 100 ms. */
const leastSpreadMs = 2_500
const leastSpreadPerWaiterMs = 50

export function createWaiters(options: WaitersOptions): Waiters {
  const line: WaitingLine = {
    ...options,
    queue: createLinkedQueue(),
    timer: createTimer(options.clock, () => pump(line)),
    ...{ since: undefined, blockedSince: undefined, intervalMs: 0, spacingMs: 0, nextAt: Number.NEGATIVE_INFINITY, counted: 0 },
    ...{ expected: 0, wokenAt: Number.NEGATIVE_INFINITY },
  }
  const { queue } = line
  return {
    add: (listener, until = Infinity, call) => add(line, { listener, until, call }),
    isFull: () => isFull(line),
    size: () => queue.size,
    pump: () => pump(line),
    entered: () => void (line.expected = Math.max(0, line.expected - 1)),
    clear() {
      queue.clear()
      update(line)
    },
  }
}

function isFull({ queue }: WaitingLine): boolean {
  return queue.size >= waitingSettings.maxWaiting
}

function add(line: WaitingLine, waiter: Waiter): () => void {
  const { queue, timer, clock } = line
  if (isFull(line)) return () => {}
  const leave = queue.add(waiter)
  const now = clock.now()
  line.since ??= now
  update(line)
  const outlook = line.outlook(now, queue.first()?.call)
  if (outlook.room <= 0) awaitOpening(line, outlook, now)
  // The timer defers the wake-up: a listener that runs within `add` could not yet leave the queue.
  else if (!timer.isSet()) timer.set(now)
  return () => {
    const wasFirst = queue.first() === waiter
    leave()
    update(line)
    if (wasFirst) lookAgain(line, waiter)
  }
}

/**
 * The first waiter has given up, and the timer waits for its room: the next call may be smaller. With a look whenever the first one leaves,
 * first tokens came 15 % later in a slow queue (scenario S4 of the simulation).
 */
function lookAgain({ queue, clock, timer, outlook }: WaitingLine, gone: Waiter): void {
  const next = queue.first()
  const now = clock.now()
  if (next !== undefined && outlook(now, gone.call).room <= 0 && outlook(now, next.call).room > 0) timer.set(now)
}

/** Call this after the queue has changed. */
function update(line: WaitingLine): void {
  const { queue, rate } = line
  rate.waiting += queue.size - line.counted
  line.counted = queue.size
  if (queue.size > 0) return
  line.timer.clear()
  line.since = undefined
  line.blockedSince = undefined
  line.intervalMs = 0
  line.spacingMs = 0
}

function pump(line: WaitingLine): void {
  const { queue, clock, timer } = line
  if (queue.size === 0) return
  const now = clock.now()
  if (now - line.wokenAt >= patienceMs) line.expected = 0
  const outlook = line.outlook(now, queue.first()?.call)
  const { room, isProbe } = outlook
  if (room <= 0) awaitOpening(line, outlook, now)
  else if (room <= line.expected) timer.set(line.wokenAt + patienceMs)
  else if (isProbe) wakeForProbe(line, now)
  else drain(line, room - line.expected, now)
}

function awaitOpening(line: WaitingLine, { opensAt, isOneByOne = false }: Outlook, now: number): void {
  // A full target opens when a request ends. Requests end one by one, so there is nothing to spread.
  if (opensAt === Infinity) {
    line.timer.clear()
    return
  }
  if (!isOneByOne) line.blockedSince ??= now
  line.timer.set(opensAt)
}

function wakeForProbe(line: WaitingLine, now: number): void {
  line.blockedSince ??= now
  line.timer.set(now + patienceMs)
  // The last waiter probes, because it has the most time left: a probe that ends by its own deadline has no verdict.
  wake(line, line.queue.takeLast(), now)
}

function drain(line: WaitingLine, room: number, now: number): void {
  const { queue, timer, random, rate } = line
  if (line.blockedSince !== undefined) spread(line, now)
  line.nextAt = Math.max(line.nextAt, now - catchUpMs)
  for (let left = Math.min(room, queue.size); left > 0 && nextTurn(line) <= now; left -= 1) {
    line.nextAt += line.intervalMs * (0.5 + random())
    rate.nextAt = Math.max(rate.nextAt, now - catchUpMs) + line.spacingMs
    wake(line, takeWithEnoughTime(line, now), now)
  }
  update(line)
  if (queue.size > 0) timer.set(nextTurn(line) > now ? nextTurn(line) : now + patienceMs)
}

/** Returns when the next waiter of this queue may be woken. */
function nextTurn({ nextAt, spacingMs, rate }: WaitingLine): number {
  return spacingMs === 0 ? nextAt : Math.max(nextAt, rate.nextAt)
}

/** Spreads the queue over time: some time for every queue, more after a long wait, and no faster than calls usually arrive. */
function spread(line: WaitingLine, now: number): void {
  const { queue, rate, random } = line
  const { since = now, blockedSince = now } = line
  const { rateFactor, spreadShare, spreadMs } = waitingSettings
  const waiting = queue.size
  const joinedPerSecond = (1_000 * waiting) / Math.max(1, now - since)
  line.spacingMs = 1_000 / (rateFactor * Math.max(leastPerSecond, rate.perSecond(), joinedPerSecond))
  const overMs = spreadShare * (now - blockedSince) + spreadMs + waiting * line.spacingMs
  const leastMs = Math.min(leastSpreadMs, leastSpreadPerWaiterMs * waiting)
  // A single waiter needs no spreading, and the time of its gate has jitter already.
  line.intervalMs = waiting === 1 ? leastMs : Math.max(leastMs, overMs) / waiting
  line.nextAt = now + line.intervalMs * random()
  line.blockedSince = undefined
}

function wake(line: WaitingLine, waiter: Waiter | undefined, now: number): void {
  if (waiter === undefined) return
  line.expected += 1
  line.wokenAt = now
  update(line)
  waiter.listener()
}

/**
 * Returns the first waiter that has enough time left for an answer. When more calls wait than are served, the first in the queue has
 * almost no time left: without this rule every waiter would be woken in vain.
 */
function takeWithEnoughTime({ queue, answerMs }: WaitingLine, now: number): Waiter | undefined {
  for (;;) {
    const first = queue.takeFirst()
    if (first === undefined || now + answerMs() <= first.until) return first
  }
}

/**
 * How fast calls arrive and waiters are woken, over all targets of a client: a waiter that is woken because one target has opened may go to
 * any of them. If each queue had its own rate, the first target would receive the sum of all rates.
 */
export type ArrivalRate = {
  /** Counts a call that was let through, but only while no call waits: the backlog of an outage is not the usual rate. */
  mark(now: number): void
  /** Returns the calls per second while no call waits. */
  perSecond(): number
  /** How many calls wait for all targets together. */
  waiting: number
  /** The most requests that one target had in flight while no call waited. The next target may be sent as many as the first. */
  peak: number
  /** When the next waiter may be woken. */
  nextAt: number
}

const memoryMs = 5_000
/** A longer silence counts as this: most likely every target was blocked. So rates below one call per second are too high, which does no harm. */
const longestSilenceMs = 1_000

export function createArrivalRate(): ArrivalRate {
  let level = 0
  let markedAt = Number.NEGATIVE_INFINITY
  const rate: ArrivalRate = {
    mark(now) {
      if (rate.waiting > 0) return
      level = level * Math.exp(-Math.min(longestSilenceMs, now - markedAt) / memoryMs) + 1
      markedAt = now
    },
    perSecond: () => (level * 1_000) / memoryMs,
    waiting: 0,
    peak: 0,
    nextAt: Number.NEGATIVE_INFINITY,
  }
  return rate
}
