import * as fc from 'fast-check'
import { createClient, type Provider, ProviderError, type RetrySettings } from 'unbusy'
import { fakeTarget, recordEvents } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'
import { backoffMs } from '../../src/chain/wait.ts'

test('a failure that a retry may help is retried once by default, with a wait that is told before it begins (R93, R132)', async ({
  clock,
  events,
}) => {
  const target = fakeTarget([{ error: 'server-error' }, 'Hello.'], { clock })
  const client = createClient({ chain: [target], clock, random: () => 0.5, onEvent: events.listener })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Hello.' })
  expect(events.of('wait')).toMatchObject([{ waitMs: 150, reason: 'server-error', attempt: 1 }])
  expect(events.attempts().map(({ waitMs }) => waitMs)).toEqual([0, 150])
})

test.for([
  ['before its first chunk, in a stream', 'stream', 0],
  ['before its first chunk', 'generate', 0],
  ['in the middle, when nothing was handed out', 'generate', 1],
] as const)(
  'a stream that breaks %s is asked for again on the same target, unseen (R7, R9)',
  async ([, how, errorAfterChunks], { clock }) => {
    const target = fakeTarget([{ text: ['Hel', 'lo.'], error: 'server-error', errorAfterChunks }, 'Hello.'], { clock })
    const other = fakeTarget('Other.', { clock })
    const client = createClient({ chain: [target, other], clock })
    const text =
      how === 'stream'
        ? client.stream('Hi').then(async stream => stream.text())
        : client.generate('Hi').then(({ text: whole }) => whole)
    expect(await clock.until(text)).toBe('Hello.')
    expect([target, other].map(({ provider }) => provider.calls.length)).toEqual([2, 0])
  },
)

test.for([
  'timeout',
  'loading',
  'quota',
  'authentication',
  'permission',
  'not-found',
  'context-length',
  'invalid-request',
  'empty',
] as const)('%s is not retried: the next target is asked at once (R53, R60)', async (error, { clock, events }) => {
  const target = fakeTarget({ error }, { clock, retry: 5 })
  const client = createClient({ chain: [target, fakeTarget('Hello.', { clock })], clock, onEvent: events.listener })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Hello.', targetIndex: 1 })
  expect(target.provider.calls).toHaveLength(1)
  expect(events.of('wait')).toEqual([])
})

test('a model that is being loaded is waited for when there is nobody else, however long it takes within the deadline', async ({
  clock,
}) => {
  const loading = { error: 'loading', retryAfterMs: 2_000 } as const
  const target = fakeTarget([...Array.from({ length: 9 }, () => loading), 'Up.'], { clock })
  const client = createClient({ chain: [target], clock, random: () => 0 })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Up.' })
  expect(target.provider.calls).toHaveLength(10)
  expect(clock.now()).toBeGreaterThanOrEqual(18_000)
  expect(client.health()[0]).toMatchObject({ state: 'closed' })

  const endless = fakeTarget(loading, { clock })
  const patient = createClient({ chain: [endless], clock, timeout: { totalMs: 10_000 } })
  const failed = clock.until(patient.generate('Hi'))
  await expect(failed).rejects.toMatchObject({ reason: 'loading', retryAfterMs: 2_000 })
  expect(endless.provider.calls.length).toBeLessThanOrEqual(5)
})

test('a loading model is asked once where nothing is retried, and looks that are closer than a second use up the retries', async ({
  clock,
}) => {
  for (const [retry, retryAfterMs, asked] of [
    [0, 2_000, 1],
    [1, 1, 2],
  ] as const) {
    const target = fakeTarget({ error: 'loading', retryAfterMs }, { clock, retry: { maxRetries: retry, rounds: 1 } })
    await expect(clock.until(createClient({ chain: [target], clock }).generate('Hi'))).rejects.toMatchObject({
      reason: 'loading',
    })
    expect(target.provider.calls).toHaveLength(asked)
  }
})

test('0 retries means exactly one attempt, 3 means four (R50, R51)', async ({ clock }) => {
  for (const retry of [0, 3]) {
    const target = fakeTarget({ error: 'overloaded' }, { clock, retry: { maxRetries: retry, rounds: 1 } })
    const client = createClient({ chain: [target], clock, breaker: false })
    await expect(clock.until(client.generate('Hi'))).rejects.toMatchObject({ reason: 'overloaded' })
    expect(target.provider.calls).toHaveLength(retry + 1)
  }
})

test('1, 2, 4, 8, 16 s capped at 30 s with full jitter can be said', () => {
  const settings = { maxRetries: 6, baseDelayMs: 1_000, maxDelayMs: 30_000 }
  const ceilings = Array.from({ length: 7 }, (_, retry) => backoffMs(settings, retry, () => 1))
  expect(ceilings).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
})

test('no delay is outside its bounds, and the cap is never where clients meet (R140)', () => {
  const settings = fc.record({
    maxRetries: fc.nat(9),
    baseDelayMs: fc.nat(60_000),
    maxDelayMs: fc.nat(120_000),
  })
  const property = fc.property(
    settings,
    fc.nat(40),
    fc.double({ min: 0, max: 0.999999, noNaN: true }),
    (given: RetrySettings, retry, chance) => {
      const ceiling = Math.min(given.maxDelayMs, given.baseDelayMs * 2 ** retry)
      const delay = backoffMs(given, retry, () => chance)
      expect(delay).toBeGreaterThanOrEqual(Math.min(50, ceiling / 5))
      expect(delay).toBeLessThanOrEqual(ceiling)
      if (ceiling > 0) expect(backoffMs(given, retry, () => 0)).toBeLessThan(backoffMs(given, retry, () => 0.9))
    },
  )
  fc.assert(property, { numRuns: 2_000 })
})

test('a wait that does not fit the deadline is not begun', async ({ clock, events }) => {
  const target = fakeTarget(
    { error: 'overloaded' },
    { clock, retry: { maxRetries: 5, baseDelayMs: 60_000, maxDelayMs: 60_000, rounds: 1 } },
  )
  const client = createClient({
    chain: [target],
    clock,
    random: () => 0.5,
    timeout: { totalMs: 10_000 },
    onEvent: events.listener,
  })
  await expect(clock.until(client.generate('Hi'))).rejects.toMatchObject({ reason: 'overloaded' })
  expect(events.of('wait')).toEqual([])
})

test('a short Retry-After is waited out once, a long one sends the call on, and nobody asks before its time (R92, R95)', async ({
  clock,
}) => {
  const short = fakeTarget([{ error: 'rate-limit', retryAfterMs: 2_000 }, 'Hello.'], { clock })
  const one = createClient({ chain: [short, fakeTarget('other', { clock })], clock })
  expect(await clock.until(one.generate('Hi'))).toMatchObject({ text: 'Hello.', targetIndex: 0 })
  expect((short.provider.calls[1]?.at ?? 0) - (short.provider.calls[0]?.at ?? 0)).toBeGreaterThanOrEqual(2_000)

  const long = fakeTarget([{ error: 'rate-limit', retryAfterMs: 60_000 }, 'Hello.'], { clock })
  const two = createClient({ chain: [long, fakeTarget('other', { clock })], clock })
  const startedAt = clock.now()
  for (let call = 0; call < 59; call++) {
    expect(await clock.until(two.generate('Hi'))).toMatchObject({ text: 'other' })
    await clock.advance(1_000)
  }
  await clock.advance(10_000)
  expect(await clock.until(two.generate('Hi'))).toMatchObject({ text: 'Hello.' })
  expect((long.provider.calls[1]?.at ?? 0) - startedAt).toBeGreaterThanOrEqual(60_000)
})

test('whatever Retry-After says, nothing is sent to that target before it is over, and once in 15 minutes beyond that (R92, F20)', async ({
  clock,
}) => {
  const waits = fc.array(fc.integer({ min: 0, max: 86_400_000 }), { minLength: 1, maxLength: 4 })
  const property = fc.asyncProperty(waits, fc.array(fc.nat(40_000_000), { maxLength: 20 }), async (retryAfters, pauses) => {
    const script = [...retryAfters.map(retryAfterMs => ({ error: 'rate-limit' as const, retryAfterMs })), 'Hello.']
    const target = fakeTarget(script, { clock })
    const client = createClient({ chain: [target, fakeTarget('other', { clock })], clock, timeout: { totalMs: 5_000 } })
    for (const pause of pauses) {
      await clock.until(client.generate('Hi'))
      await clock.advance(pause)
    }
    const { calls } = target.provider
    for (const [index, retryAfterMs] of retryAfters.entries()) {
      const [before, after] = [calls[index], calls[index + 1]]
      if (before !== undefined && after !== undefined)
        expect(after.at - before.at).toBeGreaterThanOrEqual(Math.min(retryAfterMs, 900_000))
    }
    await client.close()
  })
  await fc.assert(property, { numRuns: 60 })
})

test('when every target is gated the call waits for the soonest that fits its deadline (R102)', async ({ clock }) => {
  const limited = (retryAfterMs: number, name: string) =>
    fakeTarget([{ error: 'rate-limit', retryAfterMs }, name], { clock, name })
  const client = createClient({ chain: [limited(90_000, 'slow'), limited(20_000, 'soon')], clock })
  const { provider, attempts } = await clock.until(client.generate('Hi'))
  expect(provider).toBe('soon')
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'answered'])
})

test('the hook decides before the table, and undefined leaves it to the table', async ({ clock }) => {
  const target = fakeTarget([{ error: 'invalid-request' }, { error: 'invalid-request' }, 'Hello.'], { clock, retry: 2 })
  const client = createClient({
    chain: [target],
    clock,
    decide: ({ reason }) => (reason === 'invalid-request' ? 'retry' : undefined),
  })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Hello.' })
  const stopping = createClient({
    chain: [fakeTarget({ error: 'overloaded' }, { clock }), fakeTarget('never', { clock })],
    clock,
    decide: () => 'stop',
  })
  await expect(clock.until(stopping.generate('Hi'))).rejects.toMatchObject({ attempts: [{ reason: 'overloaded' }] })
})

test('each target is visited at most once in a round, in order, however calls are mixed (R52, R59, R106)', async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(fc.constantFrom('overloaded', 'rate-limit', 'ok'), { minLength: 3, maxLength: 12 }),
    async (scheduler, script) => {
      const events = recordEvents()
      const make = (name: string) => {
        let turn = 0
        return {
          model: 'm',
          retry: 0,
          provider: {
            name,
            async stream(_call: unknown, attempt: { emit(event: object): boolean }) {
              const step = script[turn++ % script.length]
              await scheduler.schedule(Promise.resolve(), `${name} ${step}`)
              if (step !== 'ok')
                throw Object.assign(new (await import('unbusy')).ProviderError('no', { reason: step ?? 'empty' }))
              attempt.emit({ type: 'text-delta', text: name })
              attempt.emit({ type: 'finish', finishReason: 'stop' })
            },
          },
        }
      }
      const client = createClient({
        chain: [make('a'), make('b'), make('c')] as never,
        onEvent: events.listener,
        breaker: false,
        timeout: { totalMs: 300 },
      })
      const calls = Promise.allSettled(Array.from({ length: 4 }, async () => client.generate('Hi')))
      await scheduler.waitFor(calls)
      for (const { attempts } of events.of('call-end')) {
        const asked = attempts.filter(({ attempt }) => attempt > 0).map(({ targetIndex }) => targetIndex)
        expect(asked).toEqual([...new Set(asked)].toSorted((one, other) => one - other))
      }
      events.assertPaired()
      for (const { inFlight } of client.health()) expect(inFlight).toBe(0)
      await client.close()
    },
  )
  await fc.assert(property, { numRuns: 40 })
})

/** A provider that changes its request before its `stream()` returns. Each request uses five tokens. */
const early: Provider = {
  name: 'early',
  async stream(_, { emit }) {
    const usage = { inputTokens: 0, outputTokens: 5 }
    emit({ type: 'asked-again', failure: new ProviderError('Not so.', { reason: 'invalid-request', usage }) })
    emit({ type: 'text-delta', text: 'Hello.' })
    emit({ type: 'finish', finishReason: 'stop', usage })
  },
}

test('a request that its provider changes before `stream()` returns stands in its place in `attempts`', async ({ clock }) => {
  const first = fakeTarget({ error: 'server-error' }, { clock, name: 'first', retry: 0 })
  const { attempts } = await clock.until(createClient({ chain: [first, { provider: early, model: 'm' }], clock }).generate('Hi'))
  expect(attempts.map(({ provider, attempt, outcome }) => `${provider} ${attempt} ${outcome}`)).toEqual([
    ...['first 1 failed', 'early 1 failed', 'early 2 answered'],
  ])
})

test('the changed request of such a provider needs money of its own', async ({ clock }) => {
  const chain = [{ provider: early, model: 'm', price: { input: 0, output: 1_000_000 } }, fakeTarget('Other.', { clock })]
  const ask = async (maxCost: number) =>
    clock.until(createClient({ chain, clock }).generate({ prompt: 'Hi', maxOutputTokens: 7, maxCost }))
  expect(await ask(12)).toMatchObject({ text: 'Hello.', cost: 10 })
  // seven dollars for the first request, of which five were spent: two more are not enough for the second
  await expect(ask(11)).rejects.toMatchObject({
    attempts: [
      { provider: 'early', outcome: 'failed', cost: 5 },
      { provider: 'early', outcome: 'skipped', reason: 'budget' },
      { provider: 'fake', outcome: 'skipped', reason: 'budget' },
    ],
  })
})
