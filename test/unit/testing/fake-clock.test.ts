import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeClock } from '../../../src/testing/index.ts'

test('time stands still until it is moved', async () => {
  const clock = fakeClock()
  expect(clock.now()).toBe(0)
  await clock.advance(1_500)
  expect(clock.now()).toBe(1_500)
  expect(fakeClock({ startAtMs: 86_400_000 }).now()).toBe(86_400_000)
})

test('a timer fires at its own time, in the order of time and then of setting', async () => {
  const clock = fakeClock()
  const fired: string[] = []
  const note = (name: string) => () => void fired.push(`${name} at ${clock.now()}`)
  clock.setTimeout(note('c'), 30)
  clock.setTimeout(note('a'), 10)
  clock.setTimeout(note('b'), 10)
  clock.setTimeout(note('never'), 31)
  await clock.advance(30)
  expect(fired).toEqual(['a at 10', 'b at 10', 'c at 30'])
  expect(clock.pending()).toBe(1)
})

test('promises settle between two timers, also those that set the next', async () => {
  const clock = fakeClock()
  const wait = (delayMs: number): Promise<void> => new Promise(resolve => clock.setTimeout(resolve, delayMs))
  const seen: number[] = []
  const walk = async (): Promise<void> => {
    for (const delayMs of [5, 5, 5]) {
      await wait(delayMs)
      await Promise.resolve().then(() => Promise.resolve())
      seen.push(clock.now())
    }
  }
  const walking = walk()
  await clock.advance(15)
  expect(seen).toEqual([5, 10, 15])
  await walking
})

test('what a promise does before time moves is done before time moves', async () => {
  const clock = fakeClock()
  let firedAt = 0
  void Promise.resolve().then(() => clock.setTimeout(() => (firedAt = clock.now()), 10))
  await clock.advance(100)
  expect(firedAt).toBe(10)
})

test('a cleared timer does not fire; clearing what is not there does nothing', async () => {
  const clock = fakeClock()
  const handle = clock.setTimeout(() => expect.unreachable(), 5)
  clock.clearTimeout(handle)
  clock.clearTimeout(handle)
  clock.clearTimeout(undefined)
  clock.clearTimeout(null)
  expect(clock.pending()).toBe(0)
  await clock.advance(10)
})

test.for([
  [Number.NaN, 1],
  [-5, 1],
  [0, 1],
  [0.9, 1],
  [2 ** 31, 1],
  [Infinity, 1],
  [2 ** 31 - 1, 2 ** 31 - 1],
  [1.9, 1],
  [250.7, 250],
])('a delay of %d fires after %d ms, as in Node', async ([delayMs = 0, firesAfterMs = 0]) => {
  const clock = fakeClock()
  let firedAt = -1
  clock.setTimeout(() => (firedAt = clock.now()), delayMs)
  await clock.advance(2 ** 31)
  expect(firedAt).toBe(firesAfterMs)
})

test('advanceToNext moves to the next timer and tells whether there was one', async () => {
  const clock = fakeClock()
  const fired: number[] = []
  clock.setTimeout(() => fired.push(clock.now()), 3_600_000)
  clock.setTimeout(() => fired.push(clock.now()), 3_600_000)
  expect(await clock.advanceToNext()).toBe(true)
  expect(fired).toEqual([3_600_000, 3_600_000])
  expect(await clock.advanceToNext()).toBe(false)
})

test('until moves time just as far as the promise needs', async () => {
  const clock = fakeClock()
  const wait = async (delayMs: number): Promise<number> => {
    await new Promise<void>(resolve => clock.setTimeout(resolve, delayMs))
    return clock.now()
  }
  clock.setTimeout(() => expect.unreachable(), 10_000)
  expect(await clock.until(wait(30).then(() => wait(12)))).toBe(42)
  expect(clock.now()).toBe(42)
  await expect(clock.until(Promise.reject(new Error('failed already')))).rejects.toThrow('failed already')
  expect(clock.now()).toBe(42)
})

test('until says so when nothing is left that could settle the promise', async () => {
  const clock = fakeClock()
  clock.setTimeout(() => {}, 7)
  await expect(clock.until(new Promise(() => {}))).rejects.toThrow('No timer is left at 7 ms, and the promise has not settled')
})

test('what a timer throws comes out of advance', async () => {
  const clock = fakeClock()
  clock.setTimeout(() => {
    throw new Error('from the timer')
  }, 1)
  await expect(clock.advance(1)).rejects.toThrow('from the timer')
})

test.for([-1, Number.NaN])('time cannot be moved by %d', async byMs => {
  await expect(fakeClock().advance(byMs)).rejects.toThrow('Write a number of milliseconds')
})

test('however time is moved, timers fire once, at their time and never early', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 6 }),
      async (delays, steps) => {
        const clock = fakeClock()
        const fired: number[] = []
        for (const delayMs of delays) clock.setTimeout(() => fired.push(delayMs === clock.now() ? delayMs : Number.NaN), delayMs)
        for (const byMs of steps) await clock.advance(byMs)
        const total = steps.reduce((sum, byMs) => sum + byMs, 0)
        expect(fired).toEqual(delays.filter(delayMs => delayMs <= total).toSorted((a, b) => a - b))
        expect(clock.pending()).toBe(delays.length - fired.length)
      },
    ),
    { numRuns: 40 },
  )
})
