import fc from 'fast-check'
import { expect } from 'vitest'
import { z } from 'zod'
import {
  createClient,
  openaiCompatible,
  type Provider,
  ProviderError,
  runTools,
  sharedHealth,
  type ClientOptions,
  type GenerateInput,
} from '../../src/index.ts'
import {
  answer,
  type FakeAnswer,
  fakeClock,
  fakeTarget,
  recordEvents,
  status,
  type FakeScript,
  type FakeTargetOptions,
} from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const clock = fakeClock()
const { until } = clock
/** A dollar for each token of output: a call with `maxOutputTokens: 10` may cost ten dollars. */
const price = { input: 0, output: 1_000_000 }
const dear = (script: FakeScript, options: FakeTargetOptions = {}) =>
  fakeTarget(script, { name: 'dear', price, retry: 0, ...options })
const cheap = (script: FakeScript = 'cheap', options: FakeTargetOptions = {}) =>
  fakeTarget(script, { name: 'cheap', price: { input: 0, output: 1_000 }, retry: 0, ...options })
const asked = (...targets: readonly ReturnType<typeof fakeTarget>[]) => targets.map(({ provider }) => provider.calls.length)
const usage = (outputTokens: number) => ({ outputTokens })
const failureOf = async (work: Promise<unknown>): Promise<unknown> => until(work.catch((error: unknown) => error))

const ten = { prompt: 'Hi', maxOutputTokens: 10 } as const

test('a target whose worst case would pass maxCost is skipped, and the next one answers', async () => {
  const [first, second] = [dear('dear'), cheap()]
  const events = recordEvents()
  const client = createClient({ chain: [first, second], clock, onEvent: events.listener })
  const result = await until(client.generate({ ...ten, maxCost: 9.99 }))
  expect(result).toMatchObject({
    text: 'cheap',
    attempts: [{ provider: 'dear', outcome: 'skipped', attempt: 0, reason: 'budget', cost: 0 }, { outcome: 'answered' }],
  })
  expect(result.attempts[0]?.message).toBe('It may cost up to $10, but only $9.99 of the `maxCost` of the call is left.')
  expect(events.of('target-skip')).toMatchObject([{ provider: 'dear', reason: 'budget' }])
  expect(await until(client.generate({ ...ten, maxCost: 10 }))).toMatchObject({ text: 'dear' })
  expect(asked(first, second)).toEqual([1, 1])
})

test('where nobody is cheap enough the call fails with budget, and nothing is sent', async () => {
  const first = dear('dear')
  const client = createClient({ chain: [first], clock })
  expect(await failureOf(client.generate({ ...ten, maxCost: 1 }))).toMatchObject({
    reason: 'budget',
    status: 402,
    attempts: [{}],
  })
  expect(await failureOf(client.stream({ ...ten, maxCost: 1 }))).toMatchObject({ reason: 'budget', status: 402 })
  expect(await until(client.generate({ ...ten, maxCost: 1, defaultResponse: 'Later.' }))).toMatchObject({ text: 'Later.' })
  expect(asked(first)).toEqual([0])
})

test('retries, rounds and fallbacks of one call stay below it, and what is not known counts in full', async () => {
  const first = dear({ error: 'server-error' }, { retry: { maxRetries: 7, rounds: 3 } })
  const second = dear({ text: ['a', 'b'], cutAfterChunks: 1 }, { retry: 5 })
  const client = createClient({ chain: [first, second], clock, breaker: false })
  const error = await failureOf(client.generate({ ...ten, maxCost: 35 }))
  expect(error).toMatchObject({
    attempts: [{ worstCost: 10 }, { worstCost: 10 }, { worstCost: 10 }, { reason: 'budget' }, { reason: 'budget' }],
  })
  expect(asked(first, second)).toEqual([3, 0])
})

test('what a refusal or a known usage did not cost is there for the next', async () => {
  const first = dear(
    [
      { error: 'rate-limit', retryAfterMs: 10 },
      { error: 'invalid-output', usage: usage(1) },
    ],
    { retry: 1 },
  )
  const second = dear('second')
  const client = createClient({ chain: [first, second], clock })
  expect(await until(client.generate({ ...ten, maxCost: 11 }))).toMatchObject({ text: 'second' })
  expect(asked(first, second)).toEqual([2, 1])
})

test('no wait before a retry for which there is no money', async () => {
  const first = dear({ error: 'server-error' }, { retry: { maxRetries: 3, baseDelayMs: 5_000, maxDelayMs: 5_000 } })
  const events = recordEvents()
  const client = createClient({ chain: [first, cheap()], clock, onEvent: events.listener })
  expect(await until(client.generate({ ...ten, maxCost: 12 }))).toMatchObject({ text: 'cheap' })
  expect(events.of('wait')).toEqual([])
})

test('a repair is a request too', async () => {
  const output = z.object({ a: z.number() })
  const first = dear(['no JSON', '{"a":1}'])
  const second = cheap('{"a":2}')
  const client = createClient({ chain: [first, second], clock, repair: 3 })
  expect(await until(client.generate({ ...ten, output, maxCost: 15 }))).toMatchObject({ output: { a: 2 } })
  expect(asked(first, second)).toEqual([1, 1])
  expect(await until(client.generate({ ...ten, output, maxCost: 20 }))).toMatchObject({ output: { a: 1 } })
})

test('a repair is weighed with what it adds to the prompt', async () => {
  const ofPrompt = { input: 1_000_000, output: 0 }
  const first = fakeTarget(['x'.repeat(3_000), '{"a":1}'], { name: 'first', price: ofPrompt, retry: 0, prepare: () => ({}) })
  const client = createClient({ chain: [first, cheap('{"a":2}')], clock, repair: 1 })
  const output = z.object({ a: z.number() })
  // the schema and the question are below 100 tokens, the answer that is repaired above 1,000
  expect(await until(client.generate({ ...ten, output, maxCost: 900 }))).toMatchObject({ output: { a: 2 } })
  expect(asked(first)).toEqual([1])
})

test('a request that its provider repeats, changed, is asked for as well', async ({ server }) => {
  const refusal = status(400, { error: { message: "Unsupported parameter: 'temperature' is not supported with this model." } })
  const spare = cheap()
  for (const [maxCost, requests, text] of [
    [15, 2, 'Hello.'],
    [9, 0, 'cheap'],
  ] as const) {
    const { baseURL, requests: seen } = await server([refusal, answer('Hello.')])
    const target = openaiCompatible('m', { baseURL, apiKey: 'k', price, retry: 0 })
    await using client = createClient({ chain: [target, spare] })
    expect(await client.generate({ ...ten, temperature: 1, maxCost })).toMatchObject({ text })
    expect(seen).toHaveLength(requests)
  }
  // a refusal of a kind that may have been billed leaves nothing for the second request
  const tooLong = status(400, { error: { code: 'context_length_exceeded', message: longPrompt } })
  const { baseURL, requests } = await server([tooLong, answer('Hello.')])
  await using client = createClient({ chain: [openaiCompatible('m', { baseURL, apiKey: 'k', price, retry: 0 }), spare] })
  const result = await client.generate({ prompt: 'Hi', maxOutputTokens: 3_000, maxCost: 4_000 })
  expect(result.attempts).toMatchObject(
    [{ reason: 'context-length', cost: undefined }, { reason: 'budget' }, { provider: 'cheap' }].slice(-result.attempts.length),
  )
  expect(result.text).toBe('cheap')
  expect(requests).toHaveLength(1)
})

const longPrompt =
  "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (2000 in the messages, 3000 in the completion). Please reduce the length of the messages or completion."

test('a continuation that would pass it is not asked for: the answer as far as it came is the answer', async () => {
  const target = dear([{ text: 'half', finishReason: 'length' }, ' whole'], { capabilities: { prefix: true } })
  const client = createClient({ chain: [target], clock, continueOnLength: 1 })
  expect(await until(client.generate({ ...ten, maxCost: 12 }))).toMatchObject({ text: 'half', finishReason: 'length' })
  expect(await until(client.generate({ ...ten, maxCost: 30 }))).toMatchObject({ text: ' whole' })
  expect(asked(target)).toEqual([2])
})

test('what is in flight counts: no hedge that would pass it together with the first', async () => {
  const late = dear({ text: 'late', headersAfterMs: 14_000, usage: usage(2) }, { name: 'late' })
  const spare = dear('spare', { name: 'spare' })
  const client = createClient({ chain: [late, spare], clock, hedge: { budget: 1, spend: 1 } })
  expect(await until(client.generate({ ...ten, maxCost: 15 }))).toMatchObject({ text: 'late', attempts: [{ provider: 'late' }] })
  expect(asked(spare)).toEqual([0])
  expect(await until(client.generate({ ...ten, maxCost: 20 }))).toMatchObject({ text: 'spare' })
})

test('money that a lost target gives back may pay another one of the same call', async () => {
  const late = dear({ error: 'rate-limit', headersAfterMs: 14_000 }, { name: 'late' })
  const spare = dear('spare', { name: 'spare' })
  const client = createClient({ chain: [late, spare], clock, hedge: { budget: 1, spend: 1 } })
  const result = await until(client.generate({ ...ten, maxCost: 15 }))
  expect(result.attempts).toMatchObject([
    { provider: 'late', cost: 0 },
    { provider: 'spare', outcome: 'answered' },
  ])
})

test('a probe is a request too', async () => {
  const down = dear([{ error: 'server-error', usage: usage(0) }, 'up again'], { name: 'down' })
  const good = cheap()
  const events = recordEvents()
  const breaker = { consecutiveFailures: 1, openMs: 1_000 }
  const client = createClient({ chain: [down, good], clock, breaker, onEvent: events.listener })
  await until(client.generate(ten))
  await clock.advance(5_000)
  expect(await until(client.generate({ ...ten, maxCost: 5 }))).toMatchObject({ text: 'cheap' })
  expect(asked(down)).toEqual([1])
  await until(client.generate({ ...ten, maxCost: 50 }))
  expect(asked(down)).toEqual([2])
  expect(events.attempts().filter(({ kind }) => kind === 'probe')).toMatchObject([{ provider: 'down', worstCost: 10 }])
})

test('it is the prepared call that is weighed', async () => {
  const short = dear('short', { prepare: () => ({ maxOutputTokens: 3 }) })
  const long = dear('long', { name: 'long', prepare: () => ({ maxOutputTokens: 30 }) })
  const client = createClient({ chain: [long, short], clock })
  const result = await until(client.generate({ ...ten, maxCost: 5 }))
  expect(result).toMatchObject({ text: 'short', attempts: [{ provider: 'long', reason: 'budget' }, { provider: 'dear' }] })
  const only = createClient({ chain: [long], clock })
  expect(await failureOf(only.generate({ ...ten, maxCost: 5 }))).toMatchObject({ reason: 'budget', attempts: [{}] })
  expect(client.health().map(({ inFlight, state }) => [inFlight, state])).toEqual([
    [0, 'closed'],
    [0, 'closed'],
  ])
})

test('a budget of the client is for all its calls, and rolls on', async () => {
  const target = dear({ text: 'Hi.', usage: usage(5) })
  const client = createClient({ chain: [target], clock, budget: { dollars: 20, perMs: 60_000 } })
  for (let call = 0; call < 3; call += 1) await until(client.generate(ten))
  const error = await failureOf(client.generate(ten))
  expect(error).toMatchObject({ reason: 'budget', status: 402 })
  const { retryAfterMs } = error as { retryAfterMs: number }
  expect(retryAfterMs).toBeGreaterThan(50_000)
  expect(retryAfterMs).toBeLessThanOrEqual(62_000)
  await clock.advance(retryAfterMs)
  expect(await until(client.generate(ten))).toMatchObject({ text: 'Hi.' })
})

test('a call without reported usage counts with its worst case for good', async () => {
  const target = dear('Hi.')
  const client = createClient({ chain: [target], clock, budget: { dollars: 25, perMs: Infinity } })
  await until(client.generate(ten))
  await until(client.generate(ten))
  expect(await failureOf(client.generate(ten))).toMatchObject({ reason: 'budget' })
  await clock.advance(1e9)
  expect(await failureOf(client.generate(ten))).toMatchObject({ reason: 'budget', retryAfterMs: undefined })
})

test('calls at the same time share it: what is in flight is held back', async () => {
  const target = dear({ text: 'Hi.', headersAfterMs: 100, usage: usage(1) })
  const client = createClient({ chain: [target, cheap()], clock, budget: { dollars: 29, perMs: 60_000 } })
  const results = await until(Promise.all(Array.from({ length: 8 }, async () => client.generate(ten))))
  expect(results.filter(({ provider }) => provider === 'dear')).toHaveLength(2)
  expect(await until(client.generate(ten))).toMatchObject({ provider: 'dear' })
})

const identity = { origin: 'https://api.example', credential: 'digest' }

test('the budget of a target is that of its identity, and no other target’s', async () => {
  const budget = { dollars: 15, perMs: 60_000 }
  const one = dear('one', { name: 'one', identity, budget })
  const same = dear('same', { name: 'same', identity })
  const other = dear('other', { name: 'other', identity, model: 'other-model' })
  const client = createClient({ chain: [one, same, other], clock })
  expect(await until(client.generate(ten))).toMatchObject({ text: 'one' })
  const result = await until(client.generate(ten))
  expect(result).toMatchObject({ text: 'other', attempts: [{ reason: 'budget' }, { reason: 'budget' }, { outcome: 'answered' }] })
  expect(result.attempts[0]?.message).toContain('`budget` of the target')
  const two = { ...same, budget: { dollars: 16, perMs: 60_000 } }
  expect(() => createClient({ chain: [one, two], clock })).toThrow('write the same budget for both')
  expect(() => createClient({ chain: [one, { ...same, budget: { ...budget } }], clock })).not.toThrow()
})

test('clients of one health spend from one budget of a target', async () => {
  const health = sharedHealth()
  const budget = { dollars: 25, perMs: 60_000 }
  const chain = [dear('Hi.', { identity, budget }), cheap('cheap')]
  const [one, two] = [createClient({ chain, clock, health }), createClient({ chain, clock, health })]
  expect(await until(one.generate(ten))).toMatchObject({ text: 'Hi.' })
  expect(await until(two.generate(ten))).toMatchObject({ text: 'Hi.' })
  expect(await until(one.generate(ten))).toMatchObject({ text: 'cheap' })
  expect(await until(two.generate(ten))).toMatchObject({ text: 'cheap' })
  const other = [dear('Hi.', { identity, budget: { ...budget, dollars: 26 } })]
  expect(() => createClient({ chain: other, clock, health })).toThrow('write the same budget for both')
  // the clients that were there before go on
  expect(await until(two.generate({ prompt: 'Hi', maxOutputTokens: 5 }))).toMatchObject({ text: 'Hi.' })
})

test('a client spends from the budget that a later client of its health gave to the same target', async () => {
  const health = sharedHealth()
  const early = createClient({ chain: [dear('Hi.', { identity }), cheap('cheap')], clock, health })
  expect(await until(early.generate(ten))).toMatchObject({ text: 'Hi.' })
  const budget = { dollars: 15, perMs: 60_000 }
  const late = createClient({ chain: [dear('Hi.', { identity, budget }), cheap('cheap')], clock, health })
  expect(await until(early.generate(ten))).toMatchObject({ text: 'Hi.' })
  expect(await until(late.generate(ten))).toMatchObject({ text: 'cheap' })
  expect(await until(early.generate(ten))).toMatchObject({ text: 'cheap' })
})

test('a target without a price is skipped, unless it is at a private address', async () => {
  const at = (origin: string) => fakeTarget('Hello.', { name: origin, identity: { origin, credential: '' } })
  const known = async (target: ReturnType<typeof fakeTarget>) =>
    failureOf(createClient({ chain: [target], clock }).generate({ ...ten, maxCost: 1 }))
  for (const origin of ['http://127.0.0.1:8000', 'http://localhost:1', 'http://10.0.0.7', 'http://[::1]:80', 'http://gpu.local'])
    expect(await known(at(origin))).toMatchObject({ text: 'Hello.' })
  for (const target of [at('https://api.example.com'), at('not an address'), fakeTarget('Hello.')])
    expect(await known(target)).toMatchObject({
      reason: 'budget',
      attempts: [{ message: expect.stringContaining('no `price`') }],
    })
})

test('what is free is never skipped, however little is left', async () => {
  const free = fakeTarget('free', { name: 'free', price: { input: 0, output: 0 } })
  const client = createClient({ chain: [dear('dear'), free], clock, budget: { dollars: 0, perMs: 60_000 } })
  expect(await until(client.generate({ prompt: 'Hi', maxCost: 0 }))).toMatchObject({ text: 'free', warnings: [] })
})

test('without maxOutputTokens 4,096 tokens are counted, and a warning says so', async () => {
  const target = dear('Hello.')
  const client = createClient({ chain: [target], clock })
  expect(await failureOf(client.generate({ prompt: 'Hi', maxCost: 4_095 }))).toMatchObject({ reason: 'budget' })
  const { warnings } = await until(client.generate({ prompt: 'Hi', maxCost: 4_096 }))
  expect(warnings).toMatchObject([
    { provider: 'dear', setting: 'maxOutputTokens', message: expect.stringContaining('4096 output tokens') },
  ])
  const stream = await until(client.stream({ prompt: 'Hi', maxCost: 4_096 }))
  const types = []
  for await (const { type } of stream) types.push(type)
  expect(types).toEqual(['warning', 'text-delta', 'finish'])
  expect((await until(client.generate('Hi'))).warnings).toEqual([])
})

test.for([-5, Number.NaN, -Infinity, Infinity])('usage of %s tokens gives no money back', async outputTokens => {
  const target = dear({ text: 'Hi.', usage: { outputTokens } })
  const client = createClient({ chain: [target], clock, budget: { dollars: 25, perMs: Infinity } })
  await until(client.generate(ten))
  await until(client.generate(ten))
  expect(await failureOf(client.generate(ten))).toMatchObject({ reason: 'budget' })
})

test('an aborted call and a provider’s bug hold nothing back', async () => {
  const target = dear([{ hang: true }, { error: new Error('a bug') }, { text: 'Hello.', usage: usage(0) }])
  const client = createClient({ chain: [target], clock, budget: { dollars: 30, perMs: Infinity } })
  const controller = new AbortController()
  const work = client.generate({ ...ten, signal: controller.signal })
  controller.abort(new Error('gone'))
  await expect(until(work)).rejects.toThrow('gone')
  await expect(until(client.generate(ten))).rejects.toThrow('a bug')
  // both counted in full, and neither is in flight any more: ten dollars are left, for as many calls as cost nothing
  for (let call = 0; call < 3; call += 1) expect(await until(client.generate(ten))).toMatchObject({ text: 'Hello.' })
})

test('the highest price counts, without rules that have ended', async () => {
  const of = (rule: { readonly from?: string; readonly until?: string }) =>
    dear('dear', { price: { ...price, rules: [{ ...rule, input: 0, output: 2 * price.output }] } })
  const [ended, coming] = [of({ until: '2026-01-01' }), of({ from: '2026-12-31' })]
  const dated = { ...clock, date: () => Date.parse('2026-06-01') }
  const client = createClient({ chain: [coming, ended], clock: dated })
  expect(await until(client.generate({ ...ten, maxCost: 10 }))).toMatchObject({ targetIndex: 1 })
  expect([asked(coming, ended), (await until(client.generate({ ...ten, maxCost: 10 }))).attempts[1]?.worstCost]).toEqual([
    [0, 1],
    10,
  ])
  await client.close()
})

test('what keeps a server warm is paid from the budgets too', async () => {
  const keepWarm = { prompt: 'The shared prompt.', everyMs: 1_000, paid: true }
  const target = dear('ready', { keepWarm })
  const client = createClient({ chain: [target], clock, budget: { dollars: 2.5, perMs: Infinity } })
  await clock.advance(10_000)
  expect(asked(target)).toEqual([2])
  await client.close()
})

test('what keeps a server warm asks again, changed, only with money for it', async () => {
  let requests = 0
  const failure = new ProviderError('Not so.', { reason: 'invalid-output', usage: { outputTokens: 1 } })
  const provider: Provider = {
    name: 'wordy',
    async stream(_, { emit, signal }) {
      for (let more = 0; more < 5 && !signal.aborted; more += 1) {
        requests += 1
        emit({ type: 'asked-again', failure })
      }
    },
  }
  const target = { provider, model: 'm', price, retry: 0, keepWarm: { prompt: 'P.', everyMs: 1_000, paid: true } } as const
  const client = createClient({ chain: [target], clock, budget: { dollars: 2.5, perMs: Infinity } })
  await clock.advance(10_000)
  expect(requests).toBe(2)
  await client.close()
})

test('runTools: all steps together', async () => {
  const call = { toolCalls: [{ toolName: 'look', input: {} }], usage: usage(8) }
  const target = dear(call)
  const client = createClient({ chain: [target], clock })
  const tools = { look: { inputSchema: z.object({}), execute: () => 'nothing' } }
  const error = await failureOf(runTools(client, { ...ten, maxCost: 25 }, { tools }))
  expect(error).toMatchObject({ name: 'RunToolsError', cause: { reason: 'budget' } })
  for (const maxCost of [-1, '30'] as number[])
    await expect(runTools(client, { ...ten, maxCost }, { tools })).rejects.toThrow('maxCost must be a number of US dollars')
  expect(asked(target)).toEqual([2])
})

test.for([
  ['generate', { maxCost: -1 }, 'maxCost must be a number of US dollars, 0 or more, not -1'],
  ['generate', { maxCost: '1' }, 'maxCost must be a number of US dollars'],
  ['generate', { maxCost: Infinity }, 'maxCost must be a number of US dollars'],
  ['createClient', { budget: 5 }, 'Did you mean { dollars: 5, perMs: 86_400_000 }?'],
  ['createClient', { budget: { dollars: 5 } }, 'budget must be like { dollars: 5, perMs: 86_400_000 }'],
  ['createClient', { budget: { dollars: 5, perMs: 0 } }, 'budget must be like { dollars: 5, perMs: 86_400_000 }'],
  ['createClient', { budget: { dollars: 5, per: 'day' } }, "there is no option 'per'"],
  ['createClient', { budget: { dollars: -5, perMs: 1 } }, 'dollars must be a number of US dollars'],
] as const)('%s: %o is a TypeError', async ([where, given, words]) => {
  const chain = [fakeTarget('Hi')]
  const run = async () => {
    if (where === 'createClient') createClient({ chain, ...(given as Partial<ClientOptions>) })
    else await createClient({ chain }).generate({ prompt: 'Hi', ...(given as Partial<GenerateInput>) })
  }
  const error = await run().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(TypeError)
  expect(String(error)).toContain(words)
})

test('every service takes a budget, and says no to a wrong one', () => {
  expect(openaiCompatible('m', { baseURL: 'http://localhost', budget: { dollars: 1, perMs: 1 } }).budget).toEqual({
    dollars: 1,
    perMs: 1,
  })
  expect(() => openaiCompatible('m', { baseURL: 'http://localhost', budget: { dollars: 1 } as never })).toThrow('budget must be')
})

const limits = { price, retry: 2, capabilities: { prefix: true } }

/** A server that keeps to `maxOutputTokens`. */
function honest(script: readonly FakeAnswer[]): FakeScript {
  return ({ maxOutputTokens = 0 }, attempt) => {
    const reply = script[Math.min(attempt, script.length) - 1]!
    const outputTokens = Math.min(reply.usage?.outputTokens ?? 0, maxOutputTokens)
    return reply.usage === undefined ? reply : { ...reply, usage: { outputTokens } }
  }
}

test('whatever fails and however many call at once: no call passes its maxCost, all together no budget', async () => {
  const reply = fc.oneof(
    fc.record({
      text: fc.constant(['a', 'b', 'c']),
      usage: fc.option(fc.record({ outputTokens: fc.nat(10) }), { nil: undefined }),
    }),
    fc.record({ text: fc.constant(['a', 'b', 'c']), cutAfterChunks: fc.nat(2), chunkEveryMs: fc.nat(3_000) }),
    fc.record({
      error: fc.constantFrom('server-error', 'rate-limit', 'invalid-output'),
      usage: fc.record({ outputTokens: fc.nat(10) }),
    }),
    fc.record({ text: fc.constant('late'), headersAfterMs: fc.nat(14_000) }),
    fc.record({ text: fc.constant('half'), finishReason: fc.constant('length') }),
  )
  const given = fc.record({
    scripts: fc.array(fc.array(reply, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }),
    maxCost: fc.integer({ min: 5, max: 60 }),
    dollars: fc.integer({ min: 10, max: 120 }),
    startsMs: fc.array(fc.nat(90_000), { minLength: 1, maxLength: 8 }),
    afterFirstToken: fc.constantFrom('fail', 'restart', 'continue'),
    leaves: fc.boolean(),
  })
  const perMs = 60_000
  const property = fc.asyncProperty(given, async ({ scripts, maxCost, dollars, startsMs, afterFirstToken, leaves }) => {
    const own = fakeClock()
    const starts: { at: number; callId: number; cost: number }[] = []
    const chain = scripts.map((script, index) =>
      fakeTarget(honest(script as readonly FakeAnswer[]), { name: `t${index}`, ...limits }),
    )
    const began = new Map<string, number>()
    const client = createClient({
      ...{ chain, clock: own, afterFirstToken, continueOnLength: 2, budget: { dollars, perMs }, random: () => 0.5 },
      ...{ hedge: { budget: 1, spend: 1 }, breaker: { consecutiveFailures: 2, openMs: 2_000 } },
      onEvent(event) {
        if (event.type === 'attempt-start') began.set(`${event.callId} ${event.targetIndex} ${event.attempt}`, event.at)
        if (event.type !== 'attempt-end') return
        const { callId, targetIndex, attempt, record } = event
        const at = began.get(`${callId} ${targetIndex} ${attempt}`)!
        starts.push({ at, callId, cost: record.cost ?? record.worstCost! })
      },
    })
    const read = async (stream: AsyncIterable<{ readonly type: string }>) => {
      for await (const { type } of stream) if (leaves && type === 'text-delta') break
    }
    const ask = async (delayMs: number, index: number) => {
      await new Promise<void>(resolve => void own.setTimeout(resolve, delayMs))
      if (index % 2 === 0) await client.generate({ ...ten, maxCost })
      else await read(await client.stream({ ...ten, maxCost }))
    }
    await own.until(Promise.allSettled(startsMs.map(ask)))
    await client.close()
    for (const { at } of starts) {
      const inTime = starts.filter(other => other.at >= at && other.at < at + perMs)
      expect(inTime.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(dollars + 1e-6)
    }
    for (const { callId } of starts) {
      const ofCall = starts.filter(other => other.callId === callId)
      expect(ofCall.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(maxCost + 1e-6)
    }
    for (const { inFlight } of client.health()) expect(inFlight).toBe(0)
    for (const { provider } of chain) expect(provider.active()).toBe(0)
  })
  await fc.assert(property, { numRuns: 150 })
}, 30_000)
