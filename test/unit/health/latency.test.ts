import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLatency } from '../../../src/health/latency.ts'

test('is not known before the first sample', () => {
  expect(createLatency().quantiles()).toBeUndefined()
})

test('of the times 1 to 100 ms the median is 50, and 98 and 99 are what they say (R110)', () => {
  const latency = createLatency()
  for (let ms = 100; ms >= 1; ms -= 1) latency.add(ms)
  expect(latency.quantiles()).toEqual({ p50: 50, p98: 98, p99: 99, samples: 100 })
})

test('the last 400 samples count and no older one does (R139, R111)', () => {
  const latency = createLatency()
  for (let count = 0; count < 1_000; count += 1) latency.add(9_000)
  for (let count = 0; count < 400; count += 1) latency.add(100 + count)
  expect(latency.quantiles()).toEqual({ p50: 299, p98: 491, p99: 495, samples: 400 })
})

test('a quantile is always a time that was measured, and they are in order', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 900 }), times => {
      const latency = createLatency()
      for (const ms of times) latency.add(ms)
      const { p50, p98, p99, samples } = latency.quantiles()!
      for (const value of [p50, p98, p99]) expect(times).toContain(value)
      expect(p50).toBeLessThanOrEqual(p98)
      expect(p98).toBeLessThanOrEqual(p99)
      expect(samples).toBe(Math.min(400, times.length))
    }),
  )
})

test('garbage is no sample', () => {
  const latency = createLatency()
  for (const ms of [Number.NaN, -1, Infinity]) latency.add(ms)
  expect(latency.quantiles()).toBeUndefined()
})

test('is made up anew when a tenth of the samples is new, not at every question', () => {
  const latency = createLatency()
  for (let count = 0; count < 400; count += 1) latency.add(100)
  const before = latency.quantiles()
  for (let count = 0; count < 39; count += 1) latency.add(5_000)
  expect(latency.quantiles()).toBe(before)
  latency.add(5_000)
  expect(latency.quantiles()).toMatchObject({ p50: 100, p98: 5_000 })
})

test('a content is prompt up to three times the best median, also while a queue lengthens all of them', () => {
  const latency = createLatency()
  for (let count = 0; count < 400; count += 1) latency.add(1_000)
  expect([2_999, 3_000, 3_100].map(latency.isPrompt)).toEqual([true, true, false])
  for (let count = 0; count < 400; count += 1) latency.add(12_000)
  expect(latency.quantiles()?.p50).toBe(12_000)
  expect(latency.isPrompt(4_000)).toBe(false)
})

test('the best median is raised by a fiftieth with every new digest, because a target may have become slower for good', () => {
  const latency = createLatency()
  for (let count = 0; count < 400; count += 1) latency.add(1_000)
  expect(latency.isPrompt(3_001)).toBe(false)
  for (let digest = 0; digest < 20; digest += 1) {
    for (let count = 0; count < 40; count += 1) latency.add(12_000)
    latency.quantiles()
  }
  // the median itself has changed with the sixth digest
  const raised = 3_000 * 1.02 ** 15
  expect([raised - 1, raised + 1].map(latency.isPrompt)).toEqual([true, false])
})
