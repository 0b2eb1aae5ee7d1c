import { expect, test } from 'vitest'
import { createArrivalRate, createWaiters, type Outlook, waitingSettings } from '../../../src/health/waiters.ts'
import type { Sized } from '../../../src/health/request-size.ts'
import { createWorld } from '../../helpers/health-world.ts'

/** A line whose target opens at `opensAt`; the test may change the outlook. What a listener does is up to the test. */
function lineAt(opensAt: number, { random = 0.5, answerMs = 0 } = {}) {
  const world = createWorld(0)
  const rate = createArrivalRate()
  const open: { room: number; isProbe: boolean } = { room: Infinity, isProbe: false }
  const state = { opensAt, open, isOneByOne: false, roomOf: (_call: Sized | undefined) => state.open.room }
  const outlook = (now: number, call: Sized | undefined): Outlook =>
    now < state.opensAt
      ? { room: 0, opensAt: state.opensAt, isProbe: false, isOneByOne: state.isOneByOne }
      : { room: state.roomOf(call), opensAt: Infinity, isProbe: state.open.isProbe }
  const waiters = createWaiters({ clock: world, random: () => random, outlook, rate, answerMs: () => answerMs })
  const woken: number[] = []
  const wakes: number[] = []
  let added = 0
  /** Adds waiters that enter when they are woken, or, with `enters: false`, never. */
  const wait = ({ count = 1, enters = true, until = Infinity, call }: Partial<Wait> = {}) =>
    Array.from({ length: count }, () => {
      const number = added++
      return waiters.add(
        () => {
          woken.push(number)
          wakes.push(world.now())
          if (enters) waiters.entered()
        },
        until,
        call,
      )
    })
  return { world, rate, state, waiters, woken, wakes, wait }
}

type Wait = { readonly count: number; readonly enters: boolean; readonly until: number; readonly call: Sized }

// ---- over which time a crowd is spread

test.each([
  [1, 10_000, 0, [25, 25]],
  // 500 ms, a tenth of the ten seconds, and 100 ms each, because at least five calls a second are assumed
  [10, 10_000, 0, [125, 2_375]],
  [10, 100_000, 0, [575, 10_925]],
  // they came at a hundred a second, and two and a half seconds are the least
  [100, 1_000, 0, [13, 2_488]],
  [20, 100, 0, [25, 975]],
  // twice the usual rate: 5 ms each
  [100, 100_000, 100, [55, 10_945]],
])(
  '%i that waited %i ms, with %i calls a second before: the first and the last are woken after %j',
  (count, gateMs, before, spread) => {
    const { world, rate, wakes, wait } = lineAt(gateMs)
    for (let call = 0; call < before * 100; call += 1) rate.mark(-100_000 + call * (1_000 / before))
    wait({ count })
    world.pass(gateMs + 60_000)
    expect(wakes).toHaveLength(count)
    expect([wakes.at(0)! - gateMs, wakes.at(-1)! - gateMs]).toEqual(spread)
  },
)

test('the next crowd is spread by its own wait and its own size', () => {
  const { world, state, wakes, wait } = lineAt(100_000)
  wait({ count: 100 })
  world.pass(200_000)
  state.opensAt = world.now() + 10_000
  wait({ count: 10 })
  world.pass(60_000)
  expect([wakes.at(-10)! - state.opensAt, wakes.at(-1)! - state.opensAt]).toEqual([125, 2_375])
  state.opensAt = world.now() + 1_000
  wait({ count: 100 })
  world.pass(60_000)
  expect([wakes.at(-100)! - state.opensAt, wakes.at(-1)! - state.opensAt]).toEqual([13, 2_488])
})

test('chance moves each waiter by half of its interval, and the rate of the line is the least distance', () => {
  const [early, late] = [0, 1].map(random => {
    const { world, wakes, wait } = lineAt(10_000, { random })
    wait({ count: 10 })
    world.pass(60_000)
    return wakes.map(at => at - 10_000)
  })
  // intervals of 250 ms, and at most ten a second
  expect(early).toEqual([0, 125, 250, 375, 500, 625, 750, 875, 1_000, 1_125])
  expect([late?.at(0), late?.at(1), late?.at(-1)]).toEqual([250, 625, 250 + 9 * 375])
})

test('places that get free one by one, at times that are known, wake at those times', () => {
  const { world, state, wakes, wait } = lineAt(10_000)
  state.isOneByOne = true
  state.open.room = 1
  wait()
  world.pass(60_000)
  expect(wakes).toEqual([10_000])
})

test('a place that gets free at one target is not held back by the crowd of another', () => {
  const { world, rate, wakes, wait } = lineAt(10_000)
  wait({ count: 10 })
  const opensAt = 10_150
  const outlook = (now: number) => ({ room: now < opensAt ? 0 : 1, opensAt, isProbe: false, isOneByOne: true })
  const other = createWaiters({ clock: world, random: () => 0.5, outlook, rate, answerMs: () => 0 })
  let wokenAt = 0
  other.add(() => (wokenAt = world.now()))
  world.pass(20_000)
  expect([wakes.slice(0, 2), wokenAt]).toEqual([[10_125, 10_375], opensAt])
})

test('those who join a target that is being probed are spread after the probe too', () => {
  const { world, state, waiters, wakes, wait } = lineAt(0)
  state.open = { room: 1, isProbe: true }
  wait({ count: 20 })
  world.pass(1)
  expect(wakes).toHaveLength(1)
  state.open = { room: Infinity, isProbe: false }
  waiters.pump()
  expect(wakes).toHaveLength(1)
  world.pass(500)
  expect(wakes.length).toBeLessThan(15)
  world.pass(60_000)
  expect(wakes).toHaveLength(20)
})

test('a timer that is late wakes no crowd', () => {
  let now = 0
  const clock = { now: () => now, setTimeout: () => 0, clearTimeout: () => {} }
  const waiters = createWaiters({
    ...{ clock, random: () => 0.5, rate: createArrivalRate(), answerMs: () => 0 },
    outlook: () => ({ room: now < 10_000 ? 0 : Infinity, opensAt: 10_000, isProbe: false }),
  })
  let woken = 0
  for (let waiter = 0; waiter < 100; waiter += 1) waiters.add(() => (woken += 1))
  const wokenAt = (time: number) => {
    now = time
    waiters.pump()
    return woken
  }
  // one in 65 ms
  expect([10_000, 10_033, 10_098, 15_000, 15_044, 15_046].map(wokenAt)).toEqual([0, 1, 2, 3, 3, 4])
})

// ---- places

test('a place is kept for each that was woken and has not entered, for 100 ms', () => {
  const { world, state, waiters, woken, wait } = lineAt(Infinity)
  wait({ count: 9, enters: false })
  state.opensAt = 0
  state.open.room = 2
  waiters.pump()
  expect(woken).toEqual([0, 1])
  waiters.entered()
  state.open.room = 1
  waiters.pump()
  expect(woken, 'the place that is left is that of the second').toEqual([0, 1])
  state.open.room = 3
  waiters.pump()
  expect(woken, 'two more places').toEqual([0, 1, 2, 3])
  world.pass(50)
  waiters.pump()
  expect(woken).toHaveLength(4)
  world.pass(50)
  expect(woken, 'three did not come').toHaveLength(7)
})

test('who enters without being woken keeps no place for others, nor takes one', () => {
  const { state, waiters, woken, wait } = lineAt(Infinity)
  for (let call = 0; call < 5; call += 1) waiters.entered()
  wait({ count: 3, enters: false })
  state.opensAt = 0
  state.open.room = 1
  waiters.pump()
  waiters.pump()
  expect(woken).toEqual([0])
})

test('a target that may open at no known time needs no timer, nor does one for which nobody waits', () => {
  const { world, state, waiters, wait } = lineAt(10_000)
  waiters.pump()
  expect(world.timers()).toBe(0)
  wait({ count: 2 })
  expect(world.timers()).toBe(1)
  state.opensAt = Infinity
  waiters.pump()
  expect(world.timers()).toBe(0)
  state.opensAt = 0
  state.open = { room: 1, isProbe: true }
  wait()[0]?.()
  for (const leave of wait({ count: 2 })) leave()
  waiters.clear()
  waiters.pump()
  expect(world.timers()).toBe(0)
})

test('the last one that is woken leaves no timer', () => {
  const { world, state, waiters, woken, wait } = lineAt(Infinity)
  wait()
  state.opensAt = 0
  waiters.pump()
  expect([woken, world.timers()]).toEqual([[0], 0])
})

test('those who have too little time left are forgotten, and no longer counted as waiting', () => {
  const { world, rate, waiters, woken, wait } = lineAt(10_000, { answerMs: 5_000 })
  wait({ count: 2, until: 12_000 })
  expect(rate.waiting).toBe(2)
  world.pass(20_000)
  expect([woken, waiters.size(), rate.waiting, world.timers()]).toEqual([[], 0, 0, 0])
  wait({ until: 25_001 })
  world.pass(1)
  expect(woken, 'just enough, after the shortest timer').toEqual([2])
})

test('who is woken no longer counts as waiting', () => {
  const { world, rate, waiters } = lineAt(1_000)
  const waiting: number[] = []
  for (let waiter = 0; waiter < 3; waiter += 1) waiters.add(() => void waiting.push(rate.waiting))
  world.pass(60_000)
  expect(waiting).toEqual([2, 1, 0])
})

test('who finds the line full is never called', () => {
  const { world, waiters, woken, wait } = lineAt(1_000)
  wait({ count: waitingSettings.maxWaiting })
  wait()
  expect(waiters.size()).toBe(waitingSettings.maxWaiting)
  world.pass(3_600_000)
  expect(woken).toHaveLength(waitingSettings.maxWaiting)
  expect(woken).not.toContain(waitingSettings.maxWaiting)
})

test('when a large call that came first gives up, the small one behind it goes', () => {
  const { world, state, woken, wait } = lineAt(0)
  state.roomOf = call => ((call?.maxOutputTokens ?? 0) > 100 ? 0 : 1)
  const [leave] = wait({ call: { messages: [], maxOutputTokens: 500 } })
  wait({ call: { messages: [], maxOutputTokens: 50 } })
  world.pass(60_000)
  expect(woken).toEqual([])
  leave?.()
  world.pass(1)
  expect(woken).toEqual([1])
})

// ---- the usual rate of calls

test('the usual rate is that of the calls while nobody waits, over about five seconds', () => {
  const rate = createArrivalRate()
  expect(rate.perSecond()).toBe(0)
  rate.mark(0)
  expect(rate.perSecond(), 'one call in five seconds').toBeCloseTo(0.2)
  for (let call = 1; call <= 1_000; call += 1) rate.mark(call * 100)
  expect(rate.perSecond()).toBeCloseTo(10, 0)
  rate.waiting = 1
  for (let call = 0; call < 1_000; call += 1) rate.mark(100_000 + call)
  expect(rate.perSecond(), 'the backlog of an outage').toBeCloseTo(10, 0)
  rate.waiting = 0
  rate.mark(3_600_000)
  expect(rate.perSecond(), 'an hour of silence counts as one second').toBeGreaterThan(8)
})
