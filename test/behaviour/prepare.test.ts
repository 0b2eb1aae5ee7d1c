import { expect } from 'vitest'
import { z } from 'zod'
import type { Call } from '../../src/contract.ts'
import { createClient, deepseek, openai } from '../../src/index.ts'
import { answer, fakeClock, fakeTarget, recordEvents } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const clock = fakeClock()
const { until } = clock

test('one target gets its own words, and the others those of the caller', async () => {
  const own = fakeTarget(
    { error: 'quota' },
    { name: 'own', prepare: () => ({ temperature: 0.2, maxOutputTokens: 7, extraBody: { a: 1 } }) },
  )
  const other = fakeTarget('Hello.', { name: 'other' })
  const client = createClient({ chain: [own, other], clock })
  await until(client.generate({ prompt: 'Hi', temperature: 1, seed: 3 }))
  expect(own.provider.calls[0]?.call).toMatchObject({
    temperature: 0.2,
    maxOutputTokens: 7,
    extraBody: { a: 1 },
    seed: 3,
    model: 'fake-1',
  })
  const { call } = other.provider.calls[0]!
  expect([call.temperature, call.maxOutputTokens, call.extraBody]).toEqual([1, undefined, undefined])
})

test('it is asked once for each attempt, and not for one that is not made', async () => {
  let asked = 0
  const prepare = () => ({ seed: ++asked })
  const shaky = fakeTarget([{ error: 'server-error' }, { error: 'server-error' }, 'third'], { retry: 2, prepare })
  const never = fakeTarget('never', { name: 'never', prepare: () => expect.fail('nobody asks it'), refuse: () => undefined })
  const client = createClient({ chain: [shaky, never], clock, breaker: false })
  expect(await until(client.generate('Hi'))).toMatchObject({ text: 'third' })
  expect(shaky.provider.calls.map(({ call }) => call.seed)).toEqual([1, 2, 3])
  expect(asked).toBe(3)
})

test('a repair keeps the prepared words, and prepare sees what was wrong', async () => {
  const seen: Call[] = []
  const prepare = (call: Call) => {
    seen.push(call)
    return { messages: [{ role: 'system' as const, content: 'Be short.' }, ...call.messages] }
  }
  const target = fakeTarget(['no JSON', '{"a":1}'], { prepare })
  const client = createClient({ chain: [target], clock, repair: 1 })
  await until(client.generate({ prompt: 'Hi', output: z.object({ a: z.number() }) }))
  expect(seen.map(({ messages }) => messages.length)).toEqual([1, 3])
  const [, repaired] = target.provider.calls
  expect(repaired?.call.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user'])
})

test.for([
  { made: undefined, own: 5, left: 3 },
  { made: 10, own: 5, left: 3 },
  { made: 5, own: 100, left: 3 },
  { made: undefined, own: 1, left: 1 },
])(
  'a limit of its own is that of the whole answer, also behind a seam: $made and $own leave $left',
  async ({ made, own, left }) => {
    const broken = fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 }, { name: 'broken', retry: 0 })
    const able = fakeTarget('ld.', { name: 'able', capabilities: { prefix: true }, prepare: () => ({ maxOutputTokens: own }) })
    const client = createClient({ chain: [broken, able], clock, afterFirstToken: 'continue' })
    for (const ask of [
      async () => client.generate({ prompt: 'Hi', maxOutputTokens: made }),
      async () => (await client.stream({ prompt: 'Hi', maxOutputTokens: made })).result(),
    ]) {
      expect(await until(ask())).toMatchObject({ text: 'Hello world.' })
      expect(able.provider.calls.at(-1)?.call).toMatchObject({ prefix: { text: 'Hello wor' }, maxOutputTokens: left })
    }
    expect(able.provider.calls).toHaveLength(2)
  },
)

test('what a target can do is judged by the prepared call: an image that was taken out is none', async ({ server }) => {
  const { baseURL, requests } = await server(answer('Hello.'), { format: 'deepseek' })
  const prompt = [{ role: 'user' as const, content: [{ type: 'image' as const, image: 'https://example.org/a.png' }] }]
  const prepare = (): { messages: Call['messages'] } => ({ messages: [{ role: 'user', content: 'A picture of a cat.' }] })
  await using client = createClient({ chain: [deepseek({ baseURL, apiKey: 'k', prepare })] })
  expect(await client.generate({ messages: prompt })).toMatchObject({ text: 'Hello.', attempts: [{ outcome: 'answered' }] })
  expect(requests).toHaveLength(1)
})

test('a target that cannot take the prepared call is skipped, without a trace in its health', async () => {
  const events = recordEvents()
  const refuse = ({ seed }: Call) =>
    seed === 1 ? { reason: 'invalid-request' as const, message: 'No seeds.', ...noFailure } : undefined
  const picky = fakeTarget('never', { name: 'picky', refuse, prepare: () => ({ seed: 1 }) })
  const client = createClient({ chain: [picky, fakeTarget('Hello.')], clock, onEvent: events.listener })
  const { attempts } = await until(client.generate('Hi'))
  expect(attempts).toMatchObject([
    { provider: 'picky', attempt: 0, outcome: 'skipped', reason: 'invalid-request', message: 'No seeds.' },
    { outcome: 'answered' },
  ])
  expect(picky.provider.calls).toEqual([])
  expect(client.health().map(({ inFlight, state }) => [inFlight, state])).toEqual([
    [0, 'closed'],
    [0, 'closed'],
  ])
  events.assertPaired()
})

const noFailure = {
  ...{ provider: '', model: '', status: undefined, retryAfterMs: undefined, requestId: undefined, clock: undefined },
  ...{ contextTokens: undefined, requestedTokens: undefined, concurrencyLimit: undefined },
}

test('a continuation that the target refuses leaves the answer that was paid for', async () => {
  const refuse = ({ prefix }: Call) =>
    prefix === undefined ? undefined : { reason: 'invalid-request' as const, message: 'No.', ...noFailure }
  const target = fakeTarget(
    { text: 'half', finishReason: 'length' },
    { refuse, prepare: () => ({}), capabilities: { prefix: true } },
  )
  const client = createClient({ chain: [target], clock, continueOnLength: 1 })
  expect(await until(client.generate('Hi'))).toMatchObject({ text: 'half', finishReason: 'length' })
})

test('an answer that is as long as `prepare` allows is not continued', async () => {
  const script = ({ maxOutputTokens = 0 }: Call) => ({
    ...{ text: Array.from({ length: maxOutputTokens }, () => 'word '), finishReason: 'length' as const },
    usage: { outputTokens: maxOutputTokens },
  })
  const target = fakeTarget(script, { prepare: () => ({ maxOutputTokens: 4 }), capabilities: { prefix: true } })
  const client = createClient({ chain: [target], clock, continueOnLength: 3 })
  expect(await until(client.generate('Hi'))).toMatchObject({ text: 'word word word word ', finishReason: 'length' })
  expect(target.provider.calls).toHaveLength(1)
})

test('when sees the call as the caller wrote it', async () => {
  const seen: (number | undefined)[] = []
  const when = ({ temperature }: Call) => seen.push(temperature) > 0
  const client = createClient({ chain: [fakeTarget('Hello.', { when, prepare: () => ({ temperature: 0 }) })], clock })
  await until(client.generate({ prompt: 'Hi', temperature: 1 }))
  expect(seen).toEqual([1])
})

test.for([
  ...(['output', 'tools', 'prefix', 'model', 'metadata', 'signal'] as const).map(
    key => [{ [key]: {} }, `returned '${key}'`] as const,
  ),
  [{ temprature: 0 }, "returned 'temprature'"],
  [Promise.resolve({}), 'returned a promise'],
  [undefined, 'returned undefined'],
  [[], 'returned a list'],
  [new Map([['temperature', 0]]), 'returned a'],
  [{ temperature: 'hot' }, 'temperature must be a number'],
  [{ maxOutputTokens: 0 }, 'maxOutputTokens must be a whole number, 1 or more'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content must be a string'],
  [{ toolChoice: { toolName: 'none' } }, "this call has no tool with the name 'none'"],
] as const)('%o is a TypeError, and nothing is sent', async ([value, words]) => {
  const target = fakeTarget('never', { prepare: () => value as object })
  const other = fakeTarget('other')
  const client = createClient({ chain: [target, other], clock })
  for (const ask of ['generate', 'stream'] as const) {
    const error: unknown = await until<unknown>(client[ask]('Hi')).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain(words)
  }
  expect([...target.provider.calls, ...other.provider.calls]).toEqual([])
  expect(client.health()[0]).toMatchObject({ inFlight: 0, state: 'closed' })
})

test('a promise that rejects harms nobody', async () => {
  const prepare = () => Promise.reject(new Error('later')) as unknown as object
  const client = createClient({ chain: [fakeTarget('never', { prepare })], clock })
  await expect(until(client.generate('Hi'))).rejects.toThrow('returned a promise')
})

test('what it throws is the caller’s bug: the call rejects with it, at the first attempt, at a retry and at a continuation', async () => {
  const bug = new Error('a bug of mine')
  const throwsAt = (attempt: number) => {
    let asked = 0
    return () => {
      if (++asked === attempt) throw bug
      return {}
    }
  }
  const spare = fakeTarget('spare')
  const chainOf = (attempt: number, script: Parameters<typeof fakeTarget>[0]) => [
    fakeTarget(script, { retry: 3, prepare: throwsAt(attempt), capabilities: { prefix: true } }),
    spare,
  ]
  for (const [attempt, script] of [
    [1, 'never'],
    [2, [{ error: 'server-error' }, 'never']],
    [2, { text: 'half', finishReason: 'length' }],
  ] as const) {
    const events = recordEvents()
    const client = createClient({ chain: chainOf(attempt, script), clock, onEvent: events.listener, continueOnLength: 1 })
    await expect(until(client.generate('Hi'))).rejects.toBe(bug)
    expect(client.health()[0]).toMatchObject({ inFlight: 0 })
    events.assertPaired()
  }
  expect(spare.provider.calls).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('a hedge and a probe get their own words too', async () => {
  const late = fakeTarget({ text: 'late', headersAfterMs: 14_000 }, { name: 'late' })
  const spare = fakeTarget('spare', { name: 'spare', prepare: () => ({ temperature: 0.5 }) })
  const client = createClient({ chain: [late, spare], clock, hedge: { budget: 1, spend: 1 } })
  expect(await until(client.generate('Hi'))).toMatchObject({ text: 'spare' })
  expect(spare.provider.calls.map(({ call }) => call.temperature)).toEqual([0.5])
})

test('what it writes into the messages reaches no other target', async () => {
  const rude = fakeTarget(
    { error: 'quota' },
    {
      name: 'rude',
      prepare({ messages }) {
        ;(messages as unknown[]).push({ role: 'user', content: 'more' })
        return { messages }
      },
    },
  )
  const other = fakeTarget('Hello.', { name: 'other' })
  await until(createClient({ chain: [rude, other], clock }).generate('Hi'))
  expect(rude.provider.calls[0]?.call.messages).toHaveLength(2)
  expect(other.provider.calls[0]?.call.messages).toHaveLength(1)
})

test('every service takes it, and says no to what is no function', () => {
  expect(openai({ apiKey: 'k', prepare: () => ({ temperature: 0 }) }).prepare).toBeTypeOf('function')
  expect(() => deepseek({ apiKey: 'k', prepare: {} as never })).toThrow('prepare must be a function')
})
