import { pool, vllm, type Call, type Target, type VllmOptions } from 'unbusy'
import { fakeTarget, runAttempt, type AttemptRun } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { keptPromises } from '../helpers/kept-promises.ts'
import { clientOf, live, liveKey, startVllm, type LiveServer } from '../helpers/live.ts'
import { runCli } from '../helpers/run-cli.ts'

const installed = live('vllm')
const short: Partial<Call> = { maxOutputTokens: 8, temperature: 0 }
/** Some seconds of the tiny model. */
const long: Partial<Call> = { maxOutputTokens: 1_900, temperature: 0, extraBody: { ignore_eos: true } }

let server: LiveServer
const opened: Target[] = []

describe.skipIf(installed.isMissing)(`vLLM with a key, two sequences and a queue of three${installed.suffix}`, () => {
  beforeAll(async () => {
    const starting = await startVllm(['--max-num-seqs', '2', '--max-num-queued-reqs', '3'], { early: true })
    server = starting
    // until it has loaded nobody listens: no status, no "loading"
    const run = runAttempt(target())
    await run.over
    expect(run.error).toMatchObject({ reason: 'network' })
    await starting.until200(`${starting.origin}/health`)
  }, 600_000)
  afterAll(async () => {
    for (const { provider } of opened) await provider.close?.()
    await server?.stop()
  })

  keptPromises({
    target: ({ model, ...options } = {}) => target(options, model),
    wrongKey: { reason: 'authentication', status: 401 },
    wrongModel: { reason: 'not-found', status: 404 },
  })

  test('an answer that ends by itself ends with stop, and an empty one is none', async () => {
    for (const stream of [true, false]) {
      const ended = await asked({ ...short, extraBody: { structured_outputs: { choice: ['yes'] } } }, { stream })
      expect(ended.text()).toBe('yes')
      expect(ended.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop' })
      const empty = await asked({ ...short, extraBody: { logit_bias: { 1: 100 } } }, { stream })
      expect(empty.error).toMatchObject({ reason: 'empty' })
    }
  })

  test('usage that comes with every event is that of the last', async () => {
    const run = await asked({ ...short, extraBody: { stream_options: { include_usage: true, continuous_usage_stats: true } } })
    expect(run.events.at(-1)).toMatchObject({ usage: { outputTokens: 8 } })
  })

  test('it goes on from a beginning, and no text is doubled', async () => {
    const messages: Call['messages'] = [{ role: 'user', content: 'Why is the sky blue?' }]
    const whole = (await asked({ ...short, messages, maxOutputTokens: 24 })).text()
    for (const stream of [true, false]) {
      const prefix = { text: whole.slice(0, 12), reasoningText: '' }
      const rest = await asked({ ...short, messages, prefix }, { stream })
      expect(rest.error).toBeUndefined()
      expect(rest.text()).not.toBe('')
      expect(rest.text().startsWith(prefix.text)).toBe(false)
    }
  })

  test('every level of reasoning is taken', async () => {
    for (const reasoning of ['off', 'low', 'high', 'max'] as const)
      expect((await asked({ ...short, reasoning })).outcome).toBe('resolved')
  })

  test('a prompt that is too long is told with both numbers', async () => {
    for (const stream of [true, false]) {
      const run = await asked({ ...short, messages: [{ role: 'user', content: 'word '.repeat(800) }] }, { stream })
      expect(run.error).toMatchObject({ reason: 'context-length', status: 400, contextTokens: 2_048, requestedTokens: 2_049 })
    }
  })

  test('an answer longer than the whole context is asked for again with the limit that it names', async () => {
    for (const stream of [true, false]) {
      const extraBody = { structured_outputs: { choice: ['yes'] } }
      const run = await asked({ ...short, maxOutputTokens: 4_000, extraBody }, { stream })
      expect(run.error).toBeUndefined()
      expect(run.events).toContainEqual(expect.objectContaining({ type: 'warning', setting: 'maxOutputTokens' }))
    }
  })

  test('a schema that its grammar does not know is asked for again without enforcement', async () => {
    const schema = { type: 'object', properties: { a: { type: 'array', uniqueItems: true, items: { type: 'string' } } } }
    for (const stream of [true, false]) {
      const run = await asked({ ...short, output: { type: 'json', schema } }, { stream })
      expect(run.error).toBeUndefined()
      expect(run.events).toContainEqual(expect.objectContaining({ type: 'warning', setting: 'output' }))
    }
  })

  test('tools without a parser are refused: about the call, not about the server', async () => {
    const run = await asked({ ...short, tools: { weather: { inputSchema: { type: 'object' } } } })
    expect(run.error).toMatchObject({ reason: 'invalid-request', status: 400 })
    expect((await asked(short)).outcome).toBe('resolved')
  })

  test('a full queue is overloaded: 503 for JSON, an event in a 200 for a stream; and a chain goes on at once', async () => {
    const running = await holders(3)
    expect(await load()).toMatchObject({ running: 2, waiting: 1 })
    expect((await asked(short, { stream: false })).error).toMatchObject({ reason: 'overloaded', status: 503 })
    expect((await asked(short, { stream: true })).error).toMatchObject({ reason: 'overloaded' })
    const client = clientOf({ chain: [target({ retry: 0 }), fakeTarget('From elsewhere.', { name: 'elsewhere' })] })
    expect(await client.generate({ prompt: 'Hi', maxOutputTokens: 8 })).toMatchObject({ provider: 'elsewhere' })
    await release(running)
  })

  test('a pool sends its calls to the replica that is less busy', async () => {
    const running = await holders(2)
    const idle = fakeTarget('From the idle one.', { name: 'idle' })
    const client = clientOf({ chain: [pool([target({ retry: 0 }), idle], { strategy: 'least-busy' })] })
    await eventually(async () => expect((await client.generate({ prompt: 'Hi', maxOutputTokens: 4 })).provider).toBe('idle'))
    await release(running)
  })

  test('an abort frees its place, also of a request without a stream', async () => {
    for (const stream of [true, false]) {
      const run = runAttempt(target({ stream }), { call: long })
      await eventually(async () => expect(await load()).toMatchObject({ running: 1 }))
      run.abort('enough')
      await run.over
      await eventually(async () => expect(await load()).toMatchObject({ running: 0, waiting: 0 }))
    }
  })

  test('doctor finds it by its key', async () => {
    const found = await runCli(['doctor', '--json'], { VLLM_BASE_URL: server.baseURL, VLLM_API_KEY: liveKey })
    const { services } = JSON.parse(found.stdout) as { services: { name: string; state: string; models: string[] }[] }
    expect(services.find(({ name }) => name === 'vllm')).toMatchObject({ state: 'answers', models: ['tiny'] })
    const locked = await runCli(['doctor', '--json'], { VLLM_BASE_URL: server.baseURL })
    expect(locked.stdout).toMatch(/the key was refused \(401\)/)
  })

  test('its key guards /v1 only: who can reach the port can run the model all the same', async () => {
    const body = JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 })
    const headers = { 'content-type': 'application/json' }
    const statusOf = async (path: string, method = 'GET') =>
      (await fetch(`${server.origin}${path}`, { method, headers, ...(method === 'POST' ? { body } : undefined) })).status
    expect(await statusOf('/v1/chat/completions', 'POST')).toBe(401)
    expect(await statusOf('/v1/models')).toBe(401)
    // the port must not be reachable by others: an allowlist of paths, or a network policy
    expect(await statusOf('/invocations', 'POST')).toBe(200)
    for (const path of ['/metrics', '/load', '/version', '/health']) expect(await statusOf(path)).toBe(200)
    for (const path of ['/pause', '/abort_requests']) expect(await statusOf(path, 'POST')).toBe(404)
  })

  test('its metrics have the names that dashboards and scalers read', async () => {
    const page = await (await fetch(`${server.origin}/metrics`)).text()
    const named = [...page.matchAll(/^# TYPE vllm:(\S+)/gm)].map(([, name]) => name)
    expect(named).toEqual(expect.arrayContaining(metrics))
  })

  // last: it ends the server
  test('SIGTERM without --shutdown-timeout: what runs and what waits fails at once, and then nobody listens', async () => {
    const running = await holders(3)
    server.signal('SIGTERM')
    await Promise.all(running.map(async ({ over }) => over))
    for (const { error } of running)
      expect(error).toMatchObject({ reason: expect.stringMatching(/server-error|truncated/) as string })
    await eventually(async () => expect((await asked(short)).error).toMatchObject({ reason: 'network' }))
  }, 120_000)
})

const metrics = [
  ...['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc', 'num_preemptions_total', 'engine_sleep_state'],
  ...['time_to_first_token_seconds', 'inter_token_latency_seconds', 'request_queue_time_seconds', 'e2e_request_latency_seconds'],
  ...['prefix_cache_hits_total', 'prefix_cache_queries_total', 'admission_rejections_total'],
  ...['prompt_tokens_total', 'generation_tokens_total'],
]

function target(options: VllmOptions = {}, model = 'tiny'): Target {
  const created = vllm(model, { baseURL: server.baseURL, apiKey: liveKey, ...options })
  opened.push(created)
  return created
}

async function asked(call: Partial<Call>, options: VllmOptions = {}): Promise<AttemptRun> {
  const run = runAttempt(target(options), { call })
  await run.over
  return run
}

async function load() {
  return target().provider.load?.(new AbortController().signal)
}

/** So many streams that do not end soon; those beyond two wait. */
async function holders(count: number): Promise<readonly AttemptRun[]> {
  await eventually(async () => expect(await load()).toMatchObject({ running: 0, waiting: 0 }))
  const running = Array.from({ length: count }, () => runAttempt(target(), { call: long }))
  onTestFinished(async () => release(running))
  await eventually(async () =>
    expect(await load()).toMatchObject({ running: Math.min(count, 2), waiting: Math.max(count - 2, 0) }),
  )
  return running
}

async function release(running: readonly AttemptRun[]): Promise<void> {
  for (const run of running) run.abort('released')
  await Promise.all(running.map(async ({ over }) => over))
}

async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 60_000, interval: 50 })
}
