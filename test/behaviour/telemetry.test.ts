import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import * as fc from 'fast-check'
import {
  type ClientEvent,
  createClient,
  deepseek,
  llama,
  pool,
  runTools,
  type TelemetryAttempt,
  type TelemetryHooks,
  type TelemetryPart,
} from 'unbusy'
import { answer, fakeTarget, hang, status } from 'unbusy/testing'
import { expect, onTestFinished, vi } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

const bug = () => {
  throw new Error('a bug in a part')
}

/** Parts that do wrong whatever can be done wrong around a request. */
const faulty: Readonly<Record<string, TelemetryHooks>> = {
  'throws before it': { around: bug },
  'throws after it': {
    async around(_, run) {
      await run()
      bug()
    },
  },
  'does not make it': { around: () => undefined },
  'makes it twice': { around: (_, run) => [run(), run()] },
  'makes it twice and throws': {
    around(_, run) {
      void run()
      void run()
      bug()
    },
  },
  'makes it later': { around: async (_, run) => Promise.resolve().then(run) },
  rejects: { around: async () => Promise.reject(new Error('a bug in a part')) },
  'has headers that throw': { headers: bug },
  'has headers that are promised, and fail': { headers: (async () => Promise.reject(new Error('x'))) as never },
  'has headers that cannot be sent': {
    headers: () => ({ 'bad name': 'x', 'x-a': 'a\r\nb: c', 'content-length': '3', host: 'evil' }),
  },
  'has headers of other types': { headers: () => ({ 'x-a': 5, 'x-b': undefined }) as never },
  'has a listener that throws': { onEvent: bug },
}

test.for(Object.entries(faulty))('a part that %s: exactly one request, and the answer', async ([, part], { server }) => {
  const unhandled: unknown[] = []
  const onUnhandled = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', onUnhandled)
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled))
  const seen: string[] = []
  const watching: TelemetryPart = { around: (_, run) => (seen.push('around'), run()), headers: () => ({ 'x-mine': 'yes' }) }
  for (const telemetry of [[part], [part, watching], [watching, part]]) {
    seen.length = 0
    const asked = await server(answer(['Hello.']))
    const client = createClient({ chain: [deepseek({ baseURL: asked.baseURL, apiKey: 'sk-test' })], telemetry })
    expect((await client.generate('Hi')).text).toBe('Hello.')
    await client.close()
    expect(asked.requests).toHaveLength(1)
    expect(seen).toHaveLength(telemetry.length - 1)
    expect(asked.requests[0]?.headers['x-mine']).toBe(telemetry.length === 2 ? 'yes' : undefined)
    expect(asked.requests[0]?.headers['x-a']).toBeUndefined()
  }
  await new Promise(resolve => void setImmediate(resolve))
  expect(unhandled).toEqual([])
})

test('around stands around each request, also of a hedge and a retry, nested in the order of the parts', async ({ clock }) => {
  const order: string[] = []
  const part = (name: string): TelemetryPart => ({
    around(attempt, run) {
      order.push(`${name}+ ${attempt.provider} ${attempt.attempt} ${attempt.kind}`)
      const request = run()
      order.push(`${name}-`)
      return request
    },
  })
  const chain = [fakeTarget([{ error: 'overloaded' }, 'Hi.'], { clock, name: 'a' })]
  const client = createClient({ chain, clock, telemetry: [part('x'), part('y')] })
  expect((await clock.until(client.generate('Hi'))).text).toBe('Hi.')
  expect(order).toEqual([...['x+ a 1 first', 'y+ a 1 first', 'y-', 'x-'], ...['x+ a 2 retry', 'y+ a 2 retry', 'y-', 'x-']])
  expect(chain[0]?.provider.calls).toHaveLength(2)
})

test('what runs inside of around has its async context, over a shared connection too', async ({ server }) => {
  const { baseURL } = await server(answer(['Hello.']), { format: 'llama' })
  const store = new AsyncLocalStorage<string>()
  const seen: (readonly [number, string | undefined])[] = []
  const client = createClient({
    chain: [llama({ baseURL })],
    telemetry: [
      { around: (attempt, run) => store.run(`call ${attempt.callId}`, run) },
      { headers: attempt => (seen.push([attempt.callId, store.getStore()]), {}) },
    ],
  })
  onTestFinished(async () => client.close())
  for (let call = 1; call <= 3; call += 1) await client.generate('Hi')
  expect(seen).toEqual([
    [1, 'call 1'],
    [2, 'call 2'],
    [3, 'call 3'],
  ])
})

test('headers go under those of the provider, and are asked for each request', async ({ server }) => {
  const { baseURL, requests } = await server([status(503), answer(['Hello.'])], { format: 'deepseek' })
  const client = createClient({
    chain: [deepseek({ baseURL, apiKey: 'sk-test', headers: { 'X-Team': 'ours' } })],
    telemetry: [
      { headers: ({ attempt }) => ({ Traceparent: `00-${attempt}`, 'x-team': 'theirs', authorization: 'Bearer stolen' }) },
    ],
  })
  onTestFinished(async () => client.close())
  await client.generate('Hi')
  expect(requests.map(({ headers }) => [headers['traceparent'], headers['x-team'], headers['authorization']])).toEqual([
    ['00-1', 'ours', 'Bearer sk-test'],
    ['00-2', 'ours', 'Bearer sk-test'],
  ])
})

test('a request that is sent again, changed, is an attempt with headers of its own', async ({ server }) => {
  const message =
    "This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (100 in the messages, 5000 in the completion)."
  const { baseURL, requests } = await server([status(400, { error: { message } }), answer(['Hello.'])])
  const client = createClient({
    chain: [deepseek({ baseURL, apiKey: 'sk-test' })],
    telemetry: [{ headers: ({ attempt }) => ({ 'x-attempt': String(attempt) }) }],
  })
  onTestFinished(async () => client.close())
  await client.generate({ prompt: 'Hi', maxOutputTokens: 5_000 })
  expect(requests.map(({ headers }) => headers['x-attempt'])).toEqual(['1', '2'])
})

test('what a part is given holds no messages, prompts, tools or answers unless it asks for content', async ({ server }) => {
  const { baseURL } = await server([status(500, { error: { message: 'cannot say PROMPT-7' } }), answer(['ANSWER-7'])])
  const tools = { 'TOOL-7': { description: 'TOOL-7', inputSchema: z.object({ city: z.string() }) } }
  const input = {
    ...{ prompt: 'PROMPT-7', system: 'SYSTEM-7', tools, temperature: 0.3, maxOutputTokens: 7, metadata: { user: 'u1' } },
    ...{ extraBody: { note: 'EXTRA-7' } },
  }
  const given = async (content: boolean | undefined) => {
    const told: unknown[] = []
    const part: TelemetryPart = {
      content,
      onEvent: event => void told.push(event),
      around: (attempt, run) => (told.push(attempt), run().then(value => told.push({ value }))),
      headers: attempt => (told.push(attempt), {}),
      onAnswer: (attempt, answered) => void told.push(attempt, answered),
    }
    const client = createClient({ chain: [deepseek({ baseURL, apiKey: 'sk-secret-0123456789' })], telemetry: [part] })
    await client.generate(input)
    await client.close()
    return JSON.stringify(told)
  }
  for (const content of [undefined, false]) {
    const told = await given(content)
    expect(told.match(/(PROMPT|SYSTEM|TOOL|EXTRA|ANSWER)-7|sk-secret/g)).toBeNull()
    expect(told).toContain('"temperature":0.3')
    expect(told).toContain('"user":"u1"')
  }
  const told = await given(true)
  expect(new Set(told.match(/(PROMPT|SYSTEM|TOOL|EXTRA|ANSWER)-7|sk-secret/g))).toEqual(
    new Set(['PROMPT-7', 'SYSTEM-7', 'TOOL-7', 'EXTRA-7', 'ANSWER-7']),
  )
})

test('attach is called once for each client, with health() and status(), and its close() with the client', async () => {
  const told: string[] = []
  let made = 0
  const part: TelemetryPart = {
    attach(client) {
      const name = `client ${(made += 1)}`
      told.push(`${name}: ${client.health().length} targets, ${client.status().recent.answered} answers`)
      return { onEvent: ({ type }) => void told.push(`${name} ${type}`), close: () => void told.push(`${name} closed`) }
    },
  }
  for (let each = 0; each < 2; each += 1) {
    const client = createClient({ chain: [fakeTarget('Hi.'), fakeTarget('Hi.')], telemetry: [part] })
    await client.generate('Hi')
    await client.close()
    await client.close()
  }
  const events = ['call-start', 'attempt-start', 'attempt-end', 'commit', 'call-end']
  expect(told).toEqual(
    [1, 2].flatMap(number => [
      `client ${number}: 2 targets, 0 answers`,
      ...events.map(type => `client ${number} ${type}`),
      `client ${number} closed`,
    ]),
  )
})

test('close() tells parts of the end of every call first, and needs no timer for it', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const told: string[] = []
  const part: TelemetryPart = { onEvent: ({ type }) => void told.push(type), close: () => void told.push('closed') }
  const chain = [fakeTarget({ hang: true }), fakeTarget({ error: 'quota' })]
  const client = createClient({ chain, telemetry: [part] })
  const stream = client.stream('Hi').catch(() => {})
  const whole = client.generate('Hi').catch(() => {})
  await Promise.resolve()
  await client.close()
  await Promise.all([stream, whole])
  expect(told.filter(type => type === 'call-end')).toHaveLength(2)
  expect(told.at(-1)).toBe('closed')
})

test('a part whose attach throws, or returns no hooks, rejects createClient and leaves nothing open', () => {
  let closed = 0
  const before: TelemetryPart = { attach: () => ({ close: () => void (closed += 1) }) }
  const make = (part: unknown) => () => createClient({ chain: [fakeTarget('Hi.')], telemetry: [before, part as TelemetryPart] })
  expect(make({ attach: bug })).toThrow('a bug in a part')
  expect(make({ attach: () => undefined })).toThrow(/telemetry\[1\]: attach must return an object of hooks/)
  expect(make({ attach: () => ({ onEvent: 'x' }) })).toThrow(/telemetry\[1\]: attach returned onEvent, which is not a function/)
  // hooks that are promised would be missing without a word
  expect(make({ attach: async () => ({ onEvent: () => {} }) })).toThrow(/telemetry\[1\]: attach returned a promise/)
  expect(make({ attach: async () => Promise.reject(new Error('a bug in a part')) })).toThrow(TypeError)
  expect(closed).toBe(5)
})

test.for([
  ['openTelemetry', /telemetry must be a list/],
  [[() => ({})], /telemetry\[0\] is a function. Call it/],
  [['otel'], /telemetry\[0\] must be what openTelemetry\(\) or prometheus\(\) returns, not a string/],
  [[{}], /telemetry\[0\] does nothing: it needs one of the functions onEvent/],
  [[{ around: 1 }], /telemetry\[0\].around must be a function, not 1/],
  [[{ onEvent: () => {}, content: 'yes' }], /telemetry\[0\].content must be true or false, not a string/],
] as const)('telemetry %j is a TypeError that says what to write', ([telemetry, words]) => {
  expect(() => createClient({ chain: [fakeTarget('Hi.')], telemetry: telemetry as never })).toThrow(words)
  expect(() => createClient({ chain: [fakeTarget('Hi.')], telemetry: telemetry as never })).toThrow(TypeError)
})

test('events say whether it is a stream, when it was on a calendar, whom and how', async ({ server, events }) => {
  const { baseURL } = await server(answer(['Hello.']))
  const client = createClient({ chain: [deepseek({ baseURL, apiKey: 'sk-test' })], onEvent: events.listener })
  onTestFinished(async () => client.close())
  const before = Date.now()
  await client.generate({ prompt: 'Hi', temperature: 0.2, topP: 0.9, maxOutputTokens: 50, seed: 3, stopSequences: ['x'] })
  await (await client.stream('Hi')).text()
  expect(events.of('call-start').map(({ stream }) => stream)).toEqual([false, true])
  expect(events.of('call-end').map(({ stream }) => stream)).toEqual([false, true])
  for (const { at, epochOffsetMs } of events.of('call-start')) {
    expect(at + epochOffsetMs).toBeGreaterThanOrEqual(before - 1)
    expect(at + epochOffsetMs).toBeLessThanOrEqual(Date.now() + 1)
  }
  expect(events.of('attempt-start')[0]).toMatchObject({
    ...{ address: '127.0.0.1', port: Number(new URL(baseURL).port), stream: true },
    settings: { temperature: 0.2, topP: 0.9, maxOutputTokens: 50, seed: 3, stopSequences: ['x'], outputType: 'text' },
  })
})

test('health-change tells which of two targets of one model it is', async ({ clock, events }) => {
  const chain = [
    pool([fakeTarget('Hi.', { clock }), fakeTarget('Hi.', { clock })]),
    fakeTarget({ error: 'quota' }, { clock, name: 'fake' }),
    fakeTarget('Hi.', { clock }),
  ]
  const client = createClient({ chain: [chain[1] ?? '', chain[0] ?? ''] as never, clock, onEvent: events.listener })
  await clock.until(client.generate('Hi'))
  expect(events.of('health-change')).toEqual([expect.objectContaining({ targetIndex: 0, step: 0, state: 'gated' })])
})

test('runTools: a step around its call, a tool around what it executes, each ended once, also where it never settles', async ({
  clock,
}) => {
  const calls = (names: readonly string[]) => ({
    toolCalls: names.map((toolName, index) => ({ toolCallId: `c${index}`, toolName, input: { city: 'CITY-7' } })),
  })
  const told: string[] = []
  const here = new AsyncLocalStorage<string>()
  const part = (content: boolean): TelemetryPart => ({
    content,
    aroundStep: ({ step }, run) => here.run(`step ${step}`, async () => told.push(`step ${step} ${JSON.stringify(await run())}`)),
    aroundTool: (tool, run) =>
      here.run(`tool ${tool.toolName}`, async () => told.push(`${JSON.stringify(tool)} ${JSON.stringify(await run())}`)),
  })
  const inputSchema = z.object({ city: z.string() })
  const seen: (string | undefined)[] = []
  const controller = new AbortController()
  const tools = {
    weather: { inputSchema, execute: () => (seen.push(here.getStore()), 'cold') },
    broken: { inputSchema, execute: () => Promise.reject(new RangeError('far')) },
    stuck: { inputSchema, execute: async () => (controller.abort(new Error('left')), new Promise(() => {})) },
  }
  const run = async (content: boolean, names: readonly string[]) => {
    const client = createClient({ chain: [fakeTarget([calls(names), 'Done.'], { clock })], clock, telemetry: [part(content)] })
    const outcome = await clock
      .until(runTools(client, { prompt: 'Hi', signal: controller.signal }, { tools }).then(({ text }) => text))
      .catch((error: unknown) => String(error))
    await client.close()
    return [outcome, ...told.splice(0)]
  }
  expect(await run(false, ['weather', 'broken'])).toEqual([
    'Done.',
    '{"step":1,"toolName":"weather","toolCallId":"c0"} {}',
    '{"step":1,"toolName":"broken","toolCallId":"c1"} {"errorType":"RangeError"}',
    'step 1 {}',
    'step 2 {}',
  ])
  expect(seen).toEqual(['tool weather'])
  expect((await run(true, ['weather'])).slice(0, 2)).toEqual([
    'Done.',
    '{"step":1,"toolName":"weather","toolCallId":"c0","input":{"city":"CITY-7"}} {"result":"cold"}',
  ])
  expect(await run(false, ['stuck'])).toEqual([
    'Error: left',
    '{"step":1,"toolName":"stuck","toolCallId":"c0"} {"errorType":"Error"}',
    'step 1 {"errorType":"Error"}',
  ])
})

test('diagnostics_channel: events of calls and attempts for whoever subscribes, also after the client was made', async () => {
  const told: { readonly channel: string; readonly event: ClientEvent & { readonly clientId: number } }[] = []
  const listen = (event: unknown, channel: string | symbol) => void told.push({ channel: String(channel), event: event as never })
  const clients = [createClient({ chain: [fakeTarget('Hi.')] }), createClient({ chain: [fakeTarget('Hi.')], onEvent: () => {} })]
  for (const client of clients) await client.generate('Hi')
  subscribe('unbusy:call', listen)
  subscribe('unbusy:attempt', listen)
  for (const client of clients) await client.generate('Hi')
  unsubscribe('unbusy:call', listen)
  unsubscribe('unbusy:attempt', listen)
  for (const client of clients) await client.generate('Hi')
  const expected = ['call call-start', 'attempt attempt-start', 'attempt attempt-end', 'call commit', 'call call-end']
  expect(told.map(({ channel, event }) => `${channel.slice('unbusy:'.length)} ${event.type}`)).toEqual([...expected, ...expected])
  const [first, second] = new Set(told.map(({ event }) => event.clientId))
  expect(second).toBeGreaterThan(first ?? Infinity)
})

test('whatever parts do, each attempt is one request and every start has its end', async () => {
  const hook = fc.constantFrom(...Object.values(faulty), { around: (_: TelemetryAttempt, run: () => unknown) => run() })
  const given = fc.record({
    telemetry: fc.array(hook, { minLength: 1, maxLength: 3 }),
    replies: fc.array(fc.constantFrom('Hi.', { error: 'overloaded' as const }, { error: new Error('a bug in a provider') })),
  })
  const property = fc.asyncProperty(given, async ({ telemetry, replies }) => {
    const target = fakeTarget([...replies, 'Last.'], { retry: { maxRetries: 5, baseDelayMs: 0, maxDelayMs: 0 } })
    let attempts = 0
    const count: TelemetryPart = { onEvent: event => void (attempts += event.type === 'attempt-start' ? 1 : 0) }
    const client = createClient({ chain: [target], breaker: false, telemetry: [...(telemetry as TelemetryPart[]), count] })
    await client.generate('Hi').catch(() => {})
    await client.close()
    expect(attempts).toBe(target.provider.calls.length)
  })
  await fc.assert(property, { numRuns: 100 })
})

test('a silent target with parts that hold nothing leaves nothing open when the client is closed', async ({ server, events }) => {
  const { baseURL } = await server(hang())
  const open = new Set<string>()
  const part: TelemetryPart = {
    async around({ callId, attempt }, run) {
      open.add(`${callId} ${attempt}`)
      await run().catch(() => {})
      open.delete(`${callId} ${attempt}`)
    },
  }
  const client = createClient({
    ...{ chain: [deepseek({ baseURL, apiKey: 'sk-test' })], telemetry: [part], onEvent: events.listener },
  })
  const asked = client.generate('Hi').catch(() => {})
  while (open.size === 0) await new Promise(resolve => void setImmediate(resolve))
  await client.close()
  await asked
  await new Promise(resolve => void setImmediate(resolve))
  expect(open.size).toBe(0)
})
