import { type ChainExhaustedError, createClient, type Provider, ProviderError } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import { failureOf as failureIn } from '../helpers/failures.ts'
import { test } from '../helpers/vitest.ts'

const refuses = { error: 'overloaded' } as const
const limited = (retryAfterMs?: number) => ({ error: 'rate-limit', retryAfterMs }) as const
const failureOf = async (call: Promise<unknown>) => failureIn<ChainExhaustedError>(call)

test('F95: a call waits for its own probe before it gives up', async ({ clock, events }) => {
  let isDown = true
  const first = fakeTarget(() => (isDown ? refuses : { text: 'Back.', firstChunkAfterMs: 300 }), {
    ...{ clock, name: 'first', retry: 0 },
  })
  const second = fakeTarget(() => (isDown ? 'Second.' : refuses), { clock, name: 'second', retry: 0 })
  const client = createClient({ chain: [first, second], clock, random: () => 0.5, onEvent: events.listener })
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
  await clock.advance(3_000)
  isDown = false
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Back.', targetIndex: 0 })
  expect(events.of('attempt-start').at(-2)).toMatchObject({ kind: 'probe', targetIndex: 0 })
})

test('F95: a probe that fails too ends the call with both failures, and the clock of the call holds meanwhile', async ({
  clock,
}) => {
  for (const [totalMs, tookMs] of [
    [60_000, 2_000],
    [1_000, 1_000],
  ] as const) {
    let isDown = true
    const first = fakeTarget(() => (isDown ? refuses : { ...refuses, headersAfterMs: 2_000 }), {
      clock,
      name: 'first',
      retry: { maxRetries: 0, waitForMs: 0 },
    })
    const second = fakeTarget(() => (isDown ? 'Second.' : refuses), {
      clock,
      name: 'second',
      retry: { maxRetries: 0, waitForMs: 0 },
    })
    const client = createClient({ chain: [first, second], clock, random: () => 0.5, hedge: false })
    for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
    await clock.advance(3_000)
    isDown = false
    const startedAt = clock.now()
    const error = await clock.until(failureOf(client.generate({ prompt: 'Hi', timeout: { totalMs } })))
    expect(error).toMatchObject({ name: 'ChainExhaustedError' })
    expect(clock.now() - startedAt).toBeCloseTo(tookMs, -2)
    await client.close()
  }
})

test.for(['overloaded', 'rate-limit', 'loading', 'network', 'truncated', 'server-error'] as const)(
  'F79: when all targets failed by %s the chain is walked again, after a wait that is told',
  async (error, { clock, events }) => {
    const chain = ['first', 'second'].map(name =>
      fakeTarget([{ error }, { error }, `${name}.`], { clock, name, retry: { maxRetries: 1, rounds: 3 } }),
    )
    const client = createClient({ chain, clock, random: () => 0.5, breaker: false, onEvent: events.listener })
    expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'first.' })
    expect(events.of('wait').at(-1)).toMatchObject({ reason: error, targetIndex: 0 })
    expect(events.of('attempt-start').at(-1)).toMatchObject({ kind: 'retry', targetIndex: 0 })
  },
)

test.for(['quota', 'authentication', 'permission', 'not-found', 'context-length', 'invalid-request', 'empty'] as const)(
  'F79: %s does not pass, so that no other round comes back to it',
  async (error, { clock }) => {
    const lasting = fakeTarget({ error }, { clock, name: 'lasting' })
    const passing = fakeTarget([refuses, refuses, 'Here.'], { clock, name: 'passing' })
    const client = createClient({ chain: [lasting, passing], clock, breaker: false })
    expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Here.' })
    expect(lasting.provider.calls).toHaveLength(1)

    const alone = fakeTarget({ error }, { clock })
    await clock.until(failureOf(createClient({ chain: [alone], clock }).generate('Hi')))
    expect(alone.provider.calls).toHaveLength(1)
  },
)

test('F79: a silent target is asked again last, and once', async ({ clock }) => {
  const silent = fakeTarget({ hang: true }, { clock, name: 'silent' })
  const refusing = fakeTarget(refuses, { clock, name: 'refusing' })
  const client = createClient({ chain: [silent, refusing], clock, breaker: false, hedge: false })
  const error = await clock.until(failureOf(client.generate('Hi')))
  expect(error?.attempts.map(({ provider }) => provider)).toEqual([
    ...['silent', 'refusing', 'refusing'],
    ...['refusing', 'silent'],
    ...['refusing'],
  ])
})

test('F79: a chain that is wholly down fails within about ten seconds by default, and asks each target at most four times', async ({
  clock,
}) => {
  for (const breaker of [undefined, false] as const) {
    const chain = ['first', 'second', 'third'].map(name => fakeTarget(refuses, { clock, name }))
    const client = createClient({ chain, clock, breaker, random: () => 0.999 })
    const startedAt = clock.now()
    expect(await clock.until(failureOf(client.generate('Hi')))).toMatchObject({ status: 503 })
    expect(clock.now() - startedAt).toBeLessThan(11_000)
    expect(clock.now() - startedAt).toBeGreaterThan(1_000)
    for (const { provider } of chain) expect(provider.calls.length).toBeLessThanOrEqual(4)
    expect(clock.pending()).toBe(0)
    await client.close()
  }
})

test('F79: `rounds` says how often; 0 retries and a default response mean once, unless they are asked for', async ({ clock }) => {
  const asked = async (options: object, given: object = {}) => {
    const target = fakeTarget(refuses, { clock })
    const client = createClient({ chain: [target], clock, breaker: false, ...options })
    await clock.until(failureOf(client.generate({ prompt: 'Hi', ...given })))
    return target.provider.calls.length
  }
  expect(await asked({ retry: { rounds: 1 } })).toBe(2)
  expect(await asked({ retry: { rounds: 2 } })).toBe(3)
  expect(await asked({ retry: 0 })).toBe(1)
  expect(await asked({ retry: { maxRetries: 0 } })).toBe(1)
  expect(await asked({ retry: { maxRetries: 0, rounds: 3 } })).toBe(3)
  expect(await asked({ defaultResponse: 'Busy.' })).toBe(2)
  expect(await asked({}, { defaultResponse: 'Busy.' })).toBe(2)
  expect(await asked({ defaultResponse: 'Busy.', retry: { rounds: 2 } })).toBe(3)
  expect(await asked({ decide: () => 'next' })).toBe(1)
})

test('F79: rounds without an end last as long as the call, within the retry budget of each target', async ({ clock }) => {
  const target = fakeTarget((_, attempt) => (attempt < 5 ? refuses : 'At last.'), { clock })
  const client = createClient({
    chain: [target],
    clock,
    breaker: false,
    retry: { rounds: Infinity },
    timeout: { totalMs: 600_000 },
  })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'At last.' })
  const endless = fakeTarget(refuses, { clock })
  const other = createClient({ chain: [endless], clock, breaker: false, retry: { rounds: Infinity } })
  await clock.until(failureOf(other.generate('Hi')))
  // the budget begins with five tokens, and nothing was earned
  expect(endless.provider.calls).toHaveLength(6)
})

test('F79: the callers that one outage has cut come back spread out', async ({ clock }) => {
  const target = fakeTarget((_, attempt) => (attempt <= 100 ? { error: 'server-error' } : 'Back.'), { clock })
  const clients = Array.from({ length: 100 }, () => createClient({ chain: [target], clock, retry: { maxRetries: 0, rounds: 3 } }))
  await clock.until(Promise.all(clients.map(async client => client.generate('Hi'))))
  const again = target.provider.calls.slice(100).map(({ at }) => at)
  for (const at of again) expect(again.filter(other => other >= at && other < at + 100).length).toBeLessThan(30)
})

test('F23: a lone target that answers 429 without a time is asked again when its gate is open', async ({ clock }) => {
  const target = fakeTarget([limited(), 'Here.'], { clock })
  const client = createClient({ chain: [target], clock, retry: { rounds: 1 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Here.' })
  expect(target.provider.calls[1]?.at).toBeGreaterThanOrEqual(500)
})

test('F96: an attempt after a wait at a gate says how long that was', async ({ clock }) => {
  const target = fakeTarget([limited(62_000), 'Here.'], { clock })
  const { attempts } = await clock.until(createClient({ chain: [target], clock }).generate('Hi'))
  expect(attempts[1]?.waitMs).toBeGreaterThanOrEqual(62_000)
  expect(attempts[1]?.waitMs).toBe(target.provider.calls[1]?.at)
})

test('F37: `firstContentMs` ends a call that has no content in time, whatever it waits for, with the time to come back', async ({
  clock,
}) => {
  const timeout = { firstContentMs: 5_000 }
  const took = async (call: Promise<unknown>) => {
    const startedAt = clock.now()
    const error = await clock.until(failureOf(call))
    return { error, tookMs: clock.now() - startedAt }
  }
  // a request that runs
  const silent = createClient({ chain: [fakeTarget({ hang: true }, { clock })], clock, timeout })
  expect(await took(silent.generate('Hi'))).toMatchObject({
    tookMs: 5_000,
    error: { status: 504, attempts: [{ reason: 'timeout', clock: 'firstContent' }] },
  })
  // a gate that opens too late: at once
  const gated = createClient({ chain: [fakeTarget(limited(30_000), { clock })], clock, timeout })
  expect(await took(gated.generate('Hi'))).toMatchObject({ tookMs: 0, error: { status: 429, retryAfterMs: 30_000 } })
  // rounds
  const down = createClient({
    chain: [fakeTarget(refuses, { clock })],
    clock,
    timeout,
    retry: { rounds: Infinity },
    breaker: false,
  })
  expect((await took(down.generate('Hi'))).tookMs).toBeLessThanOrEqual(5_000)
  // of a call, over that of the client; a stream has it too
  const short = took(silent.stream({ prompt: 'Hi', timeout: { firstContentMs: 1_000 } }))
  expect(await short).toMatchObject({ tookMs: 1_000 })
})

test('F37: `firstContentMs` is over with the first content of any attempt, also for generate()', async ({ clock }) => {
  const slow = fakeTarget({ text: ['a', 'b', 'c'], chunkEveryMs: 4_000 }, { clock })
  const client = createClient({ chain: [slow], clock, timeout: { firstContentMs: 1_000 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'abc' })

  const cut = fakeTarget({ text: ['half', ' of'], chunkEveryMs: 900, cutAfterChunks: 2 }, { clock, retry: 0 })
  const second = fakeTarget({ text: 'Whole.', firstChunkAfterMs: 8_000 }, { clock })
  const two = createClient({ chain: [cut, second], clock, timeout: { firstContentMs: 1_000 } })
  expect(await clock.until(two.generate('Hi'))).toMatchObject({ text: 'Whole.' })
})

test('F37: while another target could answer, a target gets half of what is left of `firstContentMs`', async ({ clock }) => {
  const chain = [fakeTarget({ hang: true }, { clock }), fakeTarget({ text: 'Here.', firstChunkAfterMs: 1_000 }, { clock })]
  const client = createClient({ chain, clock, hedge: false, timeout: { firstContentMs: 4_000 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Here.' })
  expect(clock.now()).toBe(3_000)
})

test('F37: with a default response the waits before requests last ten seconds in all, and a request that runs is not shortened', async ({
  clock,
}) => {
  const given = async (script: Parameters<typeof fakeTarget>[0], options: object = {}) => {
    const target = fakeTarget(script, { clock })
    const client = createClient({ chain: [target], clock, defaultResponse: 'Busy.', ...options })
    const startedAt = clock.now()
    const { text } = await clock.until(client.generate('Hi'))
    return { text, tookMs: Math.round((clock.now() - startedAt) / 1_000) }
  }
  expect(await given([limited(60_000), 'Late.'])).toEqual({ text: 'Busy.', tookMs: 0 })
  expect(await given([limited(7_000), limited(7_000), 'Late.'], { retry: 2, random: () => 0 })).toEqual({
    text: 'Busy.',
    tookMs: 7,
  })
  expect(await given([limited(7_000), 'Soon.'], { random: () => 0 })).toEqual({ text: 'Soon.', tookMs: 7 })
  expect(await given({ text: 'Slow.', firstChunkAfterMs: 14_000, headersAfterMs: 1_000 })).toEqual({ text: 'Slow.', tookMs: 15 })
  // a clock of the caller's own replaces it
  const timeout = { firstContentMs: 30_000 }
  expect(await given([limited(20_000), 'Late.'], { timeout, random: () => 0 })).toEqual({ text: 'Late.', tookMs: 20 })
})

test('F37: twenty calls at once at a chain that is down get the default response soon, not at the end of their time', async ({
  clock,
}) => {
  const chain = ['first', 'second'].map(name => fakeTarget({ ...refuses, status: 503 }, { clock, name }))
  const client = createClient({ chain, clock, defaultResponse: 'Busy.', timeout: { totalMs: 30_000 } })
  const took = await clock.until(
    Promise.all(
      Array.from({ length: 20 }, async () => {
        await client.generate('Hi')
        return clock.now()
      }),
    ),
  )
  expect(Math.max(...took)).toBeLessThanOrEqual(12_000)
})

test('F37: `waitForMs` bounds every wait for a target that is shut; 0 is never', async ({ clock }) => {
  const took = async (waitForMs: number, retryAfterMs: number) => {
    const chain = ['first', 'second'].map(name => fakeTarget([limited(retryAfterMs), `${name}.`], { clock, name }))
    const client = createClient({ chain, clock, retry: { waitForMs }, random: () => 0 })
    const startedAt = clock.now()
    const answer = await clock.until(client.generate('Hi').catch(() => undefined))
    return [answer?.text, Math.round(clock.now() - startedAt)]
  }
  expect(await took(0, 1_000)).toEqual([undefined, 0])
  expect(await took(5_000, 20_000)).toEqual([undefined, 0])
  const [text, tookMs] = await took(30_000, 20_000)
  expect([text, Number(tookMs) >= 20_000]).toEqual(['first.', true])
  // an open breaker and another round are waits too
  const down = fakeTarget(refuses, { clock })
  const client = createClient({ chain: [down], clock, retry: { waitForMs: 0 } })
  const startedAt = clock.now()
  for (let call = 0; call < 4; call += 1) await clock.until(failureOf(client.generate('Hi')))
  expect(clock.now() - startedAt).toBeLessThan(1_000)
})

test('F37: `retryAfterMs` is known also where every breaker is open', async ({ clock }) => {
  const chain = ['first', 'second'].map(name => fakeTarget(refuses, { clock, name, retry: { maxRetries: 1, waitForMs: 0 } }))
  const client = createClient({ chain, clock })
  const errors: (ChainExhaustedError | undefined)[] = []
  for (let call = 0; call < 3; call += 1) errors.push(await clock.until(failureOf(client.generate('Hi'))))
  expect(errors.at(-1)?.retryAfterMs).toBeGreaterThan(1_000)
  expect(errors.at(-1)?.retryAfterMs).toBeLessThan(3_000)
})

test('what cannot be a round or a clock of a target is refused before anything is sent, with what to write instead', () => {
  const chain = [fakeTarget('x')]
  for (const rounds of [0, -1, 1.5, '3', NaN]) {
    expect(() => createClient({ chain, retry: { rounds } as never })).toThrow('rounds must be a whole number, 1 or more')
  }
  expect(() => createClient({ chain: [fakeTarget('x', { timeout: { firstContentMs: 5 } as never })] })).toThrow(
    'firstContentMs limits the whole call. Set it in createClient({ timeout })',
  )
  expect(() => createClient({ chain, timeout: { firstContentMs: -1 } })).toThrow(
    'firstContentMs must be a number of milliseconds',
  )
})

test('F75: a break after a long silence is a silence that ended: the next target is asked at once', async ({ clock }) => {
  const call = async (chunkEveryMs: number, silentMs: number) => {
    const pause = async (delayMs: number) => new Promise<void>(resolve => void clock.setTimeout(resolve, delayMs))
    const provider: Provider = {
      name: 'first',
      async stream(_call, { emit }) {
        for (const text of ['a', 'b', 'c']) {
          await pause(chunkEveryMs)
          emit({ type: 'text-delta', text })
        }
        await pause(silentMs)
      },
    }
    const chain = [{ provider, model: 'm' }, fakeTarget('Second.', { clock, name: 'second' })]
    const { text, attempts } = await clock.until(createClient({ chain, clock, hedge: false }).generate('Hi'))
    expect(text).toBe('Second.')
    return attempts.slice(0, -1).map(({ reason, clock: name }) => (name === undefined ? reason : `${reason} ${name}`))
  }
  expect(await call(50, 30_000)).toEqual(['timeout chunk'])
  // a moment, and the usual pause of a slow answer, are none
  expect(await call(50, 2_000)).toEqual(['truncated', 'truncated'])
  expect(await call(3_000, 20_000)).toEqual(['truncated', 'truncated'])
})

test('F76: a target without a price is asked beside a late one, about once in fifty calls, and not where that is turned off', async ({
  clock,
}) => {
  const asked = async (hedge?: { unpriced: false }) => {
    const slow = fakeTarget({ text: 'Late.', firstChunkAfterMs: 18_000, headersAfterMs: 10 }, { clock, name: 'slow' })
    const quick = fakeTarget({ text: 'In time.', firstChunkAfterMs: 100 }, { clock, name: 'quick' })
    const client = createClient({ chain: [slow, quick], clock, ...(hedge === undefined ? {} : { hedge }) })
    const startedAt = clock.now()
    const { text } = await clock.until(client.generate('Hi'))
    return [text, clock.now() - startedAt]
  }
  expect(await asked()).toEqual(['In time.', 4_100])
  expect(await asked({ unpriced: false })).toEqual(['Late.', 18_010])
})

test('F78: a lone caller starts within a quarter of a second after a Retry-After of two seconds', async ({ clock }) => {
  for (const chance of [0, 0.5, 0.999]) {
    const target = fakeTarget([limited(2_000), 'Here.'], { clock })
    const client = createClient({ chain: [target], clock, random: () => chance })
    await clock.until(client.generate('Hi'))
    const [first, second] = target.provider.calls
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2_000)
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeLessThanOrEqual(2_260)
  }
})

test('F99: one 429 at a lone request does not shut twenty calls out', async ({ clock }) => {
  const named = new ProviderError('Too many.', { reason: 'rate-limit', status: 429, retryAfterMs: 4_000, concurrencyLimit: 25 })
  const target = fakeTarget([{ error: named }, { text: 'Here.', firstChunkAfterMs: 1_000 }], { clock })
  const spare = fakeTarget('Spare.', { clock })
  const client = createClient({ chain: [target, spare], clock, random: () => 0, hedge: false })
  await clock.until(client.generate('Hi'))
  await clock.advance(5_000)
  const answers = await clock.until(Promise.all(Array.from({ length: 20 }, async () => client.generate('Hi'))))
  expect(answers.filter(({ text }) => text === 'Here.')).toHaveLength(20)
})
