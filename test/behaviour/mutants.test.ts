import { getEventListeners } from 'node:events'
import {
  type Attempt,
  type Call,
  type ChainExhaustedError,
  createClient,
  type Failure,
  runTools,
  StreamInterruptedError,
} from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

// Each of these once lived through a change of the source that no other test noticed.

test('a reader who holds half an answer never gets the default response behind it (R33, R35)', async ({ clock }) => {
  const target = fakeTarget({ text: ['half'], error: 'server-error', errorAfterChunks: 1 }, { clock, retry: 0 })
  const stream = await clock.until(createClient({ chain: [target], clock, defaultResponse: 'SORRY' }).stream('Hi'))
  let text = ''
  const read = async () => {
    for await (const event of stream) if (event.type === 'text-delta') text += event.text
  }
  await expect(clock.until(read())).rejects.toBeInstanceOf(StreamInterruptedError)
  expect(text).toBe('half')
})

test('blanks are no answer, also from a provider of one’s own (R44)', async ({ clock }) => {
  const chain = [fakeTarget(' \n', { clock, name: 'a', retry: 0 }), fakeTarget('b', { clock, name: 'b' })]
  expect(await clock.until(createClient({ chain, clock }).generate('Hi'))).toMatchObject({ text: 'b', provider: 'b' })
})

test('an answer that is continued is asked for by a prefix alone: no turn is added to the conversation (R31)', async ({
  clock,
}) => {
  const target = fakeTarget([{ text: ['half', ' of'], cutAfterChunks: 1 }, ' an answer'], {
    clock,
    capabilities: { prefix: true },
    retry: { maxRetries: 1, baseDelayMs: 1 },
  })
  const client = createClient({ chain: [target], clock, afterFirstToken: 'continue' })
  const { text } = await clock.until(client.generate('Hi'))
  const [first, second] = target.provider.calls
  expect(second?.call.prefix?.text).toBe('half')
  expect(second?.call.messages).toEqual(first?.call.messages)
  expect(text).toBe('half an answer')
})

test('the wait for the first chunk is not bounded by the clock between chunks (R69)', async ({ clock }) => {
  const target = fakeTarget({ text: 'late', firstChunkAfterMs: 15_000 }, { clock, retry: 0 })
  const client = createClient({ chain: [target], clock, timeout: { chunkMs: 5_000, firstChunkMs: 20_000 } })
  expect((await clock.until(client.generate('Hi'))).text).toBe('late')
})

test('the retry budget of a target is used up by failing calls, and then no call is retried (R54)', async ({ clock }) => {
  const target = fakeTarget({ error: 'malformed-response' }, { clock, retry: { maxRetries: 1, baseDelayMs: 1 } })
  const client = createClient({ chain: [target], clock, breaker: false })
  for (let call = 0; call < 20; call += 1) await clock.until(client.generate('Hi').catch(() => {}))
  // five retries at first, none earned
  expect(target.provider.calls).toHaveLength(25)
})

test('the last target is asked though its breaker is open, when nobody else is left (R96)', async ({ clock }) => {
  let isDown = true
  const target = fakeTarget(() => (isDown ? { error: 'server-error' } : 'back'), { clock, retry: 0 })
  const client = createClient({ chain: [target], clock, breaker: { openMs: 300_000, maxOpenMs: 300_000 } })
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi').catch(() => {}))
  expect(client.health()[0]?.state).toBe('open')
  isDown = false
  expect((await clock.until(client.generate({ prompt: 'Hi', timeout: { totalMs: 10_000 } }))).text).toBe('back')
})

test('the answer that is kept for a continuation is the longest one, whatever broke off last', async ({ clock }) => {
  const capabilities = { prefix: true }
  const chain = [
    fakeTarget({ text: ['a long beginning', ' of'], cutAfterChunks: 1 }, { clock, name: 'a', retry: 0, capabilities }),
    fakeTarget({ text: ['no', ' more'], cutAfterChunks: 1 }, { clock, name: 'b', retry: 0 }),
    fakeTarget(' and the end', { clock, name: 'c', capabilities }),
  ]
  const { text } = await clock.until(createClient({ chain, clock, afterFirstToken: 'continue' }).generate('Hi'))
  expect(text).toBe('a long beginning and the end')
})

test('a call that got the default response is a warning in the log', async ({ clock }) => {
  const lines: string[] = []
  const write = (level: string) => (_fields: object, message: string) => void lines.push(`${level} ${message}`)
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn') }
  const chain = [fakeTarget({ error: 'quota' }, { clock })]
  await clock.until(createClient({ chain, clock, logger, defaultResponse: 'Busy.' }).generate('Hi'))
  expect(lines.at(-1)).toBe('warn no target answered the call')
})

test('who leaves while every target waits is out of the line, with nothing closed (R90)', async ({ clock }) => {
  const chain = [fakeTarget({ error: 'rate-limit', retryAfterMs: 60_000 }, { clock, retry: 0 })]
  const client = createClient({ chain, clock })
  await clock.until(client.generate('Hi').catch(() => {}))
  const controller = new AbortController()
  const left = client.generate({ prompt: 'Hi', signal: controller.signal }).catch((error: unknown) => error)
  await clock.advance(5_000)
  expect(client.health()[0]?.waiting).toBe(1)
  controller.abort(new Error('left'))
  await clock.until(left)
  expect(client.health()[0]?.waiting).toBe(0)
  expect(clock.pending()).toBe(0)
})

test('close() ends the probes that go on in the background', async ({ clock }) => {
  let answers: 'fails' | 'hangs' = 'fails'
  const first = fakeTarget(
    () => (answers === 'fails' ? { error: 'server-error' } : { text: 'never', firstChunkAfterMs: Infinity }),
    {
      clock,
      name: 'first',
      retry: 0,
    },
  )
  const client = createClient({ chain: [first, fakeTarget('second', { clock, name: 'second' })], clock })
  for (let call = 0; call < 5; call += 1) await clock.until(client.generate('Hi'))
  answers = 'hangs'
  await clock.advance(3_000)
  await clock.until(client.generate('Hi'))
  expect(first.provider.active()).toBe(1)
  await client.close()
  expect(first.provider.active()).toBe(0)
})

test('a run of tools leaves no listener on the signal of the caller', async ({ clock }) => {
  const { signal } = new AbortController()
  const client = createClient({ chain: [fakeTarget('done', { clock })], clock })
  await clock.until(runTools(client, { prompt: 'Hi', signal }, { tools: {} }))
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('what a provider emits behind its finish is no part of the answer', async ({ clock }) => {
  const provider = {
    name: 'own',
    async stream(_call: Call, { emit }: Attempt) {
      emit({ type: 'text-delta', text: 'whole' })
      emit({ type: 'finish', finishReason: 'stop', usage: {} })
      emit({ type: 'text-delta', text: ' and more' })
    },
  }
  const client = createClient({ chain: [{ provider, model: 'm' }], clock })
  expect((await clock.until(client.generate('Hi'))).text).toBe('whole')
})

test('reasoning counts for holdBackChars', async ({ clock }) => {
  const target = fakeTarget({ reasoning: 'ten charac', text: 'late', chunkEveryMs: 30_000 }, { clock })
  const client = createClient({ chain: [target], clock, holdBackChars: 10 })
  const startedAt = clock.now()
  const stream = await clock.until(client.stream('Hi'))
  expect(clock.now() - startedAt).toBeLessThan(30_000)
  expect(await clock.until(stream.text())).toBe('late')
})

test('a chain remembers its dead targets from call to call: later calls do not ask them again (R109)', async ({ clock }) => {
  const dead = ['a', 'b', 'c'].map(name => fakeTarget({ error: 'server-error' }, { clock, name, retry: 0 }))
  const client = createClient({ chain: [...dead, fakeTarget('Hello.', { clock, name: 'd' })], clock })
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
  const asked = () => dead.map(({ provider }) => provider.calls.length)
  expect(asked()).toEqual([3, 3, 3])
  for (let call = 0; call < 5; call += 1) {
    const { attempts } = await clock.until(client.generate('Hi'))
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['skipped', 'skipped', 'skipped', 'answered'])
  }
  expect(asked()).toEqual([3, 3, 3])
})

test('a wait of 0 and 0 retries of one target hold against those of the client (R98)', async ({ clock }) => {
  const script = [{ error: 'overloaded' }, 'Hello.'] as const
  const quick = fakeTarget([...script], { clock, retry: { maxRetries: 1, baseDelayMs: 0, maxDelayMs: 0 } })
  const client = { clock, random: () => 0.999, retry: { maxRetries: 3, baseDelayMs: 5_000, maxDelayMs: 5_000 } }
  expect((await clock.until(createClient({ ...client, chain: [quick] }).generate('Hi'))).text).toBe('Hello.')
  expect(clock.now()).toBeLessThan(1_000)
  const never = fakeTarget([...script], { clock, retry: 0 })
  const other = fakeTarget('Other.', { clock, name: 'other' })
  expect((await clock.until(createClient({ ...client, retry: 3, chain: [never, other] }).generate('Hi'))).text).toBe('Other.')
  expect(never.provider.calls).toHaveLength(1)
})

test('`decide` overrules what is not retried, for the target that it names (R60)', async ({ clock }) => {
  const chain = ['a', 'b'].map(name =>
    fakeTarget([{ error: 'context-length' }, { error: 'context-length' }, 'Hello.'], {
      clock,
      name,
      retry: { maxRetries: 2, baseDelayMs: 1 },
    }),
  )
  const decide = ({ provider }: Failure) => (provider === 'b' ? ('retry' as const) : undefined)
  const { attempts } = await clock.until(createClient({ chain, clock, decide }).generate('Hi'))
  expect(attempts.map(({ provider }) => provider)).toEqual(['a', 'b', 'b', 'b'])
})

test('every attempt of a failed call is listed with what it used and cost, and retries and rounds together are capped (R130)', async ({
  clock,
  events,
}) => {
  const price = { input: 1_000_000, output: 0 }
  const busy = { error: 'overloaded', usage: { inputTokens: 2, outputTokens: 1 } } as const
  const retry = { maxRetries: 1, rounds: 9, baseDelayMs: 1, maxDelayMs: 1 }
  const chain = ['a', 'b'].map(name => fakeTarget(busy, { clock, name, price, retry }))
  const client = createClient({ chain, clock, breaker: false, onEvent: events.listener })
  const error: unknown = await clock.until(client.generate('Hi')).catch((thrown: unknown) => thrown)
  const { attempts } = error as ChainExhaustedError
  const sent = chain.map(({ provider }) => provider.calls.length)
  // one at first, and five retries of the budget of a target, though there are nine rounds
  expect(sent).toEqual([6, 6])
  expect(['a', 'b'].map(name => attempts.filter(({ provider }) => provider === name).length)).toEqual(sent)
  for (const attempt of attempts) expect(attempt).toMatchObject({ outcome: 'failed', usage: { inputTokens: 2 }, cost: 2 })
  expect(events.of('call-end')).toMatchObject([{ cost: 24 }])
})

test('an attempt that timed out after it was sent may have been billed: it is listed with what it can have cost at most (R130)', async ({
  clock,
}) => {
  const price = { input: 0, output: 1_000_000 }
  const silent = fakeTarget({ hang: true }, { clock, name: 'silent', price, retry: 0 })
  const client = createClient({ chain: [silent, fakeTarget('Hello.', { clock, name: 'other' })], clock, hedge: false })
  const { attempts } = await clock.until(client.generate({ prompt: 'Hi', maxOutputTokens: 7 }))
  expect(attempts).toMatchObject([
    { provider: 'silent', outcome: 'failed', reason: 'timeout', cost: undefined, worstCost: 7 },
    { provider: 'other', outcome: 'answered' },
  ])
})

test('a thousand streams at once through one client are a thousand answers, each its own, and leave nothing (R116)', async ({
  clock,
}) => {
  const echo = ({ messages }: Call) => ({ text: ['you said ', JSON.stringify(messages)], chunkEveryMs: 1_000 })
  const target = fakeTarget(echo, { clock })
  const client = createClient({ chain: [target], clock, breaker: false })
  const ask = async (index: number) => (await client.stream(`number ${index}.`)).text()
  const all = Promise.all(Array.from({ length: 1_000 }, (_, index) => ask(index)))
  await clock.advance(500)
  expect(target.provider.active()).toBe(1_000)
  expect(client.health()).toMatchObject([{ inFlight: 1_000, waiting: 0 }])
  for (const [index, text] of (await clock.until(all)).entries())
    expect(text).toMatch(new RegExp(`^you said .*number ${index}[.]`))
  expect(client.health()).toMatchObject([{ inFlight: 0, waiting: 0 }])
  expect([target.provider.active(), clock.pending()]).toEqual([0, 0])
})

test('a call that is over, however it ended, leaves what the client keeps of running calls (R114)', async ({ clock }) => {
  const held = new Set<Set<unknown>>()
  const { add } = Set.prototype
  onTestFinished(() => void Object.assign(Set.prototype, { add }))
  Object.assign(Set.prototype, {
    add(this: Set<unknown>, value: unknown) {
      // what the client ends in close(): the signals of its calls
      if (typeof value === 'object' && value !== null && 'onNews' in value) add.call(held, this)
      return add.call(this, value)
    },
  })
  const target = fakeTarget(['answered', { error: 'quota' }, 'streamed', { hang: true }], { clock, retry: 0 })
  const client = createClient({ chain: [target], clock, breaker: false })
  await clock.until(client.generate('Hi'))
  await clock.until(client.generate('Hi').catch(() => {}))
  await clock.until(client.stream('Hi').then(async stream => stream.text()))
  const controller = new AbortController()
  const left = client.generate({ prompt: 'Hi', signal: controller.signal }).catch(() => {})
  expect([...held].map(({ size }) => size)).toEqual([1])
  controller.abort(new Error('left'))
  await left
  expect([...held].map(({ size }) => size)).toEqual([0])
})

test('the failure of a probe uses up no retry of the call', async ({ clock }) => {
  const fails = { error: 'overloaded' } as const
  const retry = { maxRetries: 1, rounds: 1, baseDelayMs: 1, maxDelayMs: 1 }
  const probed = fakeTarget((_, attempt) => (attempt <= 4 ? fails : { error: 'rate-limit', retryAfterMs: 100 }), {
    clock,
    name: 'probed',
    retry,
  })
  const other = fakeTarget([...Array.from({ length: 5 }, () => 'fine'), fails], { clock, name: 'other', retry })
  const client = createClient({ chain: [probed, other], clock, random: () => 0.5 })
  for (let call = 0; call < 5; call += 1) await clock.until(client.generate('Hi'))
  await clock.advance(5_000)
  const error: unknown = await clock.until(client.generate('Hi')).catch((thrown: unknown) => thrown)
  const { attempts } = error as ChainExhaustedError
  const asked = attempts.filter(({ provider }) => provider === 'probed').map(({ kind, reason }) => `${kind} ${reason}`)
  expect(asked).toEqual(['probe overloaded', 'retry rate-limit', 'retry rate-limit'])
})
