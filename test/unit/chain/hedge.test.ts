import { expect } from 'vitest'
import { createHedge, startLateTimer, stopLateTimer } from '../../../src/chain/hedge.ts'
import type { ChainTarget, Leg, Walk } from '../../../src/chain/state.ts'
import { defaults } from '../../../src/options.ts'
import { resolveCall } from '../../../src/prepare-call.ts'
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

test('the p98 of a target counts from its 20th sample on', () => {
  const hedge = createHedge(defaults.hedge)
  const after = (samples: number) =>
    hedge.lateAfterMs({ firstChunk: () => ({ p50: 1, p98: 9_000, p99: 9_000, samples }) } as ChainTarget['health'])
  expect([after(19), after(20)]).toEqual([2 * defaults.hedge.leastMs, 9_000])
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

/** A queued request, with what its walk is told, and how often its target's permit was told that it is late. */
function queuedOne(clock: FakeClock, { others = [], candidates = 2, running = {} }: QueuedOptions) {
  const told: unknown[] = []
  let lates = 0
  const legs: unknown[] = [...others]
  const walk = {
    ...{ hedge: createHedge(defaults.hedge), clock, legs, candidates: Array.from({ length: candidates }), late: undefined },
    signal: { onNews: () => told.push(walk.late) },
  } as unknown as Walk
  const leg = {
    candidate: { target: { health: { firstChunk: () => ({ p50: 1, p98: 30_000, p99: 30_000, samples: 100 }) } } },
    running: running && { wasQueued: true, chunks: 0, options: { permit: { late: () => (lates += 1) } }, ...running },
  } as unknown as Leg
  legs.push(leg)
  startLateTimer(walk, leg)
  return { told, lates: () => lates, stop: () => stopLateTimer(walk, leg) }
}

type QueuedOptions = {
  readonly others?: readonly Partial<Leg>[]
  readonly candidates?: number
  readonly running?: { readonly chunks?: number } | undefined
}

test('a request that stays queued is late for its target; a second one is asked for only while nobody else answers', async ({
  clock,
}) => {
  const of = (options: QueuedOptions) => queuedOne(clock, options)
  const alone = [
    of({}),
    of({ others: [{ kind: 'probe' }] }),
    of({ others: [{ kind: 'first', end: { type: 'abandoned' } } as never] }),
  ]
  const beside = of({ others: [{ kind: 'first' }] })
  const begun = of({ running: { chunks: 1 } })
  const gone = queuedOne(clock, { running: null as never })
  await clock.advance(8_000)
  for (const { told, lates } of alone) expect([told, lates()]).toEqual([['queued'], 1])
  expect([beside.told, beside.lates()]).toEqual([[], 1])
  expect([begun.told, begun.lates(), gone.told]).toEqual([[], 0, []])
  for (const { stop } of [...alone, beside, begun, gone]) stop()
  expect(clock.pending()).toBe(0)
})

test('where there is one target only, nothing is late', async ({ clock }) => {
  const { told, stop } = queuedOne(clock, { candidates: 1 })
  expect(clock.pending()).toBe(0)
  stop()
  await clock.advance(60_000)
  expect(told).toEqual([])
})

test('a hedge to a target without a price is forbidden where the settings say so, and its prompt is counted as nothing', () => {
  const hedge = createHedge({ ...defaults.hedge, unpriced: false })
  expect(hedge.take(priced(undefined), 'first-chunk')).toBe(false)
  expect(hedge.take(priced(1), 'first-chunk')).toBe(true)
  const free = createHedge({ ...defaults.hedge, budget: 1 })
  free.lost(call, priced(undefined))
  expect(free.take(priced(1), 'first-chunk')).toBe(true)
})

test('the prompt of a loser is weighed by its price', () => {
  const take = (price: number, paid: number) => {
    const hedge = createHedge({ ...defaults.hedge, budget: 1, spend: 0.05 })
    hedge.lost(call, priced(price))
    hedge.paid(paid)
    return hedge.take(priced(price), 'first-chunk')
  }
  // 1,000 tokens at 10 dollars per million are a cent, which is a twentieth of 20 cents
  expect([take(10, 0.21), take(10, 0.19), take(0.1, 0.0021), take(0.1, 0.0019)]).toEqual([true, false, true, false])
})

test('the prompt of a loser is as long in parts as in one text', () => {
  const hedge = createHedge({ ...defaults.hedge, budget: 1, spend: 0.05 })
  const content = [{ type: 'text', text: 'x'.repeat(4_000) }] as const
  hedge.lost({ ...call, messages: [{ role: 'user', content }] }, priced(10))
  hedge.paid(0.19)
  expect(hedge.take(priced(10), 'first-chunk')).toBe(false)
})
