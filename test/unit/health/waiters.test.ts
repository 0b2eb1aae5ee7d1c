import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ArrivalRate, createArrivalRate, createWaiters, type Waiters, waitingSettings } from '../../../src/health/waiters.ts'
import { createWorld, type World } from '../../helpers/health-world.ts'
import { seeded } from '../../helpers/random.ts'

type Gated = {
  readonly world: World
  readonly waiters: Waiters
  readonly rate: ArrivalRate
  /** May be changed by the test. */
  readonly state: { opensAt: number; room: number; isProbe: boolean }
  /** When each was woken, by its number. */
  readonly woken: Map<number, number>
  wait(number: number, until?: number): () => void
}

function gated({ openAt = 0, seed = 1, answerMs = 0 } = {}): Gated {
  const world = createWorld(0)
  const rate = createArrivalRate()
  const state = { opensAt: openAt, room: Infinity, isProbe: false }
  const waiters = createWaiters({
    clock: world,
    random: seeded(seed),
    outlook: now => (now < state.opensAt ? { room: 0, opensAt: state.opensAt, isProbe: false } : state),
    rate,
    answerMs: () => answerMs,
  })
  const woken = new Map<number, number>()
  const wait = (number: number, until?: number) =>
    waiters.add(() => {
      woken.set(number, world.now())
      waiters.entered()
    }, until)
  return { world, waiters, rate, state, woken, wait }
}

/** The most that were woken in any 100 ms. */
function crowdOf(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  let most = 0
  let first = 0
  sorted.forEach((time, index) => {
    while (time - sorted[first]! >= 100) first += 1
    most = Math.max(most, index - first + 1)
  })
  return most
}

test('of 5,000 that wait at one gate no 100 ms wakes more than 5 percent, and all are woken', () => {
  const usual = fc.constantFrom(1, 20, 100, 1_000, 20_000)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 120_000 }), usual, fc.nat(2_000), fc.integer(), (gateMs, perSecond, comeMs, seed) => {
      const { world, rate, state, woken, wait } = gated({ openAt: gateMs + comeMs, seed })
      for (let call = 0; call < 200; call += 1) rate.mark((call * 1_000) / perSecond - 200_000 / perSecond)
      for (let number = 0; number < 5_000; number += 1) {
        if (number % 50 === 0) world.pass(comeMs / 100)
        wait(number)
      }
      world.pass(600_000)
      expect(woken.size).toBe(5_000)
      const times = [...woken.values()]
      expect(Math.min(...times)).toBeGreaterThanOrEqual(state.opensAt)
      expect(crowdOf(times)).toBeLessThanOrEqual(250)
      expect(world.timers()).toBe(0)
    }),
    { numRuns: 25 },
  )
})

test('they come at twice the usual rate, so that together with new calls it is not four times as much', () => {
  const { world, rate, woken, wait } = gated({ openAt: 30_000 })
  for (let call = 0; call < 3_000; call += 1) rate.mark(call * 10 - 30_000)
  for (let number = 0; number < 3_000; number += 1) {
    world.pass(10)
    wait(number)
  }
  world.pass(60_000)
  const perSecond = new Map<number, number>()
  for (const time of woken.values()) perSecond.set(Math.floor(time / 1_000), (perSecond.get(Math.floor(time / 1_000)) ?? 0) + 1)
  expect(woken.size).toBe(3_000)
  expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(300)
})

test('first come, first woken', () => {
  const { world, woken, wait } = gated({ openAt: 10_000 })
  for (let number = 0; number < 200; number += 1) wait(number)
  world.pass(120_000)
  expect([...woken.keys()]).toEqual(Array.from({ length: 200 }, (_, number) => number))
})

test('one that waits alone is woken within half a second and a tenth of its wait', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60_000 }), fc.integer(), (gateMs, seed) => {
      const { world, woken, wait } = gated({ openAt: gateMs, seed })
      wait(0)
      world.pass(gateMs * 2 + 2_000)
      expect(woken.get(0)).toBeGreaterThanOrEqual(gateMs)
      expect(woken.get(0)).toBeLessThanOrEqual(gateMs * 1.1 + 500 + 101)
    }),
  )
})

test('a gate that shuts again in the middle stops the rest, which keep their order', () => {
  const { world, waiters, state, woken, wait } = gated({ openAt: 1_000 })
  for (let number = 0; number < 1_000; number += 1) wait(number)
  world.pass(2_500)
  const before = woken.size
  state.opensAt = 60_000
  waiters.pump()
  world.pass(57_499)
  expect(woken.size).toBe(before)
  world.pass(600_000)
  expect([...woken.keys()]).toEqual(Array.from({ length: 1_000 }, (_, number) => number))
})

test('a place that gets free wakes exactly one, at once', () => {
  const { waiters, state, woken, wait, world } = gated()
  state.room = 0
  state.opensAt = Infinity
  for (let number = 0; number < 3; number += 1) wait(number)
  expect(world.timers(), 'nobody knows when, so no timer runs').toBe(0)
  state.opensAt = 0
  state.room = 1
  waiters.pump()
  expect([...woken.keys()]).toEqual([0])
})

test('one that was woken and does not come loses its place to the next one', () => {
  const { waiters, state, world } = gated()
  const woken: number[] = []
  state.opensAt = Infinity
  for (let number = 0; number < 3; number += 1) waiters.add(() => woken.push(number))
  state.opensAt = 0
  state.room = 1
  waiters.pump()
  waiters.pump()
  expect(woken, 'its place is kept for a moment').toEqual([0])
  world.pass(100)
  expect(woken).toEqual([0, 1])
})

test('for a trial the one that came last is woken, because it has the most time left', () => {
  const { world, state, woken, wait } = gated({ openAt: 1_000 })
  state.isProbe = true
  state.room = 1
  for (let number = 0; number < 5; number += 1) wait(number)
  world.pass(1_000)
  expect([...woken.keys()]).toEqual([4])
})

test('one that has less time left than an answer takes is not woken in vain', () => {
  const { world, woken, wait } = gated({ openAt: 10_000, answerMs: 5_000 })
  wait(0, 12_000)
  wait(1, 60_000)
  world.pass(60_000)
  expect([...woken.keys()]).toEqual([1])
})

test('who leaves is not woken, and the last one takes the timer along', () => {
  const { world, waiters, rate, woken, wait } = gated({ openAt: 1_000 })
  const leave = [wait(0), wait(1), wait(2)]
  leave[1]!()
  world.pass(10_000)
  expect([...woken.keys()]).toEqual([0, 2])
  const again = gated({ openAt: 1_000 })
  again.wait(0)()
  expect(again.world.timers()).toBe(0)
  leave[0]!()
  leave[0]!()
  expect(waiters.size()).toBe(0)
  expect(rate.waiting).toBe(0)
})

test('the room is bounded: who finds it full is never called, and may leave all the same', () => {
  const { world, waiters, woken, wait } = gated({ openAt: 1_000 })
  for (let number = 0; number < waitingSettings.maxWaiting - 1; number += 1) wait(number)
  expect(waiters.isFull()).toBe(false)
  wait(9_999)
  expect(waiters.isFull()).toBe(true)
  wait(10_000)()
  world.pass(3_600_000)
  expect(woken.size).toBe(10_000)
  expect(woken.has(10_000)).toBe(false)
  expect(waiters.isFull()).toBe(false)
})

test('one that registers while the target is open is woken soon, but not within the very call', () => {
  const { world, woken, wait } = gated()
  wait(0)
  expect(woken.size).toBe(0)
  world.pass(1)
  expect(woken.size).toBe(1)
})

test('clearing forgets everybody and leaves no timer', () => {
  const { world, waiters, rate, woken, wait } = gated({ openAt: 1_000 })
  for (let number = 0; number < 10; number += 1) wait(number)
  waiters.clear()
  expect([world.timers(), waiters.size(), rate.waiting]).toEqual([0, 0, 0])
  world.pass(10_000)
  expect(woken.size).toBe(0)
})

test('a gate of 25 days keeps its waiters asleep, with timers that Node can hold (R92)', () => {
  const days = 86_400_000
  const { world, woken, wait } = gated({ openAt: 25 * days })
  wait(0)
  world.pass(25 * days - 1)
  expect(woken.size).toBe(0)
  expect(world.longestDelay()).toBeLessThanOrEqual(2 ** 31 - 1)
  world.pass(4 * days)
  expect(woken.size).toBe(1)
})

test('lines of several targets are woken at one rate', () => {
  const world = createWorld(0)
  const rate = createArrivalRate()
  for (let call = 0; call < 3_000; call += 1) rate.mark(call * 10 - 30_000)
  const times: number[] = []
  const lines = [1, 2, 3].map(seed =>
    createWaiters({
      clock: world,
      random: seeded(seed),
      outlook: now => ({ room: now < 30_000 ? 0 : Infinity, opensAt: 30_000, isProbe: false }),
      rate,
      answerMs: () => 0,
    }),
  )
  // Each call waits at every target and leaves the other lines as soon as one of them wakes it.
  for (let call = 0; call < 3_000; call += 1) {
    world.pass(10)
    const leaves: (() => void)[] = []
    for (const line of lines) {
      const leave = line.add(() => {
        times.push(world.now())
        for (const each of leaves) each()
      })
      leaves.push(leave)
    }
  }
  world.pass(120_000)
  expect(times).toHaveLength(3_000)
  expect(crowdOf(times)).toBeLessThanOrEqual(30)
})
