import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBreaker } from '../../../src/health/breaker.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import { seeded } from '../../helpers/random.ts'

const settings = loadFirst.breaker
const hourMs = 3_600_000

type Day = {
  /** Calls a second, as a Poisson process. */
  readonly rate: number
  /** The share of calls that fail from the start on, after a hundred healthy ones. */
  readonly share: number
  readonly forMs: number
  readonly seed: number
}

/** When it first opened after the failures began, and how often it opened after it had been closed. */
function live({ rate, share, forMs, seed }: Day): { readonly openedAfterMs: number; readonly openings: number } {
  const random = seeded(seed)
  let openings = 0
  let openedAt = Infinity
  let wasClosed = true
  const breaker = createBreaker({
    settings,
    random,
    onChange({ state, now }) {
      if (state === 'open' && wasClosed) {
        openings += 1
        openedAt = Math.min(openedAt, now)
      }
      if (state !== 'half-open') wasClosed = state === 'closed'
    },
  })
  let now = 0
  const call = (failing: number) => {
    now -= (Math.log(1 - random()) * 1_000) / rate
    const permit = breaker.enter(now)
    if (permit === undefined) return
    if (random() < failing) breaker.fail(permit, { reason: 'overloaded', message: '' }, now)
    else breaker.succeed(permit, now)
  }
  for (let count = 0; count < 100; count += 1) call(0)
  const begin = now
  while (now - begin < forMs && (share < 1 || openings === 0)) call(share)
  return { openedAfterMs: openedAt - begin, openings }
}

const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const seeds = (count: number) => Array.from({ length: count }, (_, index) => 100 + index)

/** Calls a second; how many hours are lived through, so that each row costs about the same. */
const rates = [
  [0.05, 20],
  [0.2, 20],
  [0.5, 20],
  [1, 20],
  [2, 10],
  [5, 5],
  [10, 4],
  [20, 2],
  [100, 1],
  [500, 0.25],
] as const

test.each(rates)('at %d calls a second a brownout of 30 percent opens it less than once an hour', (rate, hours) => {
  const runs = seeds(Math.max(1, hours)).map(
    seed => live({ rate, share: 0.3, forMs: Math.min(1, hours) * hourMs, seed }).openings,
  )
  expect(average(runs) / Math.min(1, hours)).toBeLessThan(1)
})

test.each(rates)('at %d calls a second 5 percent of failures open it in an hour of four at most', (rate, hours) => {
  const runs = seeds(Math.max(1, Math.floor(hours / 4))).map(
    seed => live({ rate, share: 0.05, forMs: Math.min(1, hours) * hourMs, seed }).openings,
  )
  expect(average(runs)).toBeLessThanOrEqual(0.25)
})

/** Three calls where they are rare, three seconds where they are not: the median, and the longest of twenty days. */
test.each([
  [0.05, 75_000, 300_000],
  [0.2, 20_000, 45_000],
  [0.5, 8_000, 18_000],
  [1, 4_000, 8_000],
  [2, 4_000, 7_000],
  [5, 3_500, 5_000],
  [10, 3_500, 5_000],
  [20, 3_500, 5_000],
  [100, 1_500, 3_000],
  [500, 500, 1_000],
])(
  'at %d calls a second an outage opens it within %d ms mostly, and within %d on each of twenty days',
  (rate, medianMs, longestMs) => {
    const times = seeds(20).map(seed => live({ rate, share: 1, forMs: hourMs, seed }).openedAfterMs)
    const sorted = times.toSorted((a, b) => a - b)
    expect(sorted[10]).toBeLessThanOrEqual(medianMs)
    expect(sorted.at(-1)).toBeLessThanOrEqual(longestMs)
  },
)

test.each([0.2, 1, 5, 20, 100])(
  'at %d calls a second 80 percent of failures open it within 20 calls or 5 seconds, more or less',
  rate => {
    const times = seeds(20).map(seed => live({ rate, share: 0.8, forMs: hourMs, seed }).openedAfterMs)
    expect(times.toSorted((a, b) => a - b)[10]).toBeLessThanOrEqual(Math.max(5_000, 20_000 / rate))
  },
)

// ---- adversarial sequences

test('no past, however its failures were clustered, keeps an outage from opening it (R138)', () => {
  const cluster = fc.record({ failures: fc.nat(9), successes: fc.nat(40), gapMs: fc.constantFrom(5, 50, 400, 3_000) })
  fc.assert(
    fc.property(fc.array(cluster, { maxLength: 30 }), fc.constantFrom(5, 50, 400, 3_000), fc.integer(), (past, gapMs, seed) => {
      const breaker = createBreaker({ settings, random: seeded(seed), onChange: () => {} })
      let now = 0
      const call = (isFailure: boolean): boolean => {
        const permit = breaker.enter(now)
        if (permit === undefined) return false
        if (isFailure) breaker.fail(permit, { reason: 'overloaded', message: '' }, now)
        else breaker.succeed(permit, now)
        return true
      }
      for (const { failures, successes, gapMs: pastGapMs } of past) {
        for (let count = 0; count < failures + successes; count += 1) {
          now += pastGapMs
          call(count < failures)
        }
      }
      const outageAt = now
      let failed = 0
      while (breaker.state(now) === 'closed') {
        now += gapMs
        if (call(true)) failed += 1
        // Twenty calls, or the whole window where calls are many.
        expect(failed <= 20 || now - outageAt <= settings.windowMs + gapMs, `${failed} failures in ${now - outageAt} ms`).toBe(
          true,
        )
      }
    }),
    { numRuns: 200 },
  )
})

test('a target that fails two calls and answers one for ever is left (R138)', () => {
  const breaker = createBreaker({ settings, random: () => 0.5, onChange: () => {} })
  let now = 0
  let sent = 0
  for (; breaker.state(now) === 'closed' && sent < 100; sent += 1) {
    now += 1_000
    const permit = breaker.enter(now)!
    if (sent % 3 === 0) breaker.succeed(permit, now)
    else breaker.fail(permit, { reason: 'overloaded', message: '' }, now)
  }
  expect(sent).toBeLessThanOrEqual(20)
})

test('a flood of successes that began before the outage does not hide it (R138)', () => {
  const breaker = createBreaker({ settings, random: () => 0.5, onChange: () => {} })
  let sent = 0
  let now = 0
  for (; breaker.state(now) === 'closed' && now < 60_000; now += 10) {
    const permit = breaker.enter(now)!
    if (now < 30_000) breaker.succeed(permit, now)
    else {
      breaker.fail(permit, { reason: 'overloaded', message: '' }, now)
      sent += 1
    }
  }
  expect(sent).toBeLessThanOrEqual(300)
})

test('a target that always breaks off after its first content is left, however many calls overlap (R105, R138)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.constantFrom(20, 200, 2_000), (overlap, gapMs) => {
      const breaker = createBreaker({ settings, random: () => 0.5, onChange: () => {} })
      const streaming: { fail(now: number): void }[] = []
      let now = 0
      let calls = 0
      for (; breaker.state(now) === 'closed'; calls += 1) {
        now += gapMs
        const permit = breaker.enter(now)!
        breaker.succeed(permit, now)
        streaming.push({ fail: at => breaker.fail(permit, { reason: 'truncated', message: '' }, at) })
        if (streaming.length > overlap) streaming.shift()!.fail(now)
        expect(calls).toBeLessThan(overlap + 300)
      }
    }),
  )
})
