import { createClient, ProviderError } from 'unbusy'
import type { Provider, Target } from 'unbusy'
import { type FakeClock, type FakeReply, type FakeScript, fakeTarget, type FakeTargetOptions } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

const price = { input: 1, output: 2 }
const late: FakeReply = { text: 'late', firstChunkAfterMs: 15_000 }

function pair(clock: FakeClock, [first, second]: readonly [FakeScript, FakeScript], options: FakeTargetOptions = {}) {
  return [
    fakeTarget(first, { clock, price, name: 'first' }),
    fakeTarget(second, { clock, price, name: 'second', ...options }),
  ] as const
}

test('a first token that is late starts the next target beside it, and the first content wins', async ({ clock, events }) => {
  const chain = pair(clock, [late, 'quick'])
  const client = createClient({ chain, clock, onEvent: events.listener })
  const result = await clock.until(client.generate('Hi'))
  expect(result).toMatchObject({ text: 'quick', provider: 'second' })
  // a target that is not known well is late after twice the least time
  expect(events.of('attempt-start').map(({ kind, at }) => [kind, at])).toEqual([
    ['first', 0],
    ['hedge', 4_000],
  ])
  expect(chain[0].provider.calls[0]).toMatchObject({ outcome: 'aborted', endedAt: 4_000 })
})

test('the one that was first still wins when its content comes first, in a stream as well', async ({ clock }) => {
  const chain = pair(clock, [
    { text: ['one', ' answer'], firstChunkAfterMs: 5_000, chunkEveryMs: 3_000 },
    { text: 'never', firstChunkAfterMs: 2_000 },
  ])
  const client = createClient({ chain, clock })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.text())).toBe('one answer')
  expect(chain[1].provider.calls[0]?.outcome).toBe('aborted')
})

test('a target that is known is late after its p98, and not before', async ({ clock, events }) => {
  const chain = pair(clock, [
    (_, attempt) => (attempt > 30 ? late : { text: 'x', firstChunkAfterMs: attempt <= 3 ? 3_500 : 2_300 }),
    'quick',
  ])
  const client = createClient({ chain, clock, onEvent: events.listener })
  for (let call = 0; call < 30; call += 1) await clock.until(client.generate('Hi'))
  expect(events.of('attempt-start').filter(({ kind }) => kind === 'hedge')).toEqual([])
  const startedAt = clock.now()
  await clock.until(client.generate('Hi'))
  const hedge = events.of('attempt-start').find(({ kind }) => kind === 'hedge')
  expect((hedge?.at ?? 0) - startedAt).toBeGreaterThanOrEqual(3_400)
  expect((hedge?.at ?? 0) - startedAt).toBeLessThan(3_900)
})

test('a queue that is longer than the soft clock starts the next target without the budget, also beside a slow target', async ({
  clock,
  events,
}) => {
  const queued = { text: 'late', keepAliveForMs: 100_000 }
  for (const usualMs of [100, 12_000]) {
    const script: FakeScript = (_, attempt) => (attempt <= 25 ? { text: 'x', firstChunkAfterMs: usualMs } : queued)
    const chain = pair(clock, [script, 'quick'])
    const client = createClient({ chain, clock, hedge: { budget: 0, spend: 0 }, onEvent: events.listener })
    for (let call = 0; call < 25; call += 1) await clock.until(client.generate('Hi'))
    await clock.until(client.generate('Hi'))
    events.clear()
    const startedAt = clock.now()
    expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'quick' })
    expect(events.of('attempt-start').map(({ kind, at }) => [kind, at - startedAt])).toEqual([
      ['first', 0],
      ['hedge', 8_000],
    ])
  }
})

/** A provider that sends these events at once, and content or an end only after a while. */
function chatter(clock: FakeClock, end: 'content' | 'cut' | 'error'): Target {
  const provider: Provider = {
    name: 'chatter',
    async stream(_, { emit, signal }) {
      emit({ type: 'headers', status: 200, headers: {} })
      emit({ type: 'response-metadata', id: 'id', model: 'm' })
      emit({ type: 'warning', setting: 'seed', message: 'left out' })
      emit({ type: 'queued' })
      emit({ type: 'text-delta', text: '' })
      emit({ type: 'reasoning-delta', text: '' })
      if (end === 'error') throw new ProviderError('An error frame.', { reason: 'overloaded', status: 200 })
      if (end === 'cut') return
      await new Promise<void>((resolve, reject) => {
        clock.setTimeout(resolve, 60_000)
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    },
  }
  return { provider, model: 'm', price, retry: 0 }
}

test.for(['content', 'cut', 'error'] as const)(
  'role, metadata, keep-alive, empty deltas, an error frame and an empty end never win the race (%s) (R46, R47)',
  async (end, { clock }) => {
    const first = fakeTarget({ text: 'The answer.', firstChunkAfterMs: 9_000 }, { clock, price, name: 'first' })
    const client = createClient({ chain: [first, chatter(clock, end)], clock })
    const result = await clock.until(client.generate('Hi'))
    expect(result).toMatchObject({ text: 'The answer.', provider: 'first' })
    expect(result.attempts.map(({ provider, outcome }) => `${provider} ${outcome}`)).toEqual([
      'first answered',
      `chatter ${end === 'content' ? 'abandoned' : 'failed'}`,
    ])
  },
)

test('the loser of a race is charged to nobody: neither its breaker nor its gate nor its latency knows of it (R48)', async ({
  clock,
}) => {
  const chain = pair(clock, [late, { text: 'quick', usage: { inputTokens: 100, outputTokens: 100 } }])
  const client = createClient({ chain, clock, hedge: { budget: 1, spend: 1 } })
  for (let call = 0; call < 20; call += 1) {
    const { attempts } = await clock.until(client.generate('Hi'))
    expect(attempts[0]).toMatchObject({ outcome: 'abandoned', reason: undefined, message: undefined })
  }
  expect(client.health()[0]).toMatchObject({ state: 'closed', inFlight: 0, firstChunkMs: undefined })
})

test.for([
  [0.02, 1],
  [0.5, 10],
] as const)('with a budget of %d, nineteen calls that are late get %i second requests', async ([budget, most], { clock }) => {
  const usage = { inputTokens: 100, outputTokens: 100 }
  const chain = pair(clock, [
    { ...late, usage },
    { text: 'second', firstChunkAfterMs: 20_000, usage },
  ])
  const client = createClient({ chain, clock, hedge: { budget } })
  for (let call = 0; call < 19; call += 1) expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'late' })
  expect(chain[1].provider.calls).toHaveLength(most)
})

test.for([
  ['hedge: false', { hedge: false }, {}],
  ['a target without a price', { hedge: { unpriced: false } }, { price: undefined }],
  ['a target that `when` forbids', {}, { when: () => false }],
  ['a target that refuses this call', {}, { refuse: () => new ProviderError('No key.', { reason: 'authentication' }) }],
] as const)('%s means that no second request goes there, however late the first is', async ([, options, second], { clock }) => {
  const chain = pair(clock, [{ text: 'late', keepAliveForMs: 30_000 }, 'never'], second)
  const client = createClient({ chain, clock, ...options })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'late' })
  expect(chain[1].provider.calls).toEqual([])
})

test('hedging asked for goes to targets of unknown price too, but never to a breaker that is not closed', async ({ clock }) => {
  const chain = pair(clock, [late, (_, attempt) => (attempt <= 3 ? { error: 'overloaded' } : 'second')], {
    price: undefined,
    retry: 0,
  })
  const client = createClient({ chain, clock, hedge: { budget: 1, spend: 1 } })
  // three hedges fail and open the breaker of the second target
  for (let call = 0; call < 3; call += 1) expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'late' })
  expect(client.health()[1]?.state).not.toBe('closed')
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'late' })
  expect(chain[1].provider.calls).toHaveLength(3)
})

test('an abort during a race ends both and leaves no timer', async ({ clock, events }) => {
  const chain = pair(clock, [late, late])
  const client = createClient({ chain, clock, onEvent: events.listener })
  const controller = new AbortController()
  const outcome = client.generate({ prompt: 'Hi', signal: controller.signal }).catch((error: unknown) => error)
  await clock.advance(6_000)
  expect(chain.map(({ provider }) => provider.active())).toEqual([1, 1])
  controller.abort('enough')
  expect(await outcome).toBe('enough')
  expect(chain.map(({ provider }) => provider.active())).toEqual([0, 0])
  expect(clock.pending()).toBe(0)
  await client.close()
})

test('one attempt counter counts everything that was sent: retries, hedges and the walk do not multiply (R61)', async ({
  clock,
}) => {
  const chain = [0, 1, 2].map(index =>
    fakeTarget({ error: 'overloaded' }, { clock, price, name: `t${index}`, retry: { maxRetries: 2, rounds: 1 } }),
  )
  const client = createClient({ chain, clock, breaker: false })
  const error: unknown = await clock.until(client.generate('Hi')).catch((thrown: unknown) => thrown)
  const sent = chain.flatMap(({ provider }) => provider.calls)
  expect(sent.length).toBeLessThanOrEqual(9)
  expect((error as { attempts: unknown[] }).attempts).toHaveLength(sent.length)
})
