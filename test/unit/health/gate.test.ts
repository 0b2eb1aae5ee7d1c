import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createGate, isDuration } from '../../../src/health/gate.ts'
import { loadFirst } from '../../../src/health/settings.ts'

const refusal = (retryAfterMs?: number) => ({ reason: 'rate-limit' as const, message: 'Slow down.', retryAfterMs })
const gateWith = (draw: number) => createGate(loadFirst.gate, () => draw)
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

test('is open until something shuts it', () => {
  expect(gateWith(0.5).openAt(1_000)).toBeLessThan(1_000)
})

test('obeys a named time of any length, stretched by at most a tenth or 200 ms (R92, R140)', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e12, noNaN: true }),
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      draw,
      (named, now, drawn) => {
        const until = gateWith(drawn).shut(refusal(named), now)
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
      const until = gateWith(drawn).shut(refusal(named), 5_000)
      expect(until).toBeGreaterThanOrEqual(5_500)
      expect(until).toBeLessThanOrEqual(6_000)
    }),
  )
})

test('of two times the later one stays, in whatever order they come (R99)', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3_600_000), fc.nat(10_000)), { minLength: 1 }), refusals => {
      const gate = gateWith(0)
      let now = 0
      let latest = 0
      for (const [named, passed] of refusals) {
        now += passed
        latest = Math.max(latest, now + named)
        gate.shut(refusal(named), now)
      }
      expect(gate.openAt(now)).toBe(latest)
    }),
  )
})

test('tells the reason of the refusal that holds, not of the last one', () => {
  const gate = gateWith(0)
  gate.shut({ reason: 'overloaded', message: 'The long one.', retryAfterMs: 60_000 }, 0)
  gate.shut({ reason: 'rate-limit', message: 'The short one.', retryAfterMs: 1_000 }, 10)
  expect(gate.why()).toEqual({ reason: 'overloaded', message: 'The long one.' })
})

test('Retry-After: 0 is a time, and a short one', () => {
  expect(gateWith(0.5).shut(refusal(0), 1_000)).toBe(1_100)
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
