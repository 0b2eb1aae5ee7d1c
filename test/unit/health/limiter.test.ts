import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLimiter } from '../../../src/health/limiter.ts'
import type { Limiter } from '../../../src/health/limiter.ts'
import { createArrivalRate } from '../../../src/health/waiters.ts'

const pace = createArrivalRate()
const limiterWith = () => createLimiter()

function enter(limiter: Limiter, count: number): void {
  for (let entered = 0; entered < count; entered += 1) limiter.enter()
}

test('limits nothing until the target has refused something', () => {
  const limiter = limiterWith()
  enter(limiter, 10_000)
  expect(limiter.limit(0)).toBe(Infinity)
  expect(limiter.hasRoom(0)).toBe(true)
})

test('the first refusal takes a third from what is in flight at that moment', () => {
  const limiter = limiterWith()
  enter(limiter, 100)
  limiter.refuse(0)
  expect(limiter.limit(0)).toBe(70)
  expect(limiter.hasRoom(0)).toBe(false)
})

test('refusals of one round are one decrease', () => {
  const limiter = limiterWith()
  enter(limiter, 100)
  for (let ms = 0; ms < 1_000; ms += 10) limiter.refuse(ms)
  expect(limiter.limit(0)).toBe(70)
  limiter.refuse(1_000)
  expect(limiter.limit(0)).toBe(49)
})

test('a round is as long as answers of this target are', () => {
  const limiter = limiterWith()
  enter(limiter, 101)
  limiter.leave(false, 20_000)
  limiter.refuse(0)
  limiter.refuse(19_999)
  expect(limiter.limit(0)).toBe(70)
  limiter.refuse(20_000)
  expect(limiter.limit(0)).toBe(49)
})

test('answers that are coming in are never disproved by a refusal', () => {
  const limiter = limiterWith()
  enter(limiter, 100)
  for (let begun = 0; begun < 90; begun += 1) limiter.succeed(true, pace)
  limiter.refuse(0)
  expect(limiter.limit(0)).toBe(90)
})

test('every success at the limit adds one, a success below it or a late one adds nothing', () => {
  const limiter = limiterWith()
  enter(limiter, 10)
  limiter.refuse(0)
  expect(limiter.limit(0)).toBe(7)
  limiter.succeed(true, pace)
  expect(limiter.limit(0)).toBe(8)
  limiter.succeed(false, pace)
  expect(limiter.limit(0)).toBe(8)
  for (let left = 0; left < 5; left += 1) limiter.leave(false)
  limiter.succeed(true, pace)
  expect(limiter.limit(0)).toBe(8)
})

test('a success at exactly the limit adds one', () => {
  const limiter = limiterWith()
  enter(limiter, 10)
  limiter.refuse(0)
  for (let left = 0; left < 3; left += 1) limiter.leave(false)
  limiter.succeed(true, pace)
  expect(limiter.limit(0)).toBe(8)
})

test('only requests whose answers have begun are taken from the answers that are coming in', () => {
  const limiter = limiterWith()
  enter(limiter, 10)
  for (let begun = 0; begun < 5; begun += 1) limiter.succeed(true, pace)
  for (let left = 0; left < 5; left += 1) limiter.leave(false)
  limiter.refuse(0)
  expect(limiter.limit(0)).toBe(5)
})

test('how long an answer takes is an average in which each answer counts a tenth', () => {
  const limiter = limiterWith()
  enter(limiter, 4)
  expect(limiter.answerMs()).toBe(0)
  limiter.leave(false, 10_000)
  expect(limiter.answerMs()).toBe(10_000)
  limiter.leave(false, 20_000)
  expect(limiter.answerMs()).toBe(11_000)
  limiter.leave(false)
  expect(limiter.answerMs(), 'a refusal is no answer').toBe(11_000)
})

test('never falls below one', () => {
  const limiter = limiterWith()
  enter(limiter, 2)
  for (let second = 0; second < 100; second += 1) limiter.refuse(second * 1_000)
  expect(limiter.limit(0)).toBe(1)
})

test('an overload now and then is no limit, eight in a row are', () => {
  const limiter = limiterWith()
  enter(limiter, 100)
  for (let call = 0; call < 700; call += 1) {
    if (call % 7 === 6) {
      limiter.succeed(true, pace)
      limiter.leave(true)
      limiter.enter()
    } else limiter.overload(call)
  }
  expect(limiter.limit(0)).toBe(Infinity)
  for (let call = 0; call < 8; call += 1) limiter.overload(1_000)
  expect(limiter.limit(0)).toBe(70)
})

test('takes a limit that is told at its word, and relaxes it slowly', () => {
  const limiter = limiterWith()
  enter(limiter, 600)
  limiter.obey(500, 0)
  expect(limiter.limit(0)).toBe(500)
  expect(limiter.limit(60_000)).toBe(550)
})

test('F99: a limit told while few are in flight is taken at its word too', () => {
  const limiter = limiterWith()
  enter(limiter, 100)
  limiter.obey(500, 0)
  expect(limiter.limit(0)).toBe(500)
})

test('a limit of one that was told, or shared by the fleet, is kept', () => {
  const [told, shared] = [limiterWith(), limiterWith()]
  told.obey(1, 0)
  shared.share(1, 0)
  expect([told.limit(0), shared.limit(0)]).toEqual([1, 1])
})

test('a limit that was learned at night is forgotten in the morning', () => {
  const limiter = limiterWith()
  enter(limiter, 2)
  limiter.refuse(0)
  for (let left = 0; left < 2; left += 1) limiter.leave(false)
  expect(limiter.limit(300_000)).toBe(1)
  expect(limiter.limit(300_001)).toBe(Infinity)
})

test('F99: a refusal of the only request in flight says nothing about requests at once', () => {
  const limiter = limiterWith()
  limiter.enter()
  for (let second = 0; second < 9; second += 1) limiter.refuse(second * 1_000)
  expect(limiter.limit(0)).toBe(Infinity)
})

test('garbage is no limit', () => {
  const limiter = limiterWith()
  for (const told of [0, -5, Number.NaN]) limiter.obey(told, 0)
  expect(limiter.limit(0)).toBe(Infinity)
})

test('after an outage it begins with eight, or a tenth of its best, and doubles with every round until it is lifted', () => {
  const limiter = limiterWith()
  for (let begun = 0; begun < 200; begun += 1) {
    limiter.enter()
    limiter.succeed(true, pace)
  }
  for (let left = 0; left < 200; left += 1) limiter.leave(true)
  limiter.stop()
  limiter.startSlowly(0)
  const limits: number[] = []
  while (limiter.limit(0) < Infinity) {
    const round = limiter.limit(0)
    limits.push(round)
    enter(limiter, round)
    for (let begun = 0; begun < round; begun += 1) limiter.succeed(true, pace)
    for (let left = 0; left < round; left += 1) limiter.leave(true)
  }
  expect(limits).toEqual([20, 40, 80, 160])
})

test('the most that a client had in flight is that of its busiest target, while no call waits', () => {
  const rate = createArrivalRate()
  const [busy, calm] = [limiterWith(), limiterWith()]
  for (let begun = 0; begun < 5; begun += 1) busy.succeed(true, rate)
  for (let begun = 0; begun < 3; begun += 1) calm.succeed(true, rate)
  expect(rate.peak).toBe(5)
  rate.waiting = 1
  busy.succeed(true, rate)
  expect(rate.peak).toBe(5)
})

test('its best is what began at once, not what has begun since; a limit that has grown a fifth above it is lifted', () => {
  const limiter = limiterWith()
  enter(limiter, 10)
  for (let begun = 0; begun < 10; begun += 1) limiter.succeed(true, pace)
  for (let left = 0; left < 10; left += 1) limiter.leave(true)
  enter(limiter, 1)
  limiter.succeed(true, pace)
  limiter.leave(true)
  limiter.stop()
  limiter.startSlowly(0)
  const limits = Array.from({ length: 5 }, () => {
    limiter.enter()
    limiter.succeed(true, pace)
    return limiter.limit(0)
  })
  expect(limits).toEqual([9, 10, 11, 12, Infinity])
})

test('a target that never had much in flight begins with eight', () => {
  const limiter = limiterWith()
  limiter.stop()
  limiter.startSlowly(0)
  expect(limiter.limit(0)).toBe(8)
})

test('what is still in flight when it comes back keeps nobody away', () => {
  const limiter = limiterWith()
  enter(limiter, 50)
  limiter.stop()
  limiter.startSlowly(0)
  expect(limiter.limit(0)).toBe(58)
})

test('a backlog does not lift it above what the client was seen to need', () => {
  const limiter = limiterWith()
  const isLineFull = { ...createArrivalRate(), waiting: 500, peak: 100 }
  limiter.stop()
  limiter.startSlowly(0)
  enter(limiter, 400)
  for (let begun = 0; begun < 400; begun += 1) limiter.succeed(true, isLineFull)
  expect(limiter.limit(0)).toBe(120)
  limiter.succeed(true, { ...isLineFull, waiting: 0 })
  expect(limiter.limit(0)).toBe(Infinity)
})

test('whatever happens: at least one may enter when nobody is in flight, and none is lost', () => {
  const act = fc.constantFrom('enter', 'succeed', 'leave', 'refuse', 'overload', 'obey', 'stop', 'start')
  fc.assert(
    fc.property(fc.array(fc.tuple(act, fc.nat(2_000)), { size: 'max', maxLength: 200 }), steps => {
      const limiter = limiterWith()
      const begun: boolean[] = []
      let now = 0
      for (const [what, ms] of steps) {
        now += ms
        if (what === 'enter' && limiter.hasRoom(now)) {
          limiter.enter()
          begun.push(false)
        }
        if (what === 'succeed' && begun.includes(false)) {
          limiter.succeed(true, pace)
          begun[begun.indexOf(false)] = true
        }
        if (what === 'leave' && begun.length > 0) limiter.leave(begun.pop()!, ms)
        if (what === 'refuse') limiter.refuse(now)
        if (what === 'overload') limiter.overload(now)
        if (what === 'obey') limiter.obey(1 + (ms % 10), now)
        if (what === 'stop') limiter.stop()
        if (what === 'start') limiter.startSlowly(now)
        expect(limiter.inFlight()).toBe(begun.length)
        expect(limiter.limit(now)).toBeGreaterThanOrEqual(1)
        expect(begun.length > 0 || limiter.hasRoom(now)).toBe(true)
      }
    }),
  )
})
