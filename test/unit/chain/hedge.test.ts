import { expect } from 'vitest'
import { createHedge, startLateTimer, stopLateTimer } from '../../../src/chain/hedge.ts'
import type { ChainTarget, Leg, Walk } from '../../../src/chain/state.ts'
import { resolveCall, defaults } from '../../../src/options.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const call = resolveCall({ prompt: 'x'.repeat(4_000) })
const priced = (input: number | undefined) => ({ price: input === undefined ? undefined : { input, output: 1 } }) as ChainTarget

test('a second request is taken from tokens that calls earn, up to a burst of five', () => {
  const hedge = createHedge({ ...defaults.hedge, spend: Infinity })
  hedge.paid(1)
  const take = () => hedge.take(priced(0), 'first-chunk')
  expect([take(), take()]).toEqual([true, false])
  for (let count = 0; count < 51; count += 1) hedge.called()
  expect([take(), take()]).toEqual([true, false])
  for (let count = 0; count < 10_000; count += 1) hedge.called()
  expect(Array.from({ length: 6 }, take)).toEqual([true, true, true, true, true, false])
})

test('what losers read is weighed against what answers cost, where prices are known', () => {
  const hedge = createHedge({ ...defaults.hedge, budget: 1 })
  const take = () => {
    hedge.called()
    const taken = hedge.take(priced(1), 'first-chunk')
    if (taken) hedge.lost(call, priced(1))
    return taken
  }
  // 1,000 tokens at a dollar per million: a tenth of a cent, and a twentieth of what was paid may be wasted
  expect(take()).toBe(true)
  expect(take()).toBe(false)
  hedge.paid(0.02)
  expect(take()).toBe(true)
  expect(take()).toBe(false)
})

test('a queued request may always have a second one beside it; where the price is unknown, within the budget of calls (F76)', () => {
  const hedge = createHedge({ ...defaults.hedge, budget: 0, spend: 0 })
  expect(Array.from({ length: 9 }, () => hedge.take(priced(1), 'queued'))).not.toContain(false)
  const take = () => hedge.take(priced(undefined), 'queued')
  expect([take(), take()]).toEqual([true, false])
  expect(createHedge({ ...defaults.hedge, unpriced: false }).take(priced(undefined), 'queued')).toBe(false)
})

/** When it rings first for each kind of lateness. */
function late(clock: FakeClock, p98: number, isQueued: boolean) {
  const rung: string[] = []
  const legs: unknown[] = []
  const walk = {
    ...{ hedge: createHedge(defaults.hedge), clock, legs, candidates: [1, 2], late: undefined },
    signal: {
      onNews() {
        if (!rung.some(ring => ring.startsWith(String(walk.late)))) rung.push(`${walk.late} ${clock.now()}`)
      },
    },
  } as unknown as Walk
  const leg = {
    candidate: { target: { health: { firstChunk: () => ({ p50: 1, p98, p99: p98, samples: 100 }) } } },
    running: { wasQueued: isQueued, chunks: 0, options: { permit: { late() {} } } },
  } as unknown as Leg
  legs.push(leg)
  startLateTimer(walk, leg)
  return { rung, stop: () => stopLateTimer(walk, leg) }
}

test.for([
  [3_000, true, ['first-chunk 3000', 'queued 8000']],
  [3_000, false, ['first-chunk 3000']],
  [100, false, ['first-chunk 2000']],
  [12_000, true, ['queued 8000', 'first-chunk 12000']],
  [12_000, false, ['first-chunk 12000']],
] as const)('with a p98 of %i ms and queued %s it rings %j', async ([p98, isQueued, expected], { clock }) => {
  const { rung, stop } = late(clock, p98, isQueued)
  await clock.advance(20_000)
  expect(rung).toEqual(expected)
  stop()
  expect(clock.pending()).toBe(0)
})

test.for([1, 4_000, 9_000, 13_000])(
  'stopped after %i ms it never rings again and leaves no timer',
  async (stopAfterMs, { clock }) => {
    const both = [late(clock, 3_000, true), late(clock, 12_000, true)]
    await clock.advance(stopAfterMs)
    const before = both.map(({ rung }) => [...rung])
    for (const { stop } of both) stop()
    expect(clock.pending()).toBe(0)
    await clock.advance(60_000)
    expect(both.map(({ rung }) => rung)).toEqual(before)
  },
)
