import { AggregatorRegistry, Counter, Histogram, register as globalRegister, Registry } from 'prom-client'
import * as fc from 'fast-check'
import { createClient, deepseek, type Target, type TelemetryPart } from 'unbusy'
import { prometheus } from 'unbusy/prometheus'
import { answer, type FakeReply, fakeTarget, json, status } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { flowingTime } from '../helpers/flowing-time.ts'
import { test } from '../helpers/vitest.ts'

const price = { input: 1, output: 2 }

/** A client with metrics of its own. */
function watched(chain: readonly Target[], more: Partial<Parameters<typeof createClient>[0]> = {}, register = new Registry()) {
  const client = createClient({ chain, telemetry: [prometheus({ register })], ...more })
  onTestFinished(async () => client.close())
  return { client, register }
}

type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number }

/** What a scrape shows of one metric. */
async function samples(register: Registry, name: string): Promise<readonly Sample[]> {
  const lines = (await register.metrics()).split('\n').filter(line => line.startsWith(`${name}{`))
  return lines.map(line => {
    const [, inside = '', value = ''] = /^[^{]+\{(.*)\} (\S+)$/.exec(line) ?? []
    return {
      labels: Object.fromEntries([...inside.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])),
      value: Number(value),
    }
  })
}

async function valueOf(register: Registry, name: string, labels: Readonly<Record<string, string>>): Promise<number | undefined> {
  const found = (await samples(register, name)).filter(sample =>
    Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
  )
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}

test('the first scrape has every series of calls, attempts, retries, hedges and first chunks at 0', async () => {
  const { register } = watched([
    fakeTarget('Hi.', { name: 'a', model: 'm' }),
    { ...fakeTarget('Hi.', { name: 'b' }), name: 'spare' },
  ])
  const text = await register.metrics()
  const label = (target: number) =>
    target === 0
      ? 'client="",provider="a",model="m",target="0",step="0",name=""'
      : 'client="",provider="b",model="fake-1",target="1",step="1",name="spare"'
  for (const outcome of ['answered', 'degraded', 'failed', 'aborted']) {
    expect(text).toContain(`unbusy_calls_total{client="",outcome="${outcome}"} 0`)
    expect(text).toContain(`unbusy_call_duration_seconds_count{client="",outcome="${outcome}"} 0`)
  }
  for (const target of [0, 1]) {
    expect(text).toContain(`unbusy_attempts_total{${label(target)},outcome="answered",reason="none"} 0`)
    expect(text).toContain(`unbusy_attempts_total{${label(target)},outcome="failed",reason="quota"} 0`)
    expect(text).toContain(`unbusy_attempt_duration_seconds_count{${label(target)},outcome="failed"} 0`)
    expect(text).toContain(`unbusy_retries_total{${label(target)}} 0`)
    for (const result of ['won', 'lost', 'failed'])
      expect(text).toContain(`unbusy_hedges_total{${label(target)},result="${result}"} 0`)
    expect(text).toContain(`unbusy_first_chunk_seconds_count{${label(target)}} 0`)
    for (const [state, value] of [
      ['closed', 1],
      ['half-open', 0],
      ['gated', 0],
      ['open', 0],
    ] as const)
      expect(text).toContain(`unbusy_target_state{${label(target)},state="${state}"} ${value}`)
  }
  expect(text).not.toMatch(/NaN|undefined/)
})

test('counts what became of calls and attempts', async ({ clock }) => {
  const chain = [
    fakeTarget(
      [{ error: 'overloaded' }, { error: 'overloaded' }, { text: ['Hi.'], firstChunkAfterMs: 300 }, { error: 'quota' }],
      {
        ...{ clock, name: 'a', price, retry: { maxRetries: 1, baseDelayMs: 1_000, maxDelayMs: 1_000 } },
      },
    ),
    fakeTarget(['Spare.', { error: 'quota' }], { clock, name: 'b', price }),
  ]
  const { client, register } = watched(chain, { clock, random: () => 1, defaultResponse: 'sorry', hedge: false })
  for (const text of ['Spare.', 'Hi.', 'sorry']) expect((await clock.until(client.generate('Hi'))).text).toBe(text)
  const a = { provider: 'a', target: '0', step: '0' }
  expect(await valueOf(register, 'unbusy_calls_total', { outcome: 'answered' })).toBe(2)
  expect(await valueOf(register, 'unbusy_calls_total', { outcome: 'degraded' })).toBe(1)
  expect(await valueOf(register, 'unbusy_attempts_total', { ...a, outcome: 'failed', reason: 'overloaded' })).toBe(2)
  expect(await valueOf(register, 'unbusy_attempts_total', { ...a, outcome: 'answered', reason: 'none' })).toBe(1)
  expect(await valueOf(register, 'unbusy_retries_total', a)).toBe(1)
  expect(await valueOf(register, 'unbusy_waits_seconds_total', a)).toBeGreaterThan(0.5)
  expect(await valueOf(register, 'unbusy_first_chunk_seconds_sum', a)).toBeCloseTo(0.3)
  expect(await valueOf(register, 'unbusy_target_state', { ...a, state: 'gated' })).toBe(1)
  expect(await valueOf(register, 'unbusy_target_state', { ...a, state: 'closed' })).toBe(0)
})

test('tokens and cost by what they went for; usage that nobody told is counted and never adds NaN or 1', async ({ server }) => {
  const usage = { inputTokens: 100, outputTokens: 50, totalTokens: 150, cachedInputTokens: 40 }
  const onWire = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150, prompt_cache_hit_tokens: 40 }
  const { baseURL } = await server([
    answer(['Hello.'], { usage }),
    json({ choices: [{ index: 0, message: { role: 'assistant', content: '' }, finish_reason: 'stop' }], usage: onWire }),
    answer(['Hello.'], { usage: null }),
  ])
  const target = deepseek({ baseURL, apiKey: 'sk-test', price: { input: 1, cachedInput: 0.1, output: 2 }, retry: 0 })
  const { client, register } = watched([target], { breaker: false })
  await client.generate('Hi')
  await client.generate('Hi').catch(() => {})
  await client.generate('Hi')
  const part = async (name: string) => valueOf(register, 'unbusy_cost_dollars_total', { part: name })
  expect(await part('answered')).toBeCloseTo((60 + 4 + 100) / 1e6)
  expect(await part('wasted')).toBeCloseTo((60 + 4 + 100) / 1e6)
  expect(await valueOf(register, 'unbusy_tokens_total', { type: 'input' })).toBe(200)
  expect(await valueOf(register, 'unbusy_tokens_total', { type: 'cached_input' })).toBe(80)
  expect(await valueOf(register, 'unbusy_tokens_total', { type: 'output' })).toBe(100)
  expect(await valueOf(register, 'unbusy_usage_unknown_total', {})).toBe(1)
  expect(await register.metrics()).not.toMatch(/NaN|undefined/)
})

test('a hedge that wins, and the one that loses', async ({ clock }) => {
  const chain = [
    fakeTarget(
      { text: ['slow'], firstChunkAfterMs: 60_000 },
      { clock, name: 'a', timeout: { headersMs: 90_000, firstChunkMs: 90_000 } },
    ),
    fakeTarget('fast', { clock, name: 'b', price }),
  ]
  const { client, register } = watched(chain, { clock, hedge: { budget: 1, spend: 1 } })
  expect((await clock.until(client.generate('Hi'))).text).toBe('fast')
  expect(await valueOf(register, 'unbusy_hedges_total', { provider: 'b', result: 'won' })).toBe(1)
  expect(await valueOf(register, 'unbusy_attempts_total', { provider: 'a', outcome: 'abandoned' })).toBe(1)
})

test('gauges are read at the scrape, and a closed client leaves no state behind', async ({ clock }) => {
  const chain = [fakeTarget({ hang: true }, { clock, name: 'a', timeout: { headersMs: 1_000, firstChunkMs: 1_000 }, retry: 0 })]
  const { client, register } = watched(chain, { clock, hedge: false, breaker: { consecutiveFailures: 1 } })
  const work = client.generate('Hi').catch(() => {})
  await clock.advance(10)
  expect(await valueOf(register, 'unbusy_attempts_in_flight', {})).toBe(1)
  expect(await valueOf(register, 'unbusy_retries_left', {})).toBeGreaterThan(0)
  expect(await valueOf(register, 'unbusy_calls_waiting', {})).toBe(0)
  await clock.until(work)
  expect(await valueOf(register, 'unbusy_attempts_in_flight', {})).toBe(0)
  await client.close()
  for (const name of ['target_state', 'attempts_in_flight', 'concurrency_limit', 'calls_waiting', 'retries_left'])
    expect(await samples(register, `unbusy_${name}`)).toEqual([])
  expect(await valueOf(register, 'unbusy_calls_total', { outcome: 'failed' })).toBe(1)
})

test('a second client on one registry adds; the option client tells them apart; the worst state of two is shown', async ({
  clock,
}) => {
  const register = new Registry()
  const chain = (reply: FakeReply) => [fakeTarget(reply, { clock, name: 'a' })]
  const { client: good } = watched(chain('Hi.'), { clock }, register)
  await clock.until(good.generate('Hi'))
  const { client: bad } = watched(chain({ error: 'quota' }), { clock }, register)
  expect(await valueOf(register, 'unbusy_calls_total', { outcome: 'answered' })).toBe(1)
  await clock.until(bad.generate('Hi').catch(() => {}))
  const { client: named } = watched(chain('Hi.'), { clock, telemetry: [prometheus({ register, client: 'search' })] })
  await clock.until(Promise.all([good.generate('Hi'), named.generate('Hi')]))
  expect(await valueOf(register, 'unbusy_calls_total', { client: '', outcome: 'answered' })).toBe(2)
  expect(await valueOf(register, 'unbusy_calls_total', { client: 'search', outcome: 'answered' })).toBe(1)
  expect(await samples(register, 'unbusy_attempts_in_flight')).toHaveLength(2)
  const states = (await samples(register, 'unbusy_target_state')).filter(({ labels }) => labels['client'] === '')
  expect(states.map(({ labels, value }) => [labels['state'], value])).toEqual([
    ['open', 0],
    ['gated', 1],
    ['half-open', 0],
    ['closed', 0],
  ])
  await bad.close()
  expect(await valueOf(register, 'unbusy_target_state', { client: '', state: 'closed' })).toBe(1)
})

test('without a registry it is that of prom-client; a name that is taken throws; a cleared registry is filled again', async () => {
  onTestFinished(() => globalRegister.clear())
  createClient({ chain: [fakeTarget('Hi.')], telemetry: [prometheus({ prefix: 'mine_' })] })
  expect(await globalRegister.metrics()).toContain('mine_calls_total{client="",outcome="failed"} 0')
  const register = new Registry()
  register.registerMetric(new Counter({ name: 'unbusy_calls_total', help: 'theirs', registers: [] }))
  expect(() => prometheus({ register })).toThrow(/already been registered/)
  register.clear()
  const { client } = watched([fakeTarget('Hi.')], {}, register)
  await client.generate('Hi')
  expect(await valueOf(register, 'unbusy_calls_total', { outcome: 'answered' })).toBe(1)
})

test.for([
  [{ registry: 1 }, /there is no option 'registry'. Did you mean 'register'/],
  [{ register: {} }, /register must be a registry of prom-client/],
  [{ prefix: 'a-b' }, /prefix must be a string of letters, digits and _/],
  [{ buckets: [1, 1] }, /buckets must be an ascending list of seconds above 0/],
  [{ buckets: [] }, /buckets must be an ascending list/],
  // it would be there twice
  [{ buckets: [1, Infinity] }, /buckets must be an ascending list/],
  [{ client: 5 }, /client must be a string/],
] as const)('%j is a TypeError that says what to write', ([options, words]) => {
  expect(() => prometheus({ register: new Registry(), ...options } as never)).toThrow(words)
})

test('other buckets for a registry that has the metrics are refused', () => {
  const register = new Registry()
  prometheus({ register, buckets: [1, 2] })
  expect(() => prometheus({ register, buckets: [1, 3] })).toThrow(/with other buckets/)
  expect(() => prometheus({ register })).not.toThrow()
})

test('the number of series does not grow with models, ids, messages and errors of servers', async ({ server }) => {
  let number = 0
  const { baseURL } = await server(() => {
    number += 1
    const id = `id-${number}`
    if (number % 5 === 0)
      return status(400 + (number % 150), { error: { message: `no ${id}`, type: id, code: id } }, { 'x-request-id': id })
    return answer(['Hi.'], { id, model: `model-${number}`, headers: { 'x-request-id': id } })
  })
  const target = deepseek({ baseURL, apiKey: 'sk-test', retry: 0 })
  const { client, register } = watched([target], { breaker: false, clock: flowingTime(onTestFinished) })
  const series = async () => (await register.metrics()).split('\n').filter(line => line !== '' && !line.startsWith('#')).length
  for (let each = 0; each < 50; each += 1) await client.generate('Hi').catch(() => {})
  const before = await series()
  for (let each = 0; each < 300; each += 1) await client.generate('Hi').catch(() => {})
  // every skip and reason that this server can bring has been seen
  expect((await series()) - before).toBeLessThan(8)
  expect(await register.metrics()).not.toMatch(/id-\d|model-\d/)
})

test('a hundred thousand random answers and failures add no series beyond the closed sets of labels', async () => {
  const part = prometheus({ register: new Registry() })
  const register = new Registry()
  const client = createClient({ chain: [fakeTarget('Hi.')], telemetry: [prometheus({ register })] })
  const health = client.health()
  const hooks = prometheus({ register }).attach?.({ health: () => health, status: client.status }) as TelemetryPart
  expect(part.attach).toBeDefined()
  const { provider, model, name, targetIndex, step } = health[0] ?? expect.fail('no target')
  const base = { provider, model, name, targetIndex, step, attempt: 1, waitMs: 0, durationMs: 5, chunks: 1 }
  const text = fc.sample(fc.string(), 100)
  for (let each = 0; each < 100_000; each += 1) {
    const random = `${text[each % 100]}${each}`
    const record = {
      ...{ ...base, outcome: each % 3 === 0 ? 'failed' : 'answered', reason: each % 3 === 0 ? 'overloaded' : undefined },
      ...{ message: random, requestId: random, responseId: random, responseModel: random, usage: undefined, cost: undefined },
    }
    hooks.onEvent?.({ type: 'attempt-end', at: each, callId: each, ...base, record } as never)
  }
  const lines = (await register.metrics()).split('\n').filter(line => !line.startsWith('#'))
  expect(lines.length).toBeLessThan(250)
})

test('a target that is kept warm has the series of its pings at 0, others have none', async ({ clock }) => {
  const warm = { ...fakeTarget(['Hi.'], { clock, name: 'a' }), keepWarm: { prompt: 'You are kind.' } }
  const { client, register } = watched([warm, fakeTarget('Hi.', { clock, name: 'b' })], { clock })
  const pings = async () =>
    (await samples(register, 'unbusy_keep_warm_total')).map(({ labels, value }) => [labels['provider'], labels['outcome'], value])
  expect(await pings()).toEqual([
    ['a', 'ok', 0],
    ['a', 'failed', 0],
  ])
  await clock.until(client.warmUp())
  expect(await pings()).toEqual([
    ['a', 'ok', 1],
    ['a', 'failed', 0],
  ])
})

test('histograms count into each bucket that holds a value, are aggregated like those of prom-client, and can be reset', async () => {
  const buckets = [0.1, 1, 10]
  const register = new Registry()
  const client = createClient({ chain: [fakeTarget('Hi.')] })
  onTestFinished(async () => client.close())
  const hooks = prometheus({ register, buckets }).attach?.(client) as TelemetryPart
  const theirs = new Histogram({ name: 'theirs', help: 'Theirs.', labelNames: ['client', 'outcome'], buckets, registers: [] })
  const lines = async (of: Registry, name: string) =>
    (await of.metrics()).split('\n').filter(line => line.startsWith(`${name}_`) && line.includes('answered'))
  fc.assert(
    fc.property(fc.double({ min: 0, max: 20, noNaN: true }), ms => {
      const seconds = ms / 1_000
      theirs.observe({ client: '', outcome: 'answered' }, seconds * 1_000)
      hooks.onEvent?.({ type: 'call-end', outcome: 'answered', durationMs: seconds * 1_000_000 } as never)
    }),
  )
  theirs.observe({ client: '', outcome: 'answered' }, 1)
  hooks.onEvent?.({ type: 'call-end', outcome: 'answered', durationMs: 1_000 } as never)
  const other = new Registry()
  other.registerMetric(theirs)
  const shape = (all: readonly string[]) => all.map(line => line.replace(/^\w+?_(?=bucket|sum|count)/, ''))
  const ours = shape(await lines(register, 'unbusy_call_duration_seconds'))
  const numbers = (all: readonly string[]) => all.map(line => Number(Number(line.split(' ')[1]).toFixed(6)))
  expect(ours.map(line => line.split(' ')[0])).toEqual(shape(await lines(other, 'theirs')).map(line => line.split(' ')[0]))
  expect(numbers(ours)).toEqual(numbers(await lines(other, 'theirs')))
  const found = await register.getMetricsAsJSON()
  const added = AggregatorRegistry.aggregate([found, found] as never)
  const count = ours.find(line => line.startsWith('count'))?.split(' ')[1]
  expect(await valueOf(added as Registry, 'unbusy_call_duration_seconds_count', { outcome: 'answered' })).toBe(2 * Number(count))
  register.resetMetrics()
  expect(await valueOf(register, 'unbusy_call_duration_seconds_count', { outcome: 'answered' })).toBe(0)
})

test('ten thousand calls at once count each once', async () => {
  const { client, register } = watched([fakeTarget('Hi.')], { breaker: false })
  await Promise.all(Array.from({ length: 10_000 }, async () => client.generate('Hi')))
  expect(await valueOf(register, 'unbusy_calls_total', { outcome: 'answered' })).toBe(10_000)
  expect(await valueOf(register, 'unbusy_call_duration_seconds_count', { outcome: 'answered' })).toBe(10_000)
})
