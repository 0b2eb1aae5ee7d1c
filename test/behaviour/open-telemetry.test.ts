import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as fc from 'fast-check'
import * as openTelemetryApi from '@opentelemetry/api'
import { context, type MeterProvider, propagation, trace, type TracerProvider } from '@opentelemetry/api'
import {
  ChainExhaustedError,
  createClient,
  deepseek,
  type FailureReason,
  type Provider,
  ProviderError,
  llama,
  runTools,
  type Target,
} from 'unbusy'
import { openTelemetry, type OpenTelemetryOptions } from 'unbusy/opentelemetry'
import { answer, fakeClock, type FakeReply, fakeTarget, hang, status } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished } from 'vitest'
import { z } from 'zod'
import { attributes as attributeNames, formerNames, metricNames } from '../../src/opentelemetry/names.ts'
import { createSpans } from '../../src/opentelemetry/spans.ts'
import { peers } from '../helpers/peers.ts'
import { flowingTime } from '../helpers/flowing-time.ts'
import { test } from '../helpers/vitest.ts'

const otel = peers('otel')

// what is used of the SDK, whose types are not installed beside the project
type SpanData = {
  readonly name: string
  readonly kind: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly { readonly name: string; readonly attributes?: object }[]
  readonly status: { readonly code: number }
  readonly parentSpanContext?: { readonly spanId: string }
  readonly startTime: readonly [number, number]
  readonly endTime: readonly [number, number]
  readonly ended: boolean
  spanContext(): { readonly spanId: string; readonly traceId: string }
}
type Processor = {
  onStart(span: SpanData): void
  onEnd(span: SpanData): void
  forceFlush(): Promise<void>
  shutdown(): Promise<void>
}
type Point = {
  readonly attributes: Readonly<Record<string, unknown>>
  readonly value: number | { readonly count: number; readonly sum: number }
}
type Collected = {
  readonly resourceMetrics: {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly { readonly descriptor: { readonly name: string }; readonly dataPoints: readonly Point[] }[]
    }[]
  }
}
type Reader = { collect(): Promise<Collected> }
type Sdk = {
  readonly trace: { readonly TracerProvider: new (options: object) => TracerProvider }
  readonly metrics: {
    readonly MeterProvider: new (options: object) => MeterProvider
    readonly MetricReader: new (options?: object) => Reader
  }
  readonly hooks: { readonly AsyncLocalStorageContextManager: new () => Parameters<typeof context.setGlobalContextManager>[0] }
}

let sdk: Sdk

describe.skipIf(otel.isMissing)(`OpenTelemetry with its SDK${otel.suffix}`, () => {
  beforeAll(async () => {
    const [traces, metrics, hooks] = await Promise.all([
      otel.load<Sdk['trace']>('@opentelemetry/sdk-trace'),
      otel.load<Sdk['metrics']>('@opentelemetry/sdk-metrics'),
      otel.load<Sdk['hooks']>('@opentelemetry/context-async-hooks'),
    ])
    sdk = { trace: traces, metrics, hooks }
    context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager())
  })
  afterAll(() => context.disable())

  /** Spans as they begin and end, metrics as they are asked for. */
  function recorder() {
    const started: SpanData[] = []
    const ended: SpanData[] = []
    const processor: Processor = {
      onStart: span => void started.push(span),
      onEnd: span => void ended.push(span),
      forceFlush: async () => {},
      shutdown: async () => {},
    }
    class TestReader extends sdk.metrics.MetricReader {
      async onForceFlush() {}
      async onShutdown() {}
    }
    const reader = new TestReader()
    const tracerProvider = new sdk.trace.TracerProvider({ spanProcessors: [processor] })
    const meterProvider = new sdk.metrics.MeterProvider({ readers: [reader] })
    const metrics = async () => {
      const { resourceMetrics } = await reader.collect()
      const all = resourceMetrics.scopeMetrics.flatMap(scope => scope.metrics)
      return new Map(all.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]))
    }
    const part = (more: OpenTelemetryOptions = {}) => openTelemetry({ tracerProvider, meterProvider, ...more })
    return { started, ended, metrics, part, tracer: tracerProvider.getTracer('test') }
  }

  const spanOf = (spans: readonly SpanData[], name: string) =>
    spans.find(span => span.name === name) ?? expect.fail(`no span ${name}`)
  const parentOf = (span: SpanData) => span.parentSpanContext?.spanId
  const idOf = (span: SpanData) => span.spanContext().spanId

  test('one span for the call, one for each request, by the conventions', async ({ server }) => {
    const { baseURL } = await server([status(503), answer(['Hello.'], { id: 'resp-1', model: 'served-1' })])
    const { started, ended, part } = recorder()
    const client = createClient({ chain: [{ ...deepseek({ baseURL, apiKey: 'sk-test' }), name: 'main' }], telemetry: [part()] })
    onTestFinished(async () => client.close())
    await client.generate({ prompt: 'Hi', temperature: 0.25, maxOutputTokens: 50, reasoning: 'off' })
    expect(ended.map(({ name }) => name)).toEqual(['chat deepseek-flash', 'chat deepseek-flash', 'unbusy.generate'])
    expect(started).toHaveLength(3)
    const [failed, answered, call] = ended
    expect(call).toMatchObject({ kind: 0, status: { code: 0 } })
    expect(call?.attributes).toMatchObject({ 'unbusy.outcome': 'answered', 'unbusy.attempts': 2, 'unbusy.target.index': 0 })
    expect(call?.attributes).not.toHaveProperty('gen_ai.operation.name')
    expect(call?.events.map(({ name }) => name)).toEqual(['unbusy.wait'])
    expect(failed).toMatchObject({ kind: 2, status: { code: 2 } })
    expect(failed?.attributes).toMatchObject({
      ...{ 'error.type': 'overloaded', 'http.response.status_code': 503, 'unbusy.outcome': 'failed', 'unbusy.attempt': 1 },
    })
    expect(answered).toMatchObject({ kind: 2, status: { code: 0 } })
    expect(answered?.attributes).toMatchObject({
      ...{ 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'deepseek', 'gen_ai.request.model': 'deepseek-flash' },
      ...{ 'gen_ai.request.temperature': 0.25, 'gen_ai.request.max_tokens': 50, 'gen_ai.request.stream': true },
      ...{ 'gen_ai.request.reasoning.level': 'off', 'gen_ai.response.id': 'resp-1', 'gen_ai.response.model': 'served-1' },
      ...{
        'gen_ai.response.finish_reasons': ['stop'],
        'server.address': '127.0.0.1',
        'server.port': Number(new URL(baseURL).port),
      },
      ...{ 'unbusy.attempt': 2, 'unbusy.attempt.kind': 'retry', 'unbusy.target.name': 'main', 'unbusy.target.step': 0 },
      ...{ 'gen_ai.usage.input_tokens': expect.any(Number), 'gen_ai.usage.output_tokens': expect.any(Number) },
      'gen_ai.response.time_to_first_chunk': expect.any(Number),
    })
    for (const child of [failed, answered]) expect(child && parentOf(child)).toBe(call && idOf(call))
    expect(Math.abs((call?.startTime[0] ?? 0) - Date.now() / 1_000)).toBeLessThan(60)
    for (const { startTime, endTime } of ended)
      expect(endTime[0] - startTime[0] + (endTime[1] - startTime[1]) / 1e9).toBeGreaterThanOrEqual(0)
  })

  test('parents are right across calls that share a connection, and what runs in a request is its child', async ({ server }) => {
    const { baseURL } = await server(answer(['Hello.']), { format: 'llama' })
    const { ended, part, tracer } = recorder()
    const wire = { around: (_: unknown, run: () => unknown) => (tracer.startSpan('wire').end(), run()) }
    const client = createClient({ chain: [llama({ baseURL })], telemetry: [part(), wire] })
    onTestFinished(async () => client.close())
    const asked = async (name: string, run: () => Promise<unknown>) =>
      tracer.startActiveSpan(name, async span => run().finally(() => span.end()))
    await asked('one', async () => client.generate('Hi'))
    await asked('two', async () => (await client.stream('Hi')).text())
    await asked('three', async () => client.generate('Hi'))
    for (const name of ['one', 'two', 'three']) {
      const user = spanOf(ended, name)
      const inTrace = ended.filter(span => span.spanContext().traceId === user.spanContext().traceId)
      expect(inTrace).toHaveLength(4)
      const call = spanOf(inTrace, name === 'two' ? 'unbusy.stream' : 'unbusy.generate')
      const attempt = spanOf(inTrace, 'chat default')
      expect(parentOf(call)).toBe(idOf(user))
      expect(parentOf(attempt)).toBe(idOf(call))
      expect(parentOf(spanOf(inTrace, 'wire'))).toBe(idOf(attempt))
    }
  })

  test('undici, instrumented, is a child of the attempt, each time', async ({ server }) => {
    type Instrumentation = { setTracerProvider(provider: unknown): void; enable(): void; disable(): void }
    const { UndiciInstrumentation } = await otel.load<{ UndiciInstrumentation: new () => Instrumentation }>(
      '@opentelemetry/instrumentation-undici',
    )
    const { baseURL } = await server(answer(['Hello.']), { format: 'llama' })
    const { ended, part, tracer } = recorder()
    const instrumentation = new UndiciInstrumentation()
    instrumentation.setTracerProvider({ getTracer: () => tracer })
    instrumentation.enable()
    onTestFinished(() => instrumentation.disable())
    const client = createClient({ chain: [llama({ baseURL })], telemetry: [part()] })
    onTestFinished(async () => client.close())
    for (let each = 0; each < 3; each += 1) await client.generate('Hi')
    await new Promise(resolve => void setTimeout(resolve, 20))
    const posts = ended.filter(({ name }) => name === 'POST')
    const attempts = ended.filter(({ name }) => name === 'chat default')
    expect(posts).toHaveLength(3)
    expect(posts.map(parentOf)).toEqual(attempts.map(idOf))
  })

  test('every span that begins ends once: aborts, hedges, breaks, readers that leave, close()', async () => {
    const reply: fc.Arbitrary<FakeReply> = fc.oneof(
      fc.record({ text: fc.constant(['a', 'b', 'c']), chunkEveryMs: fc.nat(900), firstChunkAfterMs: fc.nat(9_000) }),
      fc.record({ text: fc.constant(['a', 'b', 'c']), cutAfterChunks: fc.nat(3) }),
      fc.record({ error: fc.constantFrom<FailureReason[]>('overloaded', 'rate-limit', 'quota', 'content-filter', 'network') }),
      fc.record({ error: fc.constant(new Error('a bug in a provider')) }),
      fc.record({ hang: fc.constant(true) }),
    )
    const given = fc.record({
      scripts: fc.array(fc.array(reply, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
      abortAfterMs: fc.option(fc.nat(20_000)),
      closeAfterMs: fc.option(fc.nat(20_000)),
      leaves: fc.boolean(),
      afterFirstToken: fc.constantFrom('fail', 'restart', 'continue'),
    })
    const property = fc.asyncProperty(given, async ({ scripts, abortAfterMs, closeAfterMs, leaves, afterFirstToken }) => {
      const clock = fakeClock()
      const { started, ended, part } = recorder()
      const chain = scripts.map((script, index) =>
        fakeTarget(script, { clock, name: `t${index}`, price: { input: 1, output: 1 }, capabilities: { prefix: true } }),
      )
      const hedge = { budget: 1, spend: 1 }
      const client = createClient({ ...{ chain, clock, hedge, random: () => 0.5, afterFirstToken }, telemetry: [part()] })
      const controller = new AbortController()
      if (abortAfterMs !== null) clock.setTimeout(() => controller.abort('left'), abortAfterMs)
      if (closeAfterMs !== null) clock.setTimeout(() => void client.close(), closeAfterMs)
      const stream = async () => {
        for await (const event of await client.stream({ prompt: 'Hi', signal: controller.signal })) {
          if (leaves && event.type === 'text-delta') break
        }
      }
      const works = [stream(), client.generate({ prompt: 'Hi', signal: controller.signal }), stream()]
      await clock.until(Promise.allSettled(works))
      await client.close()
      expect(new Set(ended).size).toBe(ended.length)
      expect(started.filter(span => !ended.includes(span)).map(({ name }) => name)).toEqual([])
      expect(started.filter(({ name }) => name.startsWith('unbusy'))).toHaveLength(3)
      const calls = new Map(started.filter(({ name }) => name.startsWith('unbusy')).map(span => [idOf(span), span]))
      for (const attempt of started.filter(({ name }) => name.startsWith('chat'))) {
        const call = calls.get(parentOf(attempt) ?? '')
        expect(call?.spanContext().traceId).toBe(attempt.spanContext().traceId)
      }
    })
    await fc.assert(property, { numRuns: 200 })
  }, 60_000)

  test('a changed request of a probe that outlived its call has a span that ends, whatever ends meanwhile', async ({ clock }) => {
    const { started, ended, part } = recorder()
    const goOn: (() => void)[] = []
    const next = async () => new Promise<void>(resolve => void goOn.push(resolve))
    let requests = 0
    const stream: Provider['stream'] = async (_, { emit }) => {
      requests += 1
      if (requests <= 3) throw new ProviderError('Busy.', { reason: 'overloaded' })
      await next()
      emit({ type: 'asked-again', failure: new ProviderError('No such field.', { reason: 'invalid-request', status: 400 }) })
      await next()
      emit({ type: 'text-delta', text: 'Up.' })
      emit({ type: 'finish', finishReason: 'stop', usage: undefined })
    }
    const probed = { provider: { name: 'probed', stream }, model: 'm', retry: 0 }
    const client = createClient({ chain: [probed, fakeTarget('Hi.', { clock })], clock, telemetry: [part()], hedge: false })
    for (const _ of [1, 2, 3]) await clock.until(client.generate('Hi'))
    await clock.advance(3_000)
    await clock.until(client.generate('Hi'))
    for (const done of [1, 2]) {
      goOn[done - 1]?.()
      await clock.until(client.generate('Hi'))
    }
    expect(ended.filter(({ name }) => name === 'chat m')).toHaveLength(requests + 1)
    expect(started.filter(span => !ended.includes(span))).toEqual([])
  })

  test('the error of a bug is told by its name, whatever reason it has', async ({ clock }) => {
    const { ended, part } = recorder()
    const error = Object.assign(new RangeError('PROMPT'), { reason: 'PROMPT' })
    const client = createClient({ chain: [fakeTarget({ error }, { clock })], clock, telemetry: [part()] })
    await clock.until(client.generate('Hi').catch(() => {}))
    expect(ended.map(({ attributes }) => attributes['error.type'])).toEqual(['_OTHER', 'RangeError'])
  })

  test('a span processor that throws changes no call, and no span is kept for it', async ({ clock }) => {
    const ends = new Map<object, number>()
    const bug = (span: object) => {
      ends.set(span, (ends.get(span) ?? 0) + 1)
      throw new Error('a bug in a span processor')
    }
    const { tracer } = recorder()
    const tracerProvider = {
      getTracer: () => ({
        startSpan: (...given: Parameters<typeof tracer.startSpan>) => {
          const span = tracer.startSpan(...given)
          return Object.assign(span, { end: () => bug(span) })
        },
        startActiveSpan: () => expect.fail('nobody needs it'),
      }),
    }
    const telemetry = [openTelemetry({ tracerProvider })]
    const client = createClient({ chain: [fakeTarget([{ error: 'overloaded' }, 'Hi.'], { clock })], clock, telemetry })
    expect((await clock.until(client.generate('Hi'))).text).toBe('Hi.')
    await client.close()
    expect([...ends.values()]).toEqual([1, 1, 1])
    // what is open when the process exits: the bug in one span leaves no other one open
    const spans = createSpans(openTelemetryApi, tracerProvider.getTracer())
    const event = { type: 'call-start', at: 0, targets: 1, metadata: {}, stream: false, epochOffsetMs: 0 } as const
    for (const callId of [1, 2]) spans.callStarted({ ...event, callId })
    spans.close()
    expect([...ends.values()]).toEqual([1, 1, 1, 1, 1])
  })

  test('close() ends the spans of a request that never ends by itself, and of a default that never settles', async ({
    server,
  }) => {
    const { baseURL } = await server(hang())
    const { started, ended, part } = recorder()
    const target = deepseek({ baseURL, apiKey: 'sk-test' })
    const client = createClient({ chain: [target], telemetry: [part()] })
    const broken = createClient({
      ...{ chain: [fakeTarget({ error: 'quota' })], telemetry: [part()], defaultResponse: async () => new Promise(() => {}) },
    })
    const works = [client.generate('Hi').catch(() => {}), broken.generate('Hi').catch(() => {})]
    while (started.length < 4) await new Promise(resolve => void setImmediate(resolve))
    await Promise.all([client.close(), broken.close()])
    await Promise.all(works)
    expect(ended).toHaveLength(started.length)
  })

  test('a process that exits ends the spans of its calls, and warns of no leak of listeners', async () => {
    const program = join(import.meta.dirname, '../helpers/telemetry-exit.ts')
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--conditions=unbusy-source', program, otel.folder])
    expect(JSON.parse(stdout)).toEqual({ started: 24, ended: 24 })
    expect(stderr).toBe('')
  })

  test('a span of a request that lost its race is no error', async ({ clock }) => {
    const { ended, part } = recorder()
    const chain = [
      fakeTarget(
        { text: ['slow'], firstChunkAfterMs: 60_000 },
        { clock, name: 'a', timeout: { headersMs: 90_000, firstChunkMs: 90_000 } },
      ),
      fakeTarget('fast', { clock, name: 'b', price: { input: 1, output: 1 } }),
    ]
    const client = createClient({ chain, clock, hedge: { budget: 1, spend: 1 }, telemetry: [part()] })
    await clock.until(client.generate('Hi'))
    expect(
      ended.map(span => [
        span.attributes['gen_ai.provider.name'],
        span.attributes['unbusy.attempt.kind'],
        span.attributes['unbusy.outcome'],
        span.status.code,
      ]),
    ).toEqual([
      ['a', 'first', 'abandoned', 0],
      ['b', 'hedge', 'answered', 0],
      [undefined, undefined, 'answered', 0],
    ])
    expect(ended[0]?.attributes).not.toHaveProperty('error.type')
  })

  test('restarts, waits and skips are events of the call; a failed call says why by the same word', async ({ clock }) => {
    const { ended, part } = recorder()
    const chain = [
      fakeTarget([{ text: ['a', 'b'], cutAfterChunks: 1 }, 'whole'], { clock, retry: { maxRetries: 1, baseDelayMs: 100 } }),
    ]
    const client = createClient({ chain, clock, afterFirstToken: 'restart', telemetry: [part()] })
    await clock.until(client.stream('Hi').then(async stream => stream.text()))
    expect(spanOf(ended, 'unbusy.stream').events.map(({ name }) => name)).toEqual(['unbusy.wait', 'unbusy.restart'])
    const gated = createClient({
      chain: [fakeTarget({ error: 'quota' }, { clock }), fakeTarget({ error: 'quota' }, { clock })],
      clock,
      telemetry: [part()],
    })
    await clock.until(gated.generate('Hi').catch(() => {}))
    await clock.until(gated.generate('Hi').catch(() => {}))
    const failed = ended.findLast(({ name }) => name === 'unbusy.generate')
    expect(failed?.events.map(({ name }) => name)).toContain('unbusy.skip')
    expect(failed).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'quota', 'unbusy.outcome': 'failed' } })
  })

  test('runTools(): a span for each step and each tool, and what a tool does is its child', async ({ clock }) => {
    const { ended, part, tracer } = recorder()
    const toolCalls = [
      { toolCallId: 'c1', toolName: 'weather', input: { city: 'Oslo' } },
      { toolCallId: 'c2', toolName: 'broken', input: { city: 'Oslo' } },
    ]
    const client = createClient({ chain: [fakeTarget([{ toolCalls }, 'Cold.'], { clock })], clock, telemetry: [part()] })
    const inputSchema = z.object({ city: z.string() })
    const tools = {
      weather: { inputSchema, execute: () => (tracer.startSpan('lookup').end(), 'cold') },
      broken: { inputSchema, execute: () => Promise.reject(new RangeError('far')) },
    }
    await tracer.startActiveSpan('user', async span => clock.until(runTools(client, 'Hi', { tools })).finally(() => span.end()))
    const steps = ended.filter(({ name }) => name === 'unbusy.step')
    expect(steps.map(({ attributes }) => attributes['unbusy.step'])).toEqual([1, 2])
    for (const step of steps) expect(parentOf(step)).toBe(idOf(spanOf(ended, 'user')))
    const calls = ended.filter(({ name }) => name === 'unbusy.generate')
    expect(calls.map(parentOf)).toEqual(steps.map(idOf))
    const weather = spanOf(ended, 'execute_tool weather')
    expect(parentOf(weather)).toBe(steps[0] && idOf(steps[0]))
    expect(parentOf(spanOf(ended, 'lookup'))).toBe(idOf(weather))
    expect(weather.attributes).toEqual({
      ...{
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': 'weather',
        'gen_ai.tool.call.id': 'c1',
        'gen_ai.tool.type': 'function',
      },
    })
    expect(spanOf(ended, 'execute_tool broken')).toMatchObject({
      status: { code: 2 },
      attributes: { 'error.type': 'RangeError' },
    })
  })

  test('a result that cannot be written as JSON is an error of its tool, and its span ends', async ({ clock }) => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const [content, result] of [...[true, false].flatMap(each => [cycle, { big: 1n }].map(one => [each, one] as const))]) {
      const { started, ended, part } = recorder()
      const toolCalls = [{ toolCallId: 'c1', toolName: 'look', input: { at: '3' } }]
      const chain = [fakeTarget([{ toolCalls }, 'Done.'], { clock })]
      const client = createClient({ chain, clock, telemetry: [part({ content })] })
      const look = { inputSchema: z.object({ at: z.string() }), execute: () => result }
      expect((await clock.until(runTools(client, 'Hi', { tools: { look } }))).text).toBe('Done.')
      expect(ended).toHaveLength(started.length)
      expect(spanOf(ended, 'execute_tool look').attributes).toMatchObject({ 'error.type': 'TypeError' })
    }
  })

  test('a BigInt that a schema made is written into the span as a text', async ({ clock }) => {
    const { ended, part } = recorder()
    const toolCalls = [{ toolCallId: 'c1', toolName: 'look', input: { at: '3' } }]
    const client = createClient({ chain: [fakeTarget({ toolCalls }, { clock })], clock, telemetry: [part({ content: true })] })
    const look = { inputSchema: z.object({ at: z.string().transform(BigInt) }) }
    await clock.until(client.generate({ prompt: 'Hi', tools: { look } }))
    expect(spanOf(ended, 'chat fake-1').attributes['gen_ai.output.messages']).toContain('"arguments":{"at":"3"}')
  })

  test('no prompt, answer, tool or key in any span or metric unless content is true', async ({ server }) => {
    const { baseURL } = await server([
      status(500, { error: { message: 'said PROMPT-7 and sk-secret-0123456789abcdef' } }),
      answer(['ANSWER-7'], { reasoning: ['THOUGHT-7'] }),
    ])
    const words = /(PROMPT|SYSTEM|ANSWER|THOUGHT|TOOL)-7|sk-secret/g
    for (const content of [undefined, false, true]) {
      const { ended, metrics, part } = recorder()
      const chain = [deepseek({ baseURL, apiKey: 'sk-secret-0123456789abcdef' })]
      const client = createClient({ chain, telemetry: [part({ content })] })
      const tools = { look: { description: 'TOOL-7', inputSchema: z.object({}) } }
      await client.generate({ prompt: 'PROMPT-7', system: 'SYSTEM-7', tools })
      const told = JSON.stringify([
        ended.map(({ name, attributes, events, status: { code } }) => ({ name, attributes, events, code })),
        [...(await metrics())],
      ])
      await client.close()
      const expected = content === true ? ['PROMPT-7', 'TOOL-7', 'SYSTEM-7', 'THOUGHT-7', 'ANSWER-7'] : []
      expect(new Set(told.match(words))).toEqual(new Set(expected))
    }
  })

  test('content has the form that the conventions want', async ({ clock }) => {
    const { ended, part } = recorder()
    const client = createClient({ chain: [fakeTarget('Fine.', { clock })], clock, telemetry: [part({ content: true })] })
    const toolCalls = [{ toolCallId: 'c1', toolName: 'look', input: { at: 'it' } }]
    await clock.until(
      client.generate({
        system: 'Be short.',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Hi' },
              { type: 'image', image: 'https://example.com/a.png' },
            ],
          },
          { role: 'assistant', content: '', toolCalls },
          { role: 'tool', toolCallId: 'c1', content: 'seen' },
        ],
      }),
    )
    const { attributes } = spanOf(ended, 'chat fake-1')
    expect(JSON.parse(String(attributes['gen_ai.system_instructions']))).toEqual([{ type: 'text', content: 'Be short.' }])
    expect(JSON.parse(String(attributes['gen_ai.input.messages']))).toEqual([
      {
        role: 'user',
        parts: [
          { type: 'text', content: 'Hi' },
          { type: 'uri', modality: 'image', uri: 'https://example.com/a.png' },
        ],
      },
      {
        role: 'assistant',
        parts: [
          { type: 'text', content: '' },
          { type: 'tool_call', id: 'c1', name: 'look', arguments: { at: 'it' } },
        ],
      },
      { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'seen' }] },
    ])
    expect(JSON.parse(String(attributes['gen_ai.output.messages']))).toEqual([
      { role: 'assistant', parts: [{ type: 'text', content: 'Fine.' }], finish_reason: 'stop' },
    ])
  })

  test('traceparent is sent when asked for, of the attempt, and else not', async ({ server }) => {
    const { baseURL, requests } = await server(answer(['Hello.']), { format: 'llama' })
    const fake = {
      inject: (given: Parameters<typeof trace.getSpanContext>[0], carrier: unknown) =>
        void Object.assign(carrier as object, { traceparent: trace.getSpanContext(given)?.spanId }),
      extract: (given: Parameters<typeof trace.getSpanContext>[0]) => given,
      fields: () => ['traceparent'],
    }
    propagation.setGlobalPropagator(fake)
    onTestFinished(() => propagation.disable())
    const { ended, part } = recorder()
    for (const propagate of [undefined, true]) {
      const client = createClient({ chain: [llama({ baseURL })], telemetry: [part({ propagate })] })
      await client.generate('Hi')
      await client.close()
    }
    const attempts = ended.filter(({ name }) => name === 'chat default')
    expect(requests.map(({ headers }) => headers['traceparent'])).toEqual([undefined, attempts[1] && idOf(attempts[1])])
  })

  test('a line of the logger has the span of its attempt, and of its call, as the active one', async ({ server }) => {
    const { baseURL } = await server([status(503), answer(['Hello.'])])
    const { ended, part } = recorder()
    const lines: (readonly [string, string | undefined])[] = []
    const write = (_: object, message: string) => void lines.push([message, trace.getActiveSpan()?.spanContext().spanId])
    const client = createClient({
      ...{ chain: [deepseek({ baseURL, apiKey: 'sk-test' })], telemetry: [part()] },
      logger: { debug: () => {}, info: write, warn: write },
    })
    onTestFinished(async () => client.close())
    await client.generate('Hi')
    const [failed] = ended
    expect(lines).toEqual([
      ['attempt failed', failed && idOf(failed)],
      ['call answered', idOf(spanOf(ended, 'unbusy.generate'))],
    ])
  })

  test('metrics of the conventions and ours; two clients add up; close() removes what is watched', async ({ clock }) => {
    const { metrics, part } = recorder()
    const telemetry = [part()]
    const price = { input: 1, output: 2 }
    const usage = { inputTokens: 10, outputTokens: 5 }
    const chain = (): Target[] => [
      fakeTarget([{ error: 'overloaded' }, { text: ['Hi.'], usage, firstChunkAfterMs: 100 }], {
        clock,
        name: 'a',
        price,
        retry: { baseDelayMs: 1_000 },
      }),
    ]
    const clients = [createClient({ chain: chain(), clock, telemetry }), createClient({ chain: chain(), clock, telemetry })]
    for (const client of clients) await clock.until(client.generate('Hi'))
    const shown = await metrics()
    const one = (name: string, attributes: object = {}) => {
      const found = (shown.get(name) ?? []).filter(point =>
        Object.entries(attributes).every(([key, value]) => point.attributes[key] === value),
      )
      return found.length === 1 ? found[0]?.value : found.map(({ value }) => value)
    }
    const inference = { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'a', 'gen_ai.request.model': 'fake-1' }
    expect(one('gen_ai.client.inference.duration', { ...inference, 'error.type': 'overloaded' })).toMatchObject({ count: 2 })
    expect(one('gen_ai.client.inference.time_to_first_chunk', inference)).toMatchObject({
      count: 2,
      sum: expect.closeTo(0.2) as number,
    })
    expect(one('gen_ai.client.inference.usage.input_tokens', { 'gen_ai.token.modality': 'text' })).toBe(20)
    expect(one('gen_ai.client.inference.usage.input_tokens', { 'gen_ai.token.modality': 'unknown' })).toBe(0)
    expect(one('gen_ai.client.inference.usage.output_tokens', { 'gen_ai.token.modality': 'text' })).toBe(10)
    expect(one('unbusy.calls')).toBe(2)
    expect(one('unbusy.call.duration')).toMatchObject({ count: 2 })
    expect(one('unbusy.attempts', { 'unbusy.outcome': 'failed', 'unbusy.reason': 'overloaded' })).toBe(2)
    expect(one('unbusy.retries')).toBe(2)
    expect(one('unbusy.cost', { 'unbusy.part': 'answered' })).toBeCloseTo((2 * 20) / 1e6)
    expect(one('unbusy.target.state', { 'unbusy.target.state': 'closed' })).toBe(1)
    expect(one('unbusy.target.state', { 'unbusy.target.state': 'open' })).toBe(0)
    expect(one('unbusy.attempts.in_flight')).toBe(0)
    // what came after the last look is not lost with the client
    await clock.until(clients[0]?.generate('Hi') ?? expect.fail())
    for (const client of clients) await client.close()
    const after = await metrics()
    expect(after.get('unbusy.calls')?.map(({ value }) => value)).toEqual([3])
  })

  test('the number of series does not grow with what servers say', async ({ server }) => {
    let number = 0
    const { baseURL } = await server(() => {
      number += 1
      const id = `id-${number}`
      if (number % 5 === 0)
        return status(400 + (number % 150), { error: { message: id, type: id, code: id } }, { 'x-request-id': id })
      return answer(['Hi.'], { id, model: `model-${number}` })
    })
    const { metrics, part } = recorder()
    const client = createClient({
      chain: [deepseek({ baseURL, apiKey: 'sk-test', retry: 0 })],
      breaker: false,
      telemetry: [part()],
      clock: flowingTime(onTestFinished),
    })
    onTestFinished(async () => client.close())
    const series = async () => [...(await metrics()).values()].reduce((sum, points) => sum + points.length, 0)
    for (let each = 0; each < 50; each += 1) await client.generate('Hi').catch(() => {})
    const before = await series()
    for (let each = 0; each < 300; each += 1) await client.generate('Hi').catch(() => {})
    expect((await series()) - before).toBeLessThan(8)
    expect(JSON.stringify([...(await metrics())])).not.toMatch(/id-\d|model-\d/)
  })

  test('a hundred thousand random models, ids and errors add no set of attributes beyond the closed ones', async () => {
    const { metrics, part } = recorder()
    const client = createClient({ chain: [fakeTarget('Hi.')] })
    const [target = expect.fail('no target')] = client.health()
    // spans are of one call each: what grows with the calls are they alone
    const hooks =
      part({ tracerProvider: undefined }).attach?.({ health: client.health, status: client.status }) ?? expect.fail('no attach')
    const tell = hooks.onEvent?.bind(hooks) ?? expect.fail('no listener')
    const { provider, model, name, targetIndex, step } = target
    const names = { provider, model, name, targetIndex, step, attempt: 1 }
    const settings = { outputType: 'text' }
    const words = fc.sample(fc.string(), 100)
    const errors = words.map(word => new ChainExhaustedError([], [new ProviderError(word, { reason: 'overloaded' })]))
    const sets = async () =>
      [...(await metrics())].flatMap(([metric, points]) => points.map(point => `${metric} ${JSON.stringify(point.attributes)}`))
    const tellOf = (callId: number) => {
      const random = `${words[callId % 100]}${callId}`
      const failed = callId % 3 === 0
      const record = {
        ...{ ...names, kind: 'first', waitMs: 0, durationMs: 5, firstChunkMs: 1, chunks: 1, cost: 1 },
        ...{ outcome: failed ? 'failed' : 'answered', reason: failed ? 'overloaded' : undefined, status: 200 },
        ...{ message: random, requestId: random, responseId: random, responseModel: random, finishReason: 'stop' },
        usage: { inputTokens: 1, outputTokens: 1 },
      }
      const error = failed ? errors[callId % errors.length] : undefined
      const outcome = failed ? 'failed' : 'answered'
      const events = [
        { type: 'call-start', targets: 1, metadata: { id: random }, stream: false, epochOffsetMs: 0 },
        { type: 'attempt-start', ...names, kind: 'first', address: 'api.example', port: 443, stream: true, settings },
        { type: 'attempt-end', ...names, record },
        { type: 'target-skip', ...names, reason: 'overloaded', message: random },
        { type: 'call-end', stream: false, outcome, durationMs: 5, attempts: [record], metadata: { id: random }, error },
      ]
      for (const event of events) tell({ at: callId, callId, ...event } as never)
    }
    for (let callId = 1; callId <= 100; callId += 1) tellOf(callId)
    const before = await sets()
    for (let callId = 101; callId <= 100_000; callId += 1) tellOf(callId)
    const after = await sets()
    expect(after.toSorted()).toEqual(before.toSorted())
    expect(after.length).toBeLessThan(30)
    await hooks.close?.()
    await client.close()
  })

  test('a value is told once, whether it is told at the next look, after many others or at the close', async () => {
    const { metrics, part } = recorder()
    const client = createClient({ chain: [fakeTarget('Hi.')], telemetry: [part()] })
    const durations = async () =>
      (await metrics()).get('gen_ai.client.inference.duration')?.map(({ value }) => (value as { readonly count: number }).count)
    await client.generate('Hi')
    expect(await durations()).toEqual([1])
    for (let each = 0; each < 200; each += 1) await client.generate('Hi')
    expect(await durations()).toEqual([201])
    await client.generate('Hi')
    await client.close()
    expect(await durations()).toEqual([202])
  })

  test('pings that keep a server warm are a metric of their own, and in no other', async ({ clock }) => {
    const { metrics, part } = recorder()
    const target = { ...fakeTarget(['Hi.', { error: 'quota' }], { clock }), keepWarm: { prompt: 'You are kind.' } }
    const client = createClient({ chain: [target], clock, telemetry: [part()] })
    await clock.until(client.warmUp())
    await clock.until(client.warmUp())
    const shown = await metrics()
    expect(shown.get('unbusy.keep_warm')?.map(({ attributes, value }) => [attributes['unbusy.outcome'], value])).toEqual([
      ['ok', 1],
      ['failed', 1],
    ])
    expect(shown.get('unbusy.attempts') ?? []).toEqual([])
    await client.close()
  })
})

test('without an SDK every call goes well', async () => {
  const client = createClient({ chain: [fakeTarget('Hi.')], telemetry: [openTelemetry({ propagate: true, content: true })] })
  expect((await client.generate('Hi')).text).toBe('Hi.')
  await client.close()
})

test.for([
  [{ tracer: 1 }, /there is no option 'tracer'/],
  [{ tracerProvider: {} }, /tracerProvider must be an OpenTelemetry provider with getTracer\(\)/],
  [{ meterProvider: 1 }, /meterProvider must be an OpenTelemetry provider with getMeter\(\), not 1/],
  [{ propagate: 'yes' }, /propagate must be true or false/],
  [{ content: 1 }, /content must be true or false/],
] as const)('%j is a TypeError that says what to write', ([options, words]) => {
  expect(() => openTelemetry(options as never)).toThrow(words)
})

test('no name of before 0.1.0 is told: each stands beside the one of today', () => {
  const today: ReadonlySet<string> = new Set([...Object.values(attributeNames), ...Object.values(metricNames)])
  const names = Object.entries(formerNames)
  expect(names.map(([now]) => today.has(now))).toEqual(names.map(() => true))
  expect(names.filter(([, before]) => today.has(before))).toEqual([])
})
