import * as fc from 'fast-check'
import {
  type ClientEvent,
  createClient,
  deepseek,
  type FailureReason,
  llama,
  ProviderError,
  StreamInterruptedError,
} from 'unbusy'
import { answer, fakeClock, type FakeReply, fakeTarget, recordEvents, status } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { policy } from '../../src/chain/policy.ts'
import { test } from '../helpers/vitest.ts'

test('every start has exactly one end, whatever happens and whenever the caller leaves (R10, R11, R22)', async () => {
  const reply: fc.Arbitrary<FakeReply> = fc.oneof(
    fc.record({ text: fc.constant(['a', 'b', 'c']), chunkEveryMs: fc.nat(900), firstChunkAfterMs: fc.nat(9_000) }),
    fc.record({ text: fc.constant(['a', 'b', 'c']), cutAfterChunks: fc.nat(3) }),
    fc.record({
      error: fc.constantFrom<FailureReason[]>('overloaded', 'rate-limit', 'quota', 'content-filter', 'empty', 'network'),
    }),
    fc.record({ error: fc.constant(new Error('a bug in a provider')) }),
    fc.record({ hang: fc.constant(true) }),
  )
  const given = fc.record({
    scripts: fc.array(fc.array(reply, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    abortAfterMs: fc.option(fc.nat(20_000)),
    leaves: fc.boolean(),
    afterFirstToken: fc.constantFrom('fail', 'restart', 'continue'),
    defaultResponse: fc.option(fc.constant('sorry'), { nil: undefined }),
  })
  const property = fc.asyncProperty(given, async ({ scripts, abortAfterMs, leaves, afterFirstToken, defaultResponse }) => {
    const clock = fakeClock()
    const events = recordEvents()
    const chain = scripts.map((script, index) => {
      return fakeTarget(script, { clock, name: `t${index}`, price: { input: 1, output: 1 }, capabilities: { prefix: true } })
    })
    const client = createClient({ chain, clock, random: () => 0.5, onEvent: events.listener, afterFirstToken, defaultResponse })
    const controller = new AbortController()
    if (abortAfterMs !== null) clock.setTimeout(() => controller.abort('left'), abortAfterMs)
    const stream = async () => {
      for await (const event of await client.stream({ prompt: 'Hi', signal: controller.signal })) {
        if (leaves && event.type === 'text-delta') break
      }
    }
    const works = [stream(), client.generate({ prompt: 'Hi', signal: controller.signal }), stream()]
    await clock.until(Promise.allSettled(works))
    await client.close()
    events.assertPaired()
    expect(events.of('call-start')).toHaveLength(3)
    for (const { callId } of events.of('call-start')) {
      expect(events.of('commit').filter(commit => commit.callId === callId).length).toBeLessThanOrEqual(1)
    }
    for (const { inFlight } of client.health()) expect(inFlight).toBe(0)
    for (const { provider } of chain) expect(provider.active()).toBe(0)
    if (abortAfterMs === null) expect(clock.pending()).toBe(0)
  })
  await fc.assert(property, { numRuns: 300 })
}, 30_000)

test('start events come once a call and every failure goes through one hook, with retries as visible as the rest (R22, R131, R132)', async ({
  clock,
  events,
}) => {
  const target = fakeTarget(
    [{ error: 'overloaded' }, { text: ['a'], error: 'server-error', errorAfterChunks: 1 }, { text: ['a', 'b'] }],
    { clock, retry: 5 },
  )
  const decided: FailureReason[] = []
  const client = createClient({
    ...{ chain: [target], clock, breaker: false, afterFirstToken: 'restart' as const, onEvent: events.listener },
    decide: ({ reason }) => void decided.push(reason),
  })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.text())).toBe('ab')
  expect(events.types()).toEqual([
    ...['call-start', 'attempt-start', 'attempt-end', 'wait', 'attempt-start', 'commit', 'attempt-end', 'wait'],
    ...['attempt-start', 'attempt-end', 'call-end'],
  ])
  expect(decided).toEqual(['overloaded', 'server-error'])
  expect(events.of('wait').map(({ reason, attempt }) => [reason, attempt])).toEqual([
    ['overloaded', 1],
    ['server-error', 2],
  ])
})

test('a failure reaches the loop, text() and result() alike, and is never part of the text (R131, R135)', async ({ clock }) => {
  const make = async () => {
    const target = fakeTarget({ text: ['half'], error: 'server-error', errorAfterChunks: 1 }, { clock, retry: 0 })
    return clock.until(createClient({ chain: [target], clock }).stream('Hi'))
  }
  const looped = await make()
  let text = ''
  const loop = async () => {
    for await (const event of looped) if (event.type === 'text-delta') text += event.text
  }
  await expect(clock.until(loop())).rejects.toBeInstanceOf(StreamInterruptedError)
  await expect(looped.result()).rejects.toBeInstanceOf(StreamInterruptedError)
  expect(text).toBe('half')
  await expect((await make()).text()).rejects.toBeInstanceOf(StreamInterruptedError)
  const web = (await make()).toReadableStream()
  const drain = async () => {
    for await (const event of web) expect(event.type).not.toBe('finish')
  }
  await expect(drain()).rejects.toBeInstanceOf(StreamInterruptedError)
})

test('what a server says of its failure is no answer, in no mode and in no result (R135)', async ({ server }) => {
  const said = 'Internal: shard 7 of customer-db is down'
  const failing = await server(
    [status(500, { error: { message: said } }), answer(['Half'], { errorAfterChunks: 1, error: { message: said } })],
    {
      format: 'deepseek',
    },
  )
  for (const afterFirstToken of ['fail', 'restart', 'continue'] as const) {
    const client = createClient({
      ...{ chain: [deepseek({ baseURL: failing.baseURL, apiKey: 'sk-test-0123456789abcdef', retry: 0 })], afterFirstToken },
      defaultResponse: 'Try again later.',
    })
    onTestFinished(async () => client.close())
    expect((await client.generate('Hi')).text).toBe('Try again later.')
    const shown: string[] = []
    const read = async () => {
      for await (const event of await client.stream('Hi')) shown.push(JSON.stringify(event))
    }
    await expect(read()).rejects.toMatchObject({ name: 'StreamInterruptedError', text: 'Half' })
    expect(shown.join()).not.toMatch(/shard|Try again later/)
  }
})

test.for([
  [
    'throws',
    () => {
      throw new Error('a bug in a listener')
    },
  ],
  ['rejects', async () => Promise.reject(new Error('a bug in a listener'))],
  ['calls the client again', undefined],
] as const)('a listener that %s harms neither the call nor the logger nor anything after it', async ([, faulty], { clock }) => {
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', onUnhandled)
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled))
  const lines: string[] = []
  const write = (_: object, message: string) => void lines.push(message)
  let inner: Promise<unknown> | undefined
  const again = (event: ClientEvent) => {
    if (event.type === 'call-end') inner ??= client.generate('Again')
  }
  const client = createClient({
    chain: [fakeTarget({ error: 'overloaded' }, { clock, retry: 0 }), fakeTarget('Hello.', { clock })],
    ...{ clock, onEvent: faulty ?? again, logger: { debug: write, info: write, warn: write } },
  })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Hello.' })
  await inner
  expect(lines.slice(0, 2)).toEqual(['attempt failed', 'call answered'])
  expect(client.health().map(({ inFlight }) => inFlight)).toEqual([0, 0])
  await client.close()
  await new Promise(resolve => setImmediate(resolve))
  expect(unhandled).toEqual([])
})

test('a logger gets a line for each failed attempt and one for each call, and in none is a prompt, an answer or a key', async ({
  server,
}) => {
  const [prompt, key, text] = ['my secret prompt', 'sk-test-0123456789abcdef', 'the secret answer']
  const echoing = await server(
    [
      request => status(400, { error: { message: `Bad request: ${request.body} for ${String(request.headers.authorization)}` } }),
      request => status(401, `Invalid key ${String(request.headers.authorization)}`),
      status(503),
    ],
    { format: 'deepseek' },
  )
  const local = await server([answer(text), answer(['half', ' an answer'], { cutAfterChunks: 1 })], { format: 'llama' })
  const lines: unknown[] = []
  const write = (level: string) => (fields: object, message: string) => void lines.push({ level, message, ...fields })
  const make = () =>
    createClient({
      chain: [deepseek({ baseURL: echoing.baseURL, apiKey: key, retry: 0 }), llama({ baseURL: local.baseURL, retry: 0 })],
      logger: { debug: write('debug'), info: write('info'), warn: write('warn') },
    })
  for (let round = 0; round < 3; round += 1) {
    const client = make()
    onTestFinished(async () => client.close())
    const result = await client.generate({ prompt, system: prompt, metadata: { note: prompt } }).catch((error: unknown) => error)
    if (round === 0) expect(result).toMatchObject({ text })
  }
  expect(lines).toMatchObject([
    { level: 'warn', message: 'attempt failed', provider: 'deepseek', status: 400 },
    { level: 'info', message: 'call answered', provider: 'llama', attempts: 2 },
    { message: 'health changed', state: 'gated', reason: 'authentication' },
    ...[{ status: 401 }, { reason: 'truncated' }, { message: 'no target answered the call' }],
    ...[{ status: 503 }, { reason: 'truncated' }, { message: 'no target answered the call' }],
  ])
  const written = JSON.stringify(lines)
  for (const secret of [prompt, key, text, 'half']) expect(written).not.toContain(secret)
})

test('one table decides about retry and fallback, and every entry does what it says, in a stream as well (R14, R18, R20)', async ({
  clock,
}) => {
  for (const [error, { decision }] of Object.entries(policy) as [FailureReason, { decision: string }][]) {
    for (const ask of ['generate', 'stream'] as const) {
      const first = fakeTarget({ error }, { clock, name: 'first', model: 'm1', retry: 2 })
      const second = fakeTarget('second', { clock, name: 'second', model: 'm2', retry: 0 })
      const client = createClient({ chain: [first, second], clock, breaker: false })
      const work = ask === 'generate' ? client.generate('Hi') : client.stream('Hi').then(async stream => stream.result())
      const outcome = await clock.until(work.catch((thrown: unknown) => thrown))
      expect([error, first.provider.calls.length]).toEqual([error, decision === 'retry' ? 3 : 1])
      if (decision === 'stop') expect(outcome).toMatchObject({ reason: error })
      else expect(outcome).toMatchObject({ text: 'second', model: 'm2' })
    }
  }
})

test('counters are apart: what one target uses up of its retries leaves every other its own (R56, R57)', async ({ clock }) => {
  const chain = [3, 0, 2].map((retry, index) =>
    fakeTarget({ error: 'overloaded' }, { clock, name: `t${index}`, retry: { maxRetries: retry, rounds: 1 } }),
  )
  const poor = fakeTarget({ error: 'quota' }, { clock, name: 'poor', retry: 9 })
  const client = createClient({ chain: [poor, ...chain], clock, breaker: false })
  await clock.until(client.generate('Hi').catch(() => {}))
  expect([poor, ...chain].map(({ provider }) => provider.calls.length)).toEqual([1, 4, 1, 3])
})

test('one deadline holds for all attempts and waits together, and it is on by default (R76, R90, R91)', async ({ clock }) => {
  const slow = (name: string): FakeReply => ({ error: 'overloaded', headersAfterMs: 14_000, requestId: name })
  const make = (totalMs?: number) => {
    const chain = Array.from({ length: 12 }, (_, index) => fakeTarget(slow(`t${index}`), { clock, name: `t${index}`, retry: 3 }))
    return createClient({ chain, clock, hedge: false, breaker: false, timeout: totalMs === undefined ? {} : { totalMs } })
  }
  for (const totalMs of [undefined, 30_000]) {
    const startedAt = clock.now()
    await expect(clock.until(make(totalMs).generate('Hi'))).rejects.toMatchObject({ name: 'ChainExhaustedError' })
    expect(clock.now() - startedAt).toBeLessThanOrEqual(totalMs ?? 120_000)
  }
  const gated = fakeTarget({ error: 'rate-limit', retryAfterMs: 3_600_000 }, { clock })
  const startedAt = clock.now()
  await expect(clock.until(createClient({ chain: [gated], clock }).generate('Hi'))).rejects.toMatchObject({ status: 429 })
  expect(clock.now() - startedAt).toBeLessThan(1_000)
})

test('while a tool call is written the silence may last twice as long, and then no longer (R74)', async ({ clock }) => {
  const toolCalls = [1, 2].map(input => ({ toolName: 'note', input }))
  const tools = { note: { inputSchema: { type: 'object' } } } as const
  const ended = async (chunkEveryMs: number) => {
    const target = fakeTarget({ text: 'x', toolCalls, chunkEveryMs }, { clock, retry: 0 })
    const text = fakeTarget({ text: ['x', 'y', 'z'], chunkEveryMs }, { clock, retry: 0 })
    const timeout = { chunkMs: 1_000 }
    const outcomes = [
      createClient({ chain: [target], clock, timeout }).generate({ prompt: 'Hi', tools }),
      createClient({ chain: [text], clock, timeout }).generate('Hi'),
    ]
    const settled = await clock.until(Promise.allSettled(outcomes))
    return settled.map(outcome => outcome.status)
  }
  expect(await ended(900)).toEqual(['fulfilled', 'fulfilled'])
  // from the first delta of the tool call on there is more patience; before it there is none
  expect(await ended(1_500)).toEqual(['rejected', 'rejected'])
  const patient = fakeTarget({ toolCalls, chunkEveryMs: 1_900 }, { clock, retry: 0 })
  const client = createClient({ chain: [patient], clock, timeout: { chunkMs: 1_000 } })
  expect(await clock.until(client.generate({ prompt: 'Hi', tools }))).toMatchObject({ toolCalls: [{ input: 1 }, { input: 2 }] })
  const silent = fakeTarget({ toolCalls, chunkEveryMs: 2_100 }, { clock, retry: 0 })
  const other = createClient({ chain: [silent], clock, timeout: { chunkMs: 1_000 } })
  await expect(clock.until(other.generate({ prompt: 'Hi', tools }))).rejects.toMatchObject({ attempts: [{ clock: 'chunk' }] })
})

test('a finish and a clock at the same moment: the whole answer wins, and the breaker is not charged (R77)', async ({
  clock,
}) => {
  for (const atMs of [999, 1_000]) {
    let turn = 0
    const target = {
      model: 'm',
      retry: 0,
      provider: {
        name: 'tight',
        async stream(_: unknown, { emit }: { emit(event: object): boolean }) {
          turn += 1
          emit({ type: 'text-delta', text: 'whole' })
          await new Promise<void>(resolve => void clock.setTimeout(resolve, atMs))
          emit({ type: 'finish', finishReason: 'stop' })
          // the connection is done a little later than the answer, at the moment of the clock
          await new Promise<void>(resolve => void clock.setTimeout(resolve, 1_000 - atMs + 1))
        },
      },
    }
    const client = createClient({ chain: [target] as never, clock, timeout: { chunkMs: atMs + 1, totalMs: 1_001 } })
    for (let call = 1; call <= 4; call += 1) {
      expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'whole', attempts: [{ outcome: 'answered' }] })
      expect(turn).toBe(call)
    }
    expect(client.health()).toMatchObject([{ state: 'closed' }])
  }
})

test('nothing of one attempt reaches the next: a closed connection, an end or a finish of the first counts there only (R10, R11)', async ({
  server,
}) => {
  for (const conduct of [
    { cutAfterChunks: 1, cutBy: 'rst' },
    { noFinish: true },
    { errorAfterChunks: 1, errorThen: 'done' },
  ] as const) {
    const target = await server([answer(['first', ' try'], conduct), answer(['second', ' try'])], { format: 'deepseek' })
    const client = createClient({
      chain: [deepseek({ baseURL: target.baseURL, apiKey: 'sk-test-0123456789abcdef' })],
      ...{ retry: { baseDelayMs: 1 }, afterFirstToken: 'restart' as const },
    })
    onTestFinished(async () => client.close())
    const stream = await client.stream('Hi')
    expect(await stream.text()).toBe('second try')
    expect(await stream.result()).toMatchObject({
      finishReason: 'stop',
      attempts: [{ outcome: 'failed' }, { outcome: 'answered' }],
    })
  }
})

test('an error that comes late, from an iterator or a timer of a provider, is still inside the attempt and leads on (R3)', async ({
  clock,
}) => {
  const late = fakeTarget(
    { error: new ProviderError('Deferred.', { reason: 'network' }), connectAfterMs: 3_000 },
    { clock, name: 'late', retry: 0 },
  )
  const client = createClient({ chain: [late, fakeTarget('Here.', { clock })], clock })
  const stream = await clock.until(client.stream('Hi'))
  expect(await clock.until(stream.text())).toBe('Here.')
  // nor does what comes before the first content open the stream
  const begun = {
    model: 'm',
    retry: 0,
    provider: {
      name: 'begun',
      async stream(_: unknown, { emit }: { emit(event: object): boolean }) {
        emit({ type: 'headers', status: 200, headers: {} })
        emit({ type: 'response-metadata', id: 'a' })
        emit({ type: 'warning', setting: 'seed', message: 'Left out.' })
        emit({ type: 'text-delta', text: '' })
        await new Promise<void>(resolve => void clock.setTimeout(resolve, 3_000))
        throw new ProviderError('Deferred.', { reason: 'network' })
      },
    },
  }
  const other = createClient({ chain: [begun, fakeTarget('Here.', { clock })] as never, clock })
  const healed = await clock.until(other.stream('Hi'))
  expect(await clock.until(healed.text())).toBe('Here.')
})
