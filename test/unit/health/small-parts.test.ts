import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createTimer, longestTimerMs } from '../../../src/health/timer.ts'
import { createRetryBudget } from '../../../src/health/retry-budget.ts'
import { createLease } from '../../../src/health/lease.ts'
import { createLinkedQueue } from '../../../src/health/linked-queue.ts'
import { createNamedLimit } from '../../../src/health/limiter.ts'
import { costFirst, isSameSettings, loadFirst } from '../../../src/health/settings.ts'
import { createWorld } from '../../helpers/health-world.ts'

// ---- budget

test('a target starts with five retries and earns one with ten first contents', () => {
  const budget = createRetryBudget(loadFirst.budget)
  for (let retry = 0; retry < 5; retry += 1) expect(budget.take()).toBe(true)
  expect(budget.take()).toBe(false)
  for (let answer = 0; answer < 9; answer += 1) budget.deposit()
  expect(budget.take()).toBe(false)
  budget.deposit()
  expect(budget.take()).toBe(true)
})

test('retries never exceed the start plus a tenth of the successes, in whatever order they come (R54)', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 500 }), steps => {
      const budget = createRetryBudget(loadFirst.budget)
      let successes = 0
      let retries = 0
      for (const isSuccess of steps) {
        if (isSuccess) {
          successes += 1
          budget.deposit()
        } else if (budget.take()) retries += 1
        expect(budget.tokens()).toBeGreaterThanOrEqual(0)
        expect(budget.tokens()).toBeLessThanOrEqual(10)
      }
      expect(retries).toBeLessThanOrEqual(5 + 0.1 * successes + 1e-6)
    }),
  )
})

test('the profile that protects the bill retries three times as much', () => {
  expect(costFirst.budget.perFirstChunk).toBeCloseTo(3 * loadFirst.budget.perFirstChunk)
  expect({ ...costFirst, budget: loadFirst.budget }).toEqual(loadFirst)
})

test('two clients have the same settings if every number of the breaker and of the retry budget is the same', () => {
  const off = { ...loadFirst, breaker: false } as const
  const longer = { ...loadFirst, breaker: { ...loadFirst.breaker, openMs: 3_000 } }
  expect(isSameSettings(loadFirst, structuredClone(loadFirst))).toBe(true)
  expect(isSameSettings(off, { ...off })).toBe(true)
  for (const other of [off, longer, costFirst]) {
    expect(isSameSettings(loadFirst, other)).toBe(false)
    expect(isSameSettings(other, loadFirst)).toBe(false)
  }
})

// ---- lease

test('a lease is held by one, and by nobody after it ran out', () => {
  const lease = createLease(10_000)
  const first = lease.take(0)!
  expect(lease.take(9_999)).toBeUndefined()
  const second = lease.take(10_000)!
  expect(lease.holds(first)).toBe(false)
  lease.giveBack(first)
  expect(lease.holds(second), 'a late return of the first').toBe(true)
})

test('a lease that is given back may rest before the next one', () => {
  const lease = createLease(10_000)
  lease.giveBack(lease.take(0)!, 1_000)
  expect(lease.take(999)).toBeUndefined()
  expect(lease.take(1_000)).toBeDefined()
})

test('nobody is the number 0', () => {
  const lease = createLease(10_000)
  const holder = lease.take(0)!
  lease.giveBack(0, 99)
  expect(lease.holds(0)).toBe(false)
  expect(lease.holds(holder)).toBe(true)
})

// ---- line

test('a line behaves like a list from which anybody may leave', () => {
  type Step = { readonly act: 'join' | 'first' | 'last' | 'leave'; readonly which: number }
  const step = fc.record<Step>({ act: fc.constantFrom('join', 'first', 'last', 'leave'), which: fc.nat(50) })
  fc.assert(
    fc.property(fc.array(step), steps => {
      const line = createLinkedQueue<number>()
      const model: number[] = []
      const leaves: (() => void)[] = []
      for (const { act, which } of steps) {
        if (act === 'join') {
          model.push(leaves.length)
          leaves.push(line.add(leaves.length))
        } else if (act === 'first') expect(line.takeFirst()).toBe(model.shift())
        else if (act === 'last') expect(line.takeLast()).toBe(model.pop())
        else {
          leaves[which]?.()
          if (model.includes(which)) model.splice(model.indexOf(which), 1)
        }
        expect(line.size).toBe(model.length)
      }
      line.clear()
      expect(line.takeFirst()).toBeUndefined()
    }),
  )
})

// ---- alarm

test('no timer is longer than Node can hold, and a gate of 25 days rings once, when it is over (R92)', () => {
  const world = createWorld(0)
  const rings: number[] = []
  const days = 86_400_000
  createTimer(world, () => rings.push(world.now())).set(25 * days)
  world.pass(25 * days - 1)
  expect(rings).toEqual([])
  world.pass(days)
  expect(rings).toEqual([25 * days])
  expect(world.longestDelay()).toBe(longestTimerMs)
  expect(world.timers()).toBe(0)
})

test('an alarm never rings early, though timers cut off fractions of a millisecond', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), fc.double({ min: 0, max: 1e6, noNaN: true }), (start, delay) => {
      const world = createWorld(start)
      let rang: number | undefined
      createTimer(world, () => (rang = world.now())).set(start + delay)
      world.pass(delay + 2)
      expect(rang).toBeGreaterThanOrEqual(start + delay)
    }),
  )
})

test('an alarm that is set again keeps one timer, and none when it is cleared', () => {
  const world = createWorld()
  const alarm = createTimer(world, () => {})
  for (const at of [5, 5, 3, 9]) alarm.set(world.now() + at)
  expect(world.timers()).toBe(1)
  alarm.clear()
  expect(world.timers()).toBe(0)
  expect(alarm.isSet()).toBe(false)
})

/** A clock whose timers are handles as the user's own clock may return them. */
function clockOf(handle: unknown) {
  const calls: string[] = []
  let fire = () => {}
  const clock = {
    now: () => 1_000,
    setTimeout: (listener: () => void) => {
      calls.push('set')
      fire = listener
      return handle
    },
    clearTimeout: () => void calls.push('clear'),
  }
  return { clock, calls, fire: () => fire() }
}

test('a timer keeps the process alive unless it is told not to', () => {
  let unrefs = 0
  const { clock } = clockOf({ unref: () => (unrefs += 1) })
  createTimer(clock, () => {}).set(2_000)
  expect(unrefs).toBe(0)
  createTimer(clock, () => {}, { keepsProcess: false }).set(2_000)
  expect(unrefs).toBe(1)
})

test.each([7, null, undefined, 'a handle', {}, { unref: true }, () => {}])(
  'a timer that need not keep the process takes any handle of a clock: %s',
  handle => {
    const { clock, calls } = clockOf(handle)
    const timer = createTimer(clock, () => {}, { keepsProcess: false })
    timer.set(2_000)
    expect(timer.isSet()).toBe(true)
    timer.clear()
    expect(calls).toEqual(['set', 'clear'])
  },
)

test('a timer that is set to the same time, or cleared while none is set, leaves the clock alone', () => {
  const { clock, calls } = clockOf(1)
  const timer = createTimer(clock, () => {})
  timer.clear()
  timer.set(2_000)
  timer.set(2_000)
  expect(calls).toEqual(['set'])
})

test('a clock that fires a timer after it was cleared calls nobody', () => {
  const { clock, fire } = clockOf(1)
  let fired = 0
  const timer = createTimer(clock, () => (fired += 1))
  timer.set(900)
  timer.clear()
  fire()
  expect(fired).toBe(0)
  expect(timer.isSet()).toBe(false)
})

// ---- named limit

test('a limit that was told holds, and is relaxed by a tenth a minute', () => {
  const named = createNamedLimit()
  expect(named.at(0)).toBe(Infinity)
  named.set(500, 0)
  expect([0, 59_999, 60_000, 120_000].map(named.at)).toEqual([500, 500, 550, 605])
})
