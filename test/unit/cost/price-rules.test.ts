import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Price, PriceRule } from '../../../src/contract-targets.ts'
import { billOf } from '../../../src/cost.ts'
import { worstCostOf } from '../../../src/cost-estimate.ts'
import { dearestOf, ratesOf } from '../../../src/cost/price-rules.ts'
import { prices } from '../../../src/providers/prices.ts'

const million = 1_000_000
const low = { input: 1, output: 1 }
const high = { input: 2, output: 2 }

const at = (moment: string) => Date.parse(moment)
const during = (start: string, end = start) => ({ startedAt: at(start), endedAt: at(end) })

/** What of a rule's price and the price beside it may count for a request of one moment. */
function inputsOf(rule: Omit<PriceRule, 'input' | 'output'>, start: string, end = start): readonly number[] {
  return ratesOf({ ...low, rules: [{ ...rule, ...high }] }, 0, during(start, end)).map(({ input }) => input)
}

test.for<[string, Omit<PriceRule, 'input' | 'output'>, string, number]>([
  ['the first minute of an hour', { hoursUtc: [1, 4] }, '2026-11-30T01:00:00Z', 2],
  ['the last moment before it', { hoursUtc: [1, 4] }, '2026-11-30T00:59:59.999Z', 1],
  ['the last moment of it', { hoursUtc: [1, 4] }, '2026-11-30T03:59:59.999Z', 2],
  ['its end', { hoursUtc: [1, 4] }, '2026-11-30T04:00:00Z', 1],
  ['half hours', { hoursUtc: [1.5, 2] }, '2026-11-30T01:30:00Z', 2],
  ['over midnight, late', { hoursUtc: [22, 6] }, '2026-11-30T23:00:00Z', 2],
  ['over midnight, early', { hoursUtc: [22, 6] }, '2026-11-30T05:59:00Z', 2],
  ['over midnight, at noon', { hoursUtc: [22, 6] }, '2026-11-30T12:00:00Z', 1],
  ['the whole day', { hoursUtc: [0, 24] }, '2026-11-30T23:59:59Z', 2],
  ['a Monday', { weekdays: [1] }, '2026-11-30T00:00:00Z', 2],
  ['a Sunday', { weekdays: [0] }, '2026-11-29T23:59:00Z', 2],
  ['no Sunday', { weekdays: [1, 2, 3, 4, 5, 6] }, '2026-11-29T23:59:00Z', 1],
  ['a Thursday before 1970 was over', { weekdays: [4] }, '1970-01-01T00:00:00Z', 2],
  ['from a moment on', { from: '2026-08-16T16:00:00Z' }, '2026-08-16T16:00:00Z', 2],
  ['before it', { from: '2026-08-16T16:00:00Z' }, '2026-08-16T15:59:59Z', 1],
  ['until a moment', { until: '2026-08-16T16:00:00Z' }, '2026-08-16T15:59:59Z', 2],
  ['at that moment', { until: '2026-08-16T16:00:00Z' }, '2026-08-16T16:00:00Z', 1],
  ['both conditions, of which one fails', { hoursUtc: [1, 4], weekdays: [0] }, '2026-11-30T02:00:00Z', 1],
])('a rule: %s', ([, rule, moment, input]) => {
  expect(inputsOf(rule, moment)).toEqual([input])
})

test('the first rule that fits is taken, and the price beside the rules when none does', () => {
  const rules = [
    { aboveInputTokens: 100, input: 3, output: 3 },
    { hoursUtc: [0, 12] as const, input: 2, output: 2 },
    { hoursUtc: [0, 24] as const, input: 9, output: 9, until: '2026-01-01' },
  ]
  const of = (tokens: number, moment: string) => ratesOf({ ...low, rules }, tokens, during(moment)).map(({ input }) => input)
  expect(of(101, '2026-11-30T01:00:00Z')).toEqual([3])
  expect(of(100, '2026-11-30T01:00:00Z')).toEqual([2])
  expect(of(100, '2026-11-30T13:00:00Z')).toEqual([1])
})

test('across a boundary the dearer counts, whichever came first, and it is an upper bound', () => {
  const rule = { hoursUtc: [1, 4] as const }
  const usage = { inputTokens: million, outputTokens: 0 }
  const bill = (start: string, end: string) => billOf({ ...low, rules: [{ ...rule, ...high }] }, usage, during(start, end))
  expect(bill('2026-11-30T00:59:00Z', '2026-11-30T01:01:00Z')).toEqual({ dollars: 2, isUpperBound: true })
  expect(bill('2026-11-30T03:59:00Z', '2026-11-30T04:01:00Z')).toEqual({ dollars: 2, isUpperBound: true })
  expect(bill('2026-11-30T01:00:00Z', '2026-11-30T03:59:00Z')).toEqual({ dollars: 2, isUpperBound: false })
  // a peak that lies wholly inside
  expect(bill('2026-11-30T00:30:00Z', '2026-11-30T05:30:00Z')).toEqual({ dollars: 2, isUpperBound: true })
  // over midnight into another weekday
  expect(new Set(inputsOf({ weekdays: [1] }, '2026-11-30T23:59:00Z', '2026-12-01T00:01:00Z'))).toEqual(new Set([1, 2]))
})

test('on a day that may be a holiday both may hold: the dearer counts, and it is an upper bound', () => {
  const rule: PriceRule = {
    mayNotHoldOn: [
      ['12-30', '01-03'],
      ['05-01', '05-05'],
    ],
    ...high,
  }
  const bill = (moment: string) => billOf({ ...low, rules: [rule] }, { inputTokens: million, outputTokens: 0 }, during(moment))
  for (const day of ['2026-12-30', '2026-12-31', '2027-01-03', '2026-05-01', '2026-05-05']) {
    expect(bill(`${day}T02:00:00Z`)).toEqual({ dollars: 2, isUpperBound: true })
  }
  for (const day of ['2026-12-29', '2027-01-04', '2026-04-30', '2026-05-06'])
    expect(bill(`${day}T02:00:00Z`)).toEqual({ dollars: 2, isUpperBound: false })
})

test('tokens of the cache without a price of their own cost what the others do, and that is an upper bound', () => {
  const cached = { inputTokens: million, cachedInputTokens: 10, outputTokens: 0 }
  expect(billOf(low, cached)).toEqual({ dollars: 1, isUpperBound: true })
  expect(billOf(low, { inputTokens: million, cachedInputTokens: 0, outputTokens: 0 })).toEqual({
    dollars: 1,
    isUpperBound: false,
  })
  expect(billOf(low, { inputTokens: million, outputTokens: 0 })).toEqual({ dollars: 1, isUpperBound: false })
  expect(billOf({ ...low, cachedInput: 1 }, cached)).toEqual({ dollars: 1, isUpperBound: false })
})

test('what is free at one hour is not free at all', () => {
  const night: Price = { input: 0, output: 0, rules: [{ hoursUtc: [8, 20], ...high }] }
  const usage = { inputTokens: million, outputTokens: 0 }
  expect(billOf(night, usage, during('2026-11-30T09:00:00Z')).dollars).toBe(2)
  expect(billOf(night, usage, during('2026-11-30T21:00:00Z')).dollars).toBe(0)
  expect(billOf(night, undefined, during('2026-11-30T21:00:00Z')).dollars).toBeUndefined()
})

test("DeepSeek's price doubles at peak hours from Monday to Friday, but for days that may be a holiday in China", () => {
  const usage = { inputTokens: million, cachedInputTokens: 400_000, outputTokens: million }
  const bill = (model: string, moment: string) => billOf(prices[model], usage, during(moment))
  const flash = 0.6 * 0.15 + 0.4 * 0.003 + 0.6
  const near = (dollars: number, isUpperBound = false) => ({ dollars: expect.closeTo(dollars, 9) as number, isUpperBound })
  // a Monday in November, a Sunday, and the day before peak prices began
  for (const moment of ['T01:00:00Z', 'T03:59:59Z', 'T06:00:00Z', 'T09:59:59Z']) {
    expect(bill('deepseek-flash', `2026-11-30${moment}`)).toEqual(near(2 * flash))
    expect(bill('deepseek-flash', `2026-11-29${moment}`)).toEqual(near(flash))
    expect(bill('deepseek-flash', `2026-08-14${moment}`)).toEqual(near(flash))
    // National Day, and a Friday in the weeks of the Spring Festival
    expect(bill('deepseek-flash', `2026-10-01${moment}`)).toEqual(near(2 * flash, true))
    expect(bill('deepseek-flash', `2027-02-12${moment}`)).toEqual(near(2 * flash, true))
  }
  for (const moment of ['T00:59:59Z', 'T04:00:00Z', 'T05:59:59Z', 'T10:00:00Z', 'T23:00:00Z'])
    expect(bill('deepseek-flash', `2026-11-30${moment}`)).toEqual(near(flash))
  expect(bill('deepseek-v4-pro', '2026-11-30T02:00:00Z')).toEqual(near(2 * (0.6 * 0.66 + 0.4 * 0.022 + 1.98)))
})

test("OpenAI's price rises above 272,000 tokens of input, for the whole request", () => {
  const bill = (inputTokens: number) =>
    billOf(
      prices['gpt-6.1-sol'],
      { inputTokens, cachedInputTokens: 100_000, outputTokens: 1_000 },
      during('2026-11-30T02:00:00Z'),
    )
  expect(bill(272_000).dollars).toBeCloseTo((172_000 * 2 + 100_000 * 0.1 + 1_000 * 10) / million, 9)
  expect(bill(272_001).dollars).toBeCloseTo((172_001 * 4 + 100_000 * 0.2 + 1_000 * 15) / million, 9)
})

const rule = fc.record(
  {
    hoursUtc: fc.tuple(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 0, max: 24 })),
    weekdays: fc.subarray([0, 1, 2, 3, 4, 5, 6], { minLength: 1 }),
    aboveInputTokens: fc.nat(1_000),
    mayNotHoldOn: fc.constant([
      ['12-30', '01-03'],
      ['05-01', '06-20'],
    ] as const),
    input: fc.nat(20),
    cachedInput: fc.nat(20),
    output: fc.nat(20),
  },
  { requiredKeys: ['input', 'output'] },
)

test('a longer request is never cheaper, a bill never above the dearest price, and never below what any moment of it costs', () => {
  const moment = fc.integer({ min: at('2026-01-01'), max: at('2027-12-31') })
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 4 }),
      moment,
      fc.nat(3 * 86_400_000),
      fc.nat(2_000),
      (rules, startedAt, forMs, tokens) => {
        const price: Price = { input: 5, cachedInput: 1, output: 7, rules }
        const usage = { inputTokens: tokens, cachedInputTokens: Math.floor(tokens / 3), outputTokens: 10 }
        const whole = billOf(price, usage, { startedAt, endedAt: startedAt + forMs })
        const middle = startedAt + Math.floor(forMs / 2)
        for (const one of [startedAt, middle, startedAt + forMs]) {
          const then = billOf(price, usage, { startedAt: one, endedAt: one })
          expect(whole.dollars).toBeGreaterThanOrEqual(then.dollars!)
          if (!whole.isUpperBound) expect(then.dollars).toBe(whole.dollars)
        }
        const dearest = dearestOf(price, tokens)
        expect(whole.dollars).toBeLessThanOrEqual((tokens * dearest.input + 10 * dearest.output) / million + 1e-12)
      },
    ),
  )
})

test('the worst cost is that of the dearest hour, and of a rule for large requests only where this one is large', () => {
  const call = (words: number) => ({
    model: 'm',
    messages: [{ role: 'user' as const, content: 'abc'.repeat(words) }],
    metadata: {},
  })
  const hourly: Price = { ...low, rules: [{ hoursUtc: [1, 4], ...high }] }
  expect(worstCostOf(hourly, call(10))).toBe(worstCostOf(high, call(10)))
  const large: Price = { ...low, rules: [{ aboveInputTokens: 1_000, ...high }] }
  expect(worstCostOf(large, call(10))).toBe(worstCostOf(low, call(10)))
  expect(worstCostOf(large, call(2_000))).toBe(worstCostOf(high, call(2_000)))
})
