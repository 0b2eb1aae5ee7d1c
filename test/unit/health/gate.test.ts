import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createGate, gateSettings, isDuration } from '../../../src/health/gate.ts'

const refusal = (retryAfterMs?: number) => ({ reason: 'rate-limit' as const, message: 'Slow down.', retryAfterMs })
const gateWith = (draw: number) => createGate(() => draw)
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('is open until something shuts it', () => {
  expect(gateWith(0.5).blockedUntil(1_000)).toBeLessThan(1_000)
})

test('obeys a named time of any length, stretched by at most a tenth or 200 ms (R92, R140)', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e12, noNaN: true }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      draw,
      (named, now, drawn) => {
        const until = gateWith(drawn).block(refusal(named), now)
        expect(until).toBeGreaterThanOrEqual(now + named)
        expect(until).toBeLessThanOrEqual(now + named + Math.max(0.1 * named, 200) + 1e-3)
      },
    ),
  )
})

test('a refusal without a time, or with garbage for one, shuts for half a second to a second', () => {
  const garbage = fc.constantFrom(undefined, Number.NaN, -1, Infinity, -Infinity)
  fc.assert(
    fc.property(garbage, draw, (named, drawn) => {
      const until = gateWith(drawn).block(refusal(named), 5_000)
      expect(until).toBeGreaterThanOrEqual(5_500)
      expect(until).toBeLessThanOrEqual(6_000)
    }),
  )
})

test('of two times the later one stays, in whatever order they come (R99)', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(900_000), fc.nat(10_000)), { minLength: 1 }), refusals => {
      const gate = gateWith(0)
      let now = 0
      let latest = 0
      for (const [named, passed] of refusals) {
        now += passed
        latest = Math.max(latest, now + named)
        gate.block(refusal(named), now)
      }
      expect(gate.blockedUntil(now)).toBe(latest)
    }),
  )
})

test('tells the reason of the refusal that holds, not of the last one', () => {
  const gate = gateWith(0)
  gate.block({ reason: 'overloaded', message: 'The long one.', retryAfterMs: 60_000 }, 0)
  gate.block({ reason: 'rate-limit', message: 'The short one.', retryAfterMs: 1_000 }, 10)
  expect(gate.cause()).toEqual({ reason: 'overloaded', message: 'The long one.' })
})

test('Retry-After: 0 is a time, and a short one', () => {
  expect(gateWith(0.5).block(refusal(0), 1_000)).toBe(1_100)
})

test.each([
  [undefined, false],
  [Number.NaN, false],
  [-1, false],
  [Infinity, false],
  [0, true],
  [86_400_000, true],
])('%s is a time that can be waited for: %s', (value, expected) => {
  expect(isDuration(value)).toBe(expected)
})

const day = 86_400_000
const obeyed = gateSettings.obeyedMs
const sized = (tokens: number) => ({ messages: [{ role: 'user' as const, content: 'x'.repeat(tokens * 4) }] })

test('F20: during a time beyond a quarter of an hour one call looks each time that has passed', () => {
  const gate = gateWith(0)
  expect(gate.block(refusal(day), 0)).toBe(day)
  for (let look = 1; look < 90; look += 1) {
    expect([gate.blockedUntil(look * obeyed - 1), gate.needsProbe(look * obeyed - 1)]).toEqual([look * obeyed, false])
    expect(gate.needsProbe(look * obeyed)).toBe(true)
    const trial = gate.takeProbe(look * obeyed)
    expect(gate.takeProbe(look * obeyed)).toBeUndefined()
    gate.block(refusal(day - look * obeyed), look * obeyed)
    trial!.end('bad', look * obeyed)
  }
})

test('F20: whatever is refused when, calls that look are a quarter of an hour apart, and no short time is cut', () => {
  const refusals = fc.array(fc.tuple(fc.nat(4 * obeyed), fc.nat(obeyed), fc.constantFrom('good', 'bad')), { minLength: 1 })
  fc.assert(
    fc.property(refusals, draw, (given, drawn) => {
      const gate = gateWith(drawn)
      let now = 0
      let notBefore = 0
      let longest = 0
      for (const [named, passed, verdict] of given) {
        gate.block(refusal(named), now)
        notBefore = Math.max(notBefore, now + Math.min(named, obeyed))
        longest = Math.max(longest, now + named)
        now += passed
        expect(gate.blockedUntil(now) > now || now >= notBefore).toBe(true)
        const trial = gate.takeProbe(now)
        if (trial === undefined) continue
        expect(now).toBeGreaterThanOrEqual(notBefore)
        if (verdict === 'bad') notBefore = Math.min(now + obeyed, longest)
        trial.end(verdict, now)
        if (verdict === 'good') expect(gate.isLong(now)).toBe(false)
      }
    }),
  )
})

test('F20: a look that was given up is made by the next call; one that was refused in the meantime is not', () => {
  const gate = gateWith(0)
  gate.block(refusal(day), 0)
  gate.takeProbe(obeyed)!.end('none', obeyed + 5)
  expect(gate.needsProbe(obeyed + 5)).toBe(true)
  const trial = gate.takeProbe(obeyed + 5)!
  gate.block(refusal(day), obeyed + 6)
  trial.end('good', obeyed + 7)
  expect(gate.isLong(obeyed + 8)).toBe(true)
  expect(gate.needsProbe(obeyed + 8)).toBe(false)
})

test('F20: a request of at most half the size of the refused one may go during a long time, and during no short one', () => {
  const gate = gateWith(0)
  gate.block(refusal(day), 0, 1_000)
  expect(gate.blockedUntil(1, sized(500))).toBeLessThanOrEqual(1)
  expect(gate.blockedUntil(1, sized(501))).toBe(obeyed)
  expect(gate.blockedUntil(1, { ...sized(300), maxOutputTokens: 201 })).toBe(obeyed)
  expect(gate.blockedUntil(1)).toBe(obeyed)
  gate.block(refusal(day), 2, 400)
  expect(gate.blockedUntil(3, sized(201))).toBeGreaterThan(3)
  expect(gate.blockedUntil(3, sized(200))).toBeLessThanOrEqual(3)
  gate.block(refusal(5_000), 4, 1_000)
  expect(gate.blockedUntil(5, sized(1))).toBe(5_004)
})

test('F20: the smallest refused size of one long time counts, an unknown one changes nothing, and the next long time begins anew', () => {
  const gate = gateWith(0)
  for (const tokens of [1_000, 400, 2_000, undefined]) gate.block(refusal(day), 0, tokens)
  expect(gate.blockedUntil(1, sized(200))).toBeLessThanOrEqual(1)
  expect(gate.blockedUntil(1, sized(201))).toBe(obeyed)
  gate.block(refusal(day), day, 1_000)
  expect(gate.blockedUntil(day + 1, sized(500))).toBeLessThanOrEqual(day + 1)
  gate.block(refusal(day), 3 * day)
  expect(gate.blockedUntil(3 * day + 1, sized(1))).toBe(3 * day + obeyed)
  // the first size that becomes known counts
  gate.block(refusal(day), 3 * day, 100)
  expect(gate.blockedUntil(3 * day + 1, sized(50))).toBeLessThanOrEqual(3 * day + 1)
})

test('F20: exactly a quarter of an hour is obeyed to the letter, also where another process has spread it', () => {
  const gate = gateWith(0)
  gate.block(refusal(obeyed), 0)
  gate.blockUntil(obeyed * 1.09, refusal(), { now: 0 })
  expect([gate.isLong(0), gate.blockedUntil(0)]).toEqual([false, obeyed * 1.09])
  gate.blockUntil(obeyed * 1.11, refusal(), { now: 0 })
  expect(gate.isLong(0)).toBe(true)
  const later = gateWith(0)
  later.blockUntil(day + 60_000, refusal(), { now: day })
  expect([later.isLong(day), later.blockedUntil(day)], 'the length counts, not the hour').toEqual([false, day + 60_000])
  gate.block(refusal(day), 0)
  expect([gate.isLong(day - 1), gate.isLong(day), gate.needsProbe(day), gate.takeProbe(day)]).toEqual([
    true,
    false,
    false,
    undefined,
  ])
})

test('F20: a short time in a long one holds off the look, up to its end', () => {
  const gate = gateWith(0)
  gate.block(refusal(day), 0)
  gate.block(refusal(5_000), obeyed - 1)
  expect([gate.needsProbe(obeyed + 4_998), gate.takeProbe(obeyed + 4_998)]).toEqual([false, undefined])
  expect(gate.needsProbe(obeyed + 4_999)).toBe(true)
  expect(gate.takeProbe(obeyed + 4_999)).toBeDefined()
})

test('of two equal times the first keeps its reason', () => {
  const gate = gateWith(0)
  gate.block({ reason: 'overloaded', message: 'first', retryAfterMs: 1_000 }, 0)
  gate.block({ reason: 'rate-limit', message: 'second', retryAfterMs: 1_000 }, 0)
  expect(gate.cause().message).toBe('first')
})

test('F10: refusals in a row without a time are waited for longer each time, up to what the kind of limit says', () => {
  const gate = gateWith(1)
  const perMinute = { ...refusal(), atMostMs: 60_000 }
  const waits: number[] = []
  let now = 0
  for (let count = 0; count < 8; count += 1) {
    const until = gate.block(perMinute, now)
    // one that was under way is no second one
    gate.block(perMinute, now + 1)
    waits.push(until - now)
    now = gate.blockedUntil(now)
  }
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  gate.answered()
  expect(gate.block(perMinute, now) - now).toBe(1_000)
  expect(gate.block(refusal(), now + 5_000) - now - 5_000).toBe(1_000)
})
