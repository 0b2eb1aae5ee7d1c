import fc from 'fast-check'
import {
  type Call,
  type Client,
  createClient,
  deepseek,
  openaiCompatible,
  pool,
  sharedHealth,
  type Target,
  type TargetLimits,
} from 'unbusy'
import { answer, fakeClock, type FakeAnswer, fakeTarget, startServer, status } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { httpServer } from '../helpers/http-servers.ts'
import { test } from '../helpers/vitest.ts'
import { seeded } from '../helpers/random.ts'

const minute = 60_000

/** The most requests that any minute holds, whichever end is counted. */
function mostInAMinute(times: readonly number[]): number {
  return Math.max(0, ...times.map(start => times.filter(time => time >= start && time - start <= minute).length))
}

test('a call beyond the concurrency goes to the next target at once, and its attempts say why', async ({ clock, events }) => {
  const first = fakeTarget({ text: 'First.', firstChunkAfterMs: 1_000 }, { clock, name: 'first', limits: { concurrency: 1 } })
  const second = fakeTarget('Second.', { clock, name: 'second' })
  const client = createClient({ chain: [first, second], clock, onEvent: events.listener })
  const slow = client.generate('Hi')
  await clock.advance(100)
  const quick = await clock.until(client.generate('Hi'))
  expect(quick).toMatchObject({
    text: 'Second.',
    attempts: [
      {
        provider: 'first',
        outcome: 'skipped',
        reason: 'rate-limit',
        message: '1 of 1 requests are in flight (limits.concurrency).',
      },
      { provider: 'second', outcome: 'answered' },
    ],
  })
  expect(clock.now()).toBe(100)
  expect(events.of('target-skip')).toMatchObject([{ provider: 'first', reason: 'rate-limit' }])
  expect(client.health()).toMatchObject([
    { inFlight: 1, limit: 1, limits: { concurrency: { limit: 1, used: 1 } } },
    { limits: undefined },
  ])
  expect(await clock.until(slow)).toMatchObject({ text: 'First.' })
  expect(client.health()[0]?.limits?.concurrency).toEqual({ limit: 1, used: 0 })
})

test('where nobody else can answer the call waits in line, and those in line are answered in their order', async ({
  clock,
  events,
}) => {
  const target = fakeTarget(call => ({ text: textOf(call), firstChunkAfterMs: 1_000 }), { clock, limits: { concurrency: 2 } })
  const client = createClient({ chain: [target], clock, onEvent: events.listener })
  const answered: string[] = []
  const calls = ['1', '2', '3', '4', '5'].map(async prompt => {
    await clock.until(client.generate(prompt))
    answered.push(prompt)
  })
  await Promise.all(calls)
  expect(answered).toEqual(['1', '2', '3', '4', '5'])
  expect(clock.now()).toBe(3_000)
  expect(events.of('wait')[0]).toMatchObject({ provider: 'fake', reason: 'rate-limit' })
})

test('a third request within a minute waits for the end of that minute, or goes elsewhere', async ({ clock }) => {
  const first = fakeTarget('First.', { clock, name: 'first', limits: { requestsPerMinute: 2 } })
  const second = fakeTarget('Second.', { clock, name: 'second', when: call => call.metadata['spare'] === true })
  const client = createClient({ chain: [first, second], clock })
  await clock.until(client.generate('Hi'))
  await clock.advance(10_000)
  await clock.until(client.generate('Hi'))
  expect(client.health()[0]?.limits).toEqual({
    concurrency: undefined,
    requestsPerMinute: { limit: 2, used: 2 },
    tokensPerMinute: undefined,
  })
  const elsewhere = await clock.until(client.generate({ prompt: 'Hi', metadata: { spare: true } }))
  expect(elsewhere.attempts[0]).toMatchObject({ message: 'It had 2 requests within the last minute (limits.requestsPerMinute).' })
  expect(elsewhere.text).toBe('Second.')
  expect(await clock.until(client.generate({ prompt: 'Hi', timeout: { totalMs: 120_000 } }))).toMatchObject({ text: 'First.' })
  expect(clock.now()).toBeGreaterThan(minute)
  expect(clock.now()).toBeLessThan(minute + 100)
})

test('a call whose clock ends before the limit opens fails at once, and says when it opens', async ({ clock }) => {
  const target = fakeTarget('Hello.', { clock, limits: { requestsPerMinute: 1 } })
  const client = createClient({ chain: [target], clock })
  await clock.until(client.generate('Hi'))
  const failure = await clock.until(
    client.generate({ prompt: 'Hi', timeout: { totalMs: 5_000 } }).catch((error: unknown) => error),
  )
  expect(failure).toMatchObject({ name: 'ChainExhaustedError', failures: [{ reason: 'rate-limit' }] })
  expect(Number((failure as { retryAfterMs?: number }).retryAfterMs)).toBeCloseTo(minute, -2)
  expect(target.provider.calls).toHaveLength(1)
})

test('tokens are counted by an estimate, which their usage corrects', async ({ clock }) => {
  const usage = { inputTokens: 10, outputTokens: 10 }
  const target = fakeTarget({ text: 'Hello.', usage, firstChunkAfterMs: 10 }, { clock, limits: { tokensPerMinute: 1_000 } })
  const client = createClient({ chain: [target], clock })
  const input = { prompt: 'Hi', maxOutputTokens: 600, timeout: { totalMs: 120_000 } }
  const [one, other] = [client.generate(input), client.generate(input)]
  await clock.advance(0)
  expect(target.provider.calls, 'two at once would be 1,200 tokens').toHaveLength(1)
  await clock.until(Promise.all([one, other]))
  expect(clock.now(), 'but only 20 were used').toBeLessThan(1_000)
  expect(client.health()[0]?.limits?.tokensPerMinute).toEqual({ limit: 1_000, used: 40 })
})

test('a small call that waits behind a large one goes as soon as the large one gives up', async ({ clock }) => {
  const usage = { inputTokens: 5, outputTokens: 300 }
  const target = fakeTarget({ text: 'Hello.', usage, firstChunkAfterMs: 1_000 }, { clock, limits: { tokensPerMinute: 1_000 } })
  const client = createClient({ chain: [target], clock })
  const leaving = new AbortController()
  const first = client.generate({ prompt: 'One.', maxOutputTokens: 700 })
  await clock.advance(10)
  const large = client.generate({ prompt: 'Large.', maxOutputTokens: 900, signal: leaving.signal })
  const ended = large.catch((error: unknown) => error)
  await clock.advance(10)
  const small = client.generate({ prompt: 'Small.', maxOutputTokens: 400 })
  await clock.advance(2_000)
  await first
  // about 690 tokens are left of this minute: enough for the small one, but the large one came before it
  expect(target.provider.calls).toHaveLength(1)
  leaving.abort(new Error('Enough.'))
  expect(await ended).toEqual(new Error('Enough.'))
  await clock.advance(5_000)
  expect((await small).text).toBe('Hello.')
})

test('a request that alone exceeds the tokens of a minute is skipped and not held', async ({ clock }) => {
  const small = fakeTarget('Small.', { clock, name: 'small', limits: { tokensPerMinute: 100 } })
  const large = fakeTarget('Large.', { clock, name: 'large' })
  const prompt = 'ä'.repeat(300)
  const both = createClient({ chain: [small, large], clock })
  expect(await clock.until(both.generate(prompt))).toMatchObject({
    text: 'Large.',
    attempts: [
      { outcome: 'skipped', message: expect.stringMatching(/^This request alone may need 2\d\d tokens, but only 100 are/) },
      {},
    ],
  })
  const alone = createClient({ chain: [small], clock })
  const error = await clock.until(alone.generate(prompt).catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ name: 'ChainExhaustedError', failures: [{ reason: 'rate-limit' }] })
  expect(clock.now()).toBe(0)
  expect(small.provider.calls).toHaveLength(0)
})

test('a repair that alone exceeds the tokens of a minute is not sent: the next target is asked', async ({ clock }) => {
  const output = z.object({ n: z.number() })
  const small = fakeTarget('wrong '.repeat(300), { clock, name: 'small', limits: { tokensPerMinute: 400 } })
  const large = fakeTarget('{"n":1}', { clock, name: 'large' })
  const client = createClient({ chain: [small, large], clock, repair: 1 })
  const result = await clock.until(client.generate({ prompt: 'Hi', output, maxOutputTokens: 50 }))
  expect(result).toMatchObject({ output: { n: 1 }, attempts: [{ reason: 'invalid-output' }, { outcome: 'answered' }] })
  expect(small.provider.calls).toHaveLength(1)
})

test('a continuation that alone exceeds the tokens of a minute is not sent: the part is the answer', async ({ clock }) => {
  const limits = { tokensPerMinute: 200 }
  const script = { text: 'half '.repeat(200), finishReason: 'length' } as const
  const target = fakeTarget(script, { clock, limits, capabilities: { prefix: true } })
  const client = createClient({ chain: [target], clock, continueOnLength: 1 })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ finishReason: 'length', attempts: [{ outcome: 'answered' }] })
})

test('a target with its own words is measured by those', async ({ clock }) => {
  const prepare = ({ messages }: Call) => ({
    messages: messages.map(({ content }) => ({ role: 'user' as const, content: JSON.stringify(content).slice(0, 30) })),
  })
  const small = fakeTarget('Small.', { clock, name: 'small', prepare, limits: { tokensPerMinute: 100 } })
  const client = createClient({ chain: [small], clock })
  expect(await clock.until(client.generate('a'.repeat(3_000)))).toMatchObject({ text: 'Small.' })
  expect(client.health()[0]?.limits?.tokensPerMinute?.used).toBeLessThan(40)
  const grows = () => ({ messages: [{ role: 'user' as const, content: 'a'.repeat(3_000) }] })
  const never = fakeTarget('Never.', { clock, name: 'never', prepare: grows, limits: { tokensPerMinute: 100 } })
  const second = fakeTarget('Second.', { clock, name: 'second' })
  const other = createClient({ chain: [never, second], clock })
  expect(await clock.until(other.generate('Hi'))).toMatchObject({ text: 'Second.', attempts: [{ outcome: 'skipped' }, {}] })
  expect(never.provider.calls).toHaveLength(0)
})

test('the last resort does not pass a limit, nor does a probe', async ({ clock }) => {
  const target = fakeTarget({ error: 'server-error' }, { clock, retry: 0, limits: { requestsPerMinute: 3 } })
  const client = createClient({ chain: [target], clock, retry: { maxRetries: 0, rounds: 1 } })
  for (let call = 0; call < 20; call += 1) {
    await clock.until(client.generate({ prompt: 'Hi', timeout: { totalMs: 4_000 } }).catch(() => {}))
    await clock.advance(500)
  }
  expect(target.provider.calls.length).toBeGreaterThan(0)
  expect(mostInAMinute(target.provider.calls.map(({ at }) => at))).toBeLessThanOrEqual(3)
})

test('a hedge that is not sent uses nothing of a limit', async ({ clock }) => {
  const slow = fakeTarget({ text: 'Late.', firstChunkAfterMs: 20_000 }, { clock, name: 'slow' })
  const second = fakeTarget('Second.', { clock, name: 'second', limits: { requestsPerMinute: 100, concurrency: 1 } })
  const client = createClient({ chain: [slow, second], clock, hedge: { unpriced: false } })
  await clock.until(client.generate('Hi'))
  expect(second.provider.calls).toHaveLength(0)
  expect(client.health()[1]?.limits).toMatchObject({ requestsPerMinute: { used: 0 }, concurrency: { used: 0 } })
})

test('a request that its provider changes and sends again counts twice', async () => {
  const message = "Unsupported parameter: 'temperature' is not supported with this model."
  const refused = { message, type: 'invalid_request_error', param: 'temperature', code: 'unsupported_parameter' }
  await using server = await startServer(
    ({ json: body }) => ('temperature' in (body as object) ? status(400, { error: refused }) : answer('Hello.')),
    { format: 'openai' },
  )
  const of = (requestsPerMinute: number) =>
    openaiCompatible('m', { baseURL: server.baseURL, apiKey: 'k', limits: { requestsPerMinute } })
  await using two = createClient({ chain: [of(2)] })
  expect(await two.generate({ prompt: 'Hi', temperature: 1 })).toMatchObject({ text: 'Hello.' })
  expect(two.health()[0]?.limits?.requestsPerMinute).toEqual({ limit: 2, used: 2 })
  await using one = createClient({ chain: [of(1)] })
  const error = await one.generate({ prompt: 'Hi', temperature: 1, timeout: { totalMs: 500 } }).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    failures: [{ reason: 'rate-limit', message: expect.stringContaining('limits.requestsPerMinute') }],
  })
  expect(server.requests).toHaveLength(3)
})

test('a slot is free when the request has ended, not when the attempt was given up', async ({ clock }) => {
  let done = () => {}
  const stubborn: Target = {
    provider: {
      name: 'stubborn',
      stream: async () =>
        new Promise<void>(resolve => {
          done = resolve
        }),
    },
    model: 'm',
    limits: { concurrency: 1 },
  }
  const second = fakeTarget('Second.', { clock, name: 'second' })
  const client = createClient({ chain: [stubborn, second], clock, hedge: false })
  const call = { prompt: 'Hi', timeout: { totalMs: 10_000 } }
  expect(await clock.until(client.generate(call))).toMatchObject({ attempts: [{ outcome: 'failed' }, {}] })
  expect(await clock.until(client.generate(call))).toMatchObject({ attempts: [{ outcome: 'skipped' }, {}] })
  done()
  await clock.advance(49)
  expect(client.health()[0]?.limits?.concurrency?.used, 'a server needs a moment to notice').toBe(1)
  await clock.advance(1)
  expect(client.health()[0]?.limits?.concurrency?.used).toBe(0)
})

test(
  'a server never has more than the limit in flight, though attempts are given up and connections break',
  { timeout: 20_000 },
  async () => {
    let inFlight = 0
    let most = 0
    let seen = 0
    const chance = seeded(7)
    const { origin } = await httpServer((request, response) => {
      seen += 1
      inFlight += 1
      most = Math.max(most, inFlight)
      response.on('close', () => (inFlight -= 1))
      request.resume()
      const kind = chance()
      if (kind < 0.4) return // silent until the client gives up
      setTimeout(() => {
        if (kind < 0.5) {
          response.destroy()
          return
        }
        response.writeHead(kind < 0.6 ? 503 : 200, { 'content-type': 'text/event-stream' })
        response.end('data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
      }, chance() * 40)
    })
    const target = deepseek({ apiKey: 'k', baseURL: origin, limits: { concurrency: 3 } })
    const options = {
      breaker: false,
      retry: { maxRetries: 2, baseDelayMs: 1, rounds: 1 },
      timeout: { firstChunkMs: 60 },
    } as const
    const client = createClient({ chain: [target], ...options })
    const call = async () =>
      client.generate({ prompt: 'Hi', signal: AbortSignal.timeout(20 + Math.floor(chance() * 500)) }).catch(() => {})
    // on a busy machine many calls leave before their turn
    while (seen <= 60) await Promise.all(Array.from({ length: 20 }, call))
    expect(most).toBeLessThanOrEqual(3)
    await client.close()
  },
)

describe('wrong limits are a TypeError that says what to write', () => {
  test.for([
    [{ concurrency: 0 }, /limits: concurrency must be a whole number, 1 or more/],
    [{ requestsPerMinute: 1.5 }, /limits: requestsPerMinute must be a whole number/],
    [{ tokensPerMinute: Infinity }, /limits: tokensPerMinute must be a whole number/],
    [{ rpm: 5 }, /there is no option 'limits\.rpm'|limits.*'rpm'/],
    [5, /limits/],
  ] as const)('%j', ([limits, message]) => {
    expect(() => deepseek({ apiKey: 'k', limits: limits as TargetLimits })).toThrow(message)
    expect(() => createClient({ chain: [fakeTarget('Hi', { limits: limits as TargetLimits })] })).toThrow(message)
  })

  test('two steps of one identity with different limits', () => {
    const at = (limits: TargetLimits | undefined) => deepseek({ apiKey: 'k', limits })
    const made = (...chain: Target[]) => createClient({ chain })
    expect(() => made(at({ concurrency: 1 }), at({ concurrency: 2 }))).toThrow(
      /^createClient: chain\[1\].*Give both the same limits\.$/,
    )
    expect(() => made(at({ concurrency: 1 }), at(undefined))).toThrow(TypeError)
    expect(() => made(at(undefined), at({ concurrency: 1 }))).toThrow(TypeError)
    expect(() => made(at({ concurrency: 1 }), at({ concurrency: 1 }))).not.toThrow()
    expect(() => made(at(undefined), at({}))).not.toThrow()
    expect(() => made(at({ concurrency: 1 }), deepseek({ apiKey: 'other', limits: { concurrency: 2 } }))).not.toThrow()
  })
})

// ---- never more

const failures = ['overloaded', 'rate-limit', 'server-error', 'network', 'truncated', 'authentication', 'empty'] as const

const reply = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      text: fc.constant('Hello.'),
      firstChunkAfterMs: fc.nat(20_000),
      usage: fc.constantFrom(undefined, { inputTokens: 5, outputTokens: 50 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      error: fc.constantFrom(...failures),
      headersAfterMs: fc.nat(3_000),
      retryAfterMs: fc.constantFrom(undefined, 100, 5_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ text: fc.constant(['Hel', 'lo.']), cutAfterChunks: fc.constant(1) }) },
  { weight: 1, arbitrary: fc.constant({ hang: true }) },
) as fc.Arbitrary<FakeAnswer>

const limitsOf = fc.record(
  {
    concurrency: fc.integer({ min: 1, max: 4 }),
    requestsPerMinute: fc.integer({ min: 1, max: 12 }),
    tokensPerMinute: fc.constantFrom(50, 500, 100_000),
  },
  { requiredKeys: [] },
)

const mix = fc.record({
  targets: fc.array(fc.record({ limits: limitsOf, replies: fc.array(reply, { minLength: 1, maxLength: 6 }) }), {
    minLength: 1,
    maxLength: 3,
  }),
  calls: fc.array(
    fc.record({
      gapMs: fc.nat(8_000),
      client: fc.nat(1),
      how: fc.constantFrom('generate', 'generate', 'stream', 'leave'),
      abortAfterMs: fc.option(fc.nat(10_000), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 30 },
  ),
  options: fc.record({
    hedge: fc.constantFrom(false as const, { budget: 1, spend: 1, leastMs: 500 }),
    retry: fc.constantFrom(0, 1, 3),
    breaker: fc.constantFrom(false as const, {}),
    repair: fc.constantFrom(0, 1),
    afterFirstToken: fc.constantFrom('fail' as const, 'restart' as const, 'continue' as const),
    totalMs: fc.constantFrom(2_000, 20_000, 90_000),
  }),
  isPool: fc.boolean(),
  seed: fc.integer(),
})

type Input = { prompt: string; maxOutputTokens: number; signal: AbortSignal }

async function send(client: Client, how: string, input: Input): Promise<void> {
  if (how === 'generate') return void (await client.generate(input))
  const stream = await client.stream(input)
  for await (const _ of stream) if (how === 'leave') return
}

test(
  'never more: retries, probes, hedges, rounds, continuations and the last resort of two clients are counted',
  {
    timeout: 120_000,
  },
  async () => {
    await fc.assert(
      fc.asyncProperty(mix, async ({ targets, calls, options: { totalMs, ...options }, isPool, seed }) => {
        const clock = fakeClock()
        const peaks: number[] = []
        const chain = targets.map(({ limits, replies }, index) => {
          const target = fakeTarget(
            (_call, attempt) => {
              peaks[index] = Math.max(peaks[index] ?? 0, target.provider.active())
              return replies[attempt % replies.length]!
            },
            { clock, name: `t${index}`, limits, capabilities: { prefix: true } },
          )
          return target
        })
        const health = sharedHealth()
        const shared = { clock, health, random: seeded(seed), timeout: { totalMs }, ...options }
        const clients = [0, 1].map(() => createClient({ chain: isPool ? [pool(chain)] : chain, ...shared }))
        const running: Promise<unknown>[] = []
        for (const { gapMs, client, how, abortAfterMs } of calls) {
          const controller = new AbortController()
          if (abortAfterMs !== undefined) clock.setTimeout(() => controller.abort(), abortAfterMs)
          const input = { prompt: 'Hi', maxOutputTokens: 20, signal: controller.signal }
          running.push(send(clients[client]!, how, input).catch(() => {}))
          await clock.advance(gapMs)
        }
        await clock.until(Promise.all(running))
        await clock.advance(30_000)
        for (const [index, { limits }] of targets.entries()) {
          const { concurrency = Infinity, requestsPerMinute = Infinity } = limits
          expect(peaks[index] ?? 0).toBeLessThanOrEqual(concurrency)
          expect(mostInAMinute(chain[index]!.provider.calls.map(({ at }) => at))).toBeLessThanOrEqual(requestsPerMinute)
          expect(clients[0]!.health()[index], 'nothing stays in use').toMatchObject({ inFlight: 0, waiting: 0 })
          expect(clients[1]!.health()[index]?.limits?.concurrency?.used ?? 0).toBe(0)
        }
        for (const client of clients) await client.close()
      }),
      { numRuns: Number(process.env['LIMIT_RUNS'] ?? 60) },
    )
  },
)

function textOf({ messages }: Call): string {
  return JSON.stringify(messages.at(-1)?.content)
}
