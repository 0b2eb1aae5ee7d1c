import { createClient, type Price } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

// twice the price from 01:00 to 04:00 UTC, Monday to Friday; the first rule that fits is taken
const price: Price = {
  input: 0.15,
  cachedInput: 0.003,
  output: 0.6,
  rules: [{ hoursUtc: [1, 4], weekdays: [1, 2, 3, 4, 5], input: 0.3, cachedInput: 0.006, output: 1.2 }],
}
const usage = { inputTokens: 200_000, cachedInputTokens: 0, outputTokens: 100_000 }

for (const startAt of ['2026-11-30T12:00:00Z', '2026-11-30T02:00:00Z', '2026-11-30T00:59:50Z']) {
  const clock = fakeClock({ startAtMs: Date.parse(startAt) }) // a Monday
  const target = fakeTarget({ text: 'Hi.', usage, firstChunkAfterMs: 15_000 }, { price })
  const client = createClient({ chain: [target], clock })
  const { cost, costIsUpperBound } = await clock.until(client.generate('Hi.'))
  console.log(startAt, cost?.toFixed(2), costIsUpperBound ? 'at most: the price changed while it ran' : '')
}
//=> 2026-11-30T12:00:00Z 0.09
//=> 2026-11-30T02:00:00Z 0.18
//=> 2026-11-30T00:59:50Z 0.18 at most: the price changed while it ran
