import { expect } from 'vitest'
import { createClient, openai, type Price } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'
import { test } from '../helpers/vitest.ts'

const usage = { inputTokens: 1_000_000, cachedInputTokens: 0, outputTokens: 0 }
const price: Price = {
  input: 1,
  cachedInput: 0.1,
  output: 1,
  rules: [{ hoursUtc: [1, 4], weekdays: [1, 2, 3, 4, 5], input: 2, output: 2 }],
}

/** A call that begins at this moment, of an answer that takes so long. */
async function ask(startAt: string, { takesMs = 0, ...options }: { takesMs?: number; price?: Price; cached?: number } = {}) {
  const clock = fakeClock({ startAtMs: Date.parse(startAt) })
  const said = { text: 'Hi.', usage: { ...usage, cachedInputTokens: options.cached ?? 0 }, firstChunkAfterMs: takesMs }
  const client = createClient({ chain: [fakeTarget(said, { price: options.price ?? price })], hedge: false, clock })
  const { cost, costIsUpperBound, costs, attempts } = await clock.until(client.generate('Hi'))
  return { cost, costIsUpperBound, answered: costs.answered, record: attempts.map(one => [one.cost, one.costIsUpperBound]) }
}

test('the hour at which the attempt begins decides', async () => {
  expect(await ask('2026-11-30T02:00:00Z')).toEqual({ cost: 2, costIsUpperBound: false, answered: 2, record: [[2, false]] })
  expect(await ask('2026-11-30T12:00:00Z')).toEqual({ cost: 1, costIsUpperBound: false, answered: 1, record: [[1, false]] })
})

test('across a boundary, and without a price for cached tokens, it is the dearer, and an upper bound, on result and record', async () => {
  const across = { cost: 2, costIsUpperBound: true, answered: 2, record: [[2, true]] }
  expect(await ask('2026-11-30T00:59:55Z', { takesMs: 10_000 })).toEqual(across)
  expect(await ask('2026-11-30T03:59:55Z', { takesMs: 10_000 })).toEqual(across)
  const uncached = { input: 1, output: 1 }
  const guessed = { cost: 1, costIsUpperBound: true, answered: 1, record: [[1, true]] }
  expect(await ask('2026-11-30T12:00:00Z', { price: uncached, cached: 5 })).toEqual(guessed)
})

test('a retry on the other side of a boundary has its own price', async () => {
  const clock = fakeClock({ startAtMs: Date.parse('2026-11-30T03:59:50Z') })
  const broken = { text: 'Hi.', usage, firstChunkAfterMs: 1_000 }
  const target = fakeTarget(
    [
      { ...broken, text: '' },
      { ...broken, firstChunkAfterMs: 0 },
    ],
    { price },
  )
  const second = fakeTarget({ ...broken, firstChunkAfterMs: 0 }, { price, name: 'second' })
  const client = createClient({ chain: [target, second], hedge: false, clock })
  const { attempts } = await clock.until(client.generate('Hi'))
  expect(attempts.at(-1)).toMatchObject({ outcome: 'answered', cost: 2, costIsUpperBound: false })
})

test('a client without a clock of its own reads the time of day of the machine', async () => {
  const now = new Date().getUTCHours() + new Date().getUTCMinutes() / 60
  const around = [(now + 23) % 24, (now + 1) % 24] as const
  const target = fakeTarget({ text: 'Hi.', usage }, { price: { ...price, rules: [{ hoursUtc: around, input: 3, output: 3 }] } })
  expect((await createClient({ chain: [target] }).generate('Hi')).cost).toBe(3)
  // and so does one with a clock that knows no date
  const { now: monotonic, setTimeout, clearTimeout } = fakeClock()
  const other = createClient({ chain: [target], clock: { now: monotonic, setTimeout, clearTimeout } })
  expect((await other.generate('Hi')).cost).toBe(3)
})

test('wrong prices are a TypeError that says what to write, before anything is sent', () => {
  const wrong: readonly [unknown, string][] = [
    [{ input: 1 }, 'openai: price must have input and output'],
    [{ input: 1, output: 1, rules: {} }, 'openai: price: rules must be a list, not an object.'],
    [{ input: 1, output: 1, rules: [{ hoursUtc: [1, 4] }] }, 'rules[0] must have input and output'],
    [
      { input: 1, output: 1, rules: [{ hour: [1, 4], input: 1, output: 1 }] },
      "price: rules[0]: there is no option 'hour'. Write one of input",
    ],
    [{ input: 1, output: 1, rules: [{ hoursUtc: [1, 25], input: 1, output: 1 }] }, 'two different hours from 0 to 24'],
    [{ input: 1, output: 1, rules: [{ hoursUtc: [4, 4], input: 1, output: 1 }] }, 'two different hours'],
    [{ input: 1, output: 1, rules: [{ hoursUtc: [24, 0], input: 1, output: 1 }] }, 'two different hours'],
    [
      { input: 1, output: 1, rules: [{ from: '2026-12-01', until: '2026-12-01T00:00:00Z', input: 1, output: 1 }] },
      'rules[0]: until must be later than from',
    ],
    [{ input: 1, output: 1, rules: [{ hoursUtc: 4, input: 1, output: 1 }] }, 'not 4'],
    [{ input: 1, output: 1, rules: [{ weekdays: ['monday'], input: 1, output: 1 }] }, '0 is Sunday'],
    [{ input: 1, output: 1, rules: [{ weekdays: [7], input: 1, output: 1 }] }, '0 is Sunday'],
    [
      { input: 1, output: 1, rules: [{ from: '2026-08-16T16:00', input: 1, output: 1 }] },
      "a date with a time zone, for example '2026",
    ],
    [{ input: 1, output: 1, rules: [{ until: new Date(), input: 1, output: 1 }] }, 'a date with a time zone'],
    [{ input: 1, output: 1, rules: [{ mayNotHoldOn: ['12-30'], input: 1, output: 1 }] }, 'the first and the last day'],
    [{ input: 1, output: 1, rules: [{ mayNotHoldOn: [['13-30', '01-01']], input: 1, output: 1 }] }, 'the first and the last day'],
    [{ input: 1, output: 1, rules: [{ aboveInputTokens: -1, input: 1, output: 1 }] }, 'a whole number, 0 or more'],
    [{ input: 1, output: 1, rules: [{ input: 1, output: -1 }] }, 'US dollars per million tokens'],
  ]
  for (const [given, message] of wrong) expect(() => openai({ price: given as Price })).toThrow(message)
  for (const given of [
    price,
    { input: 0, output: 0 },
    { input: 1, output: 1, rules: [{ from: '2026-08-16', input: 1, output: 1 }] },
  ]) {
    expect(() => openai({ price: given })).not.toThrow()
  }
  expect(() => createClient({ chain: [fakeTarget('Hi.')], clock: { ...fakeClock(), date: 5 as never } })).toThrow(
    'clock.date must be a function',
  )
})
