import {
  ChainExhaustedError,
  createClient,
  type ClientEvent,
  type ClientOptions,
  llama,
  ollama,
  sharedHealth,
  vllm,
} from 'unbusy'
import { answer, fakeClock, type FakeScript, fakeTarget, hang, json, startServer, status } from 'unbusy/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

const everyMs = 60_000

/** A client in virtual time with one fake target, and what it was asked without a call. */
function setUp(script: FakeScript, given: Parameters<typeof fakeTarget>[1] = {}, options: Partial<ClientOptions> = {}) {
  const clock = fakeClock()
  const target = fakeTarget(script, { keepWarm: { prompt: 'You are a pirate.', everyMs }, ...given })
  const events: ClientEvent[] = []
  const client = createClient({ chain: [target], clock, random: () => 0, onEvent: event => void events.push(event), ...options })
  onTestFinished(async () => client.close())
  return { clock, client, target, events, pings: () => events.filter(event => event.type === 'keep-warm') }
}

test('an idle target gets its shared prompt with one token, every interval', async () => {
  const { clock, target, events, client, pings } = setUp('Arr.')
  await clock.advance(everyMs - 1)
  expect(target.provider.calls).toHaveLength(0)
  await clock.advance(1)
  expect(target.provider.calls[0]?.call).toMatchObject({
    maxOutputTokens: 1,
    messages: [{ role: 'system', content: 'You are a pirate.' }, { role: 'user' }],
  })
  await clock.advance(2 * everyMs)
  expect(pings()).toHaveLength(3)
  expect(pings()[0]).toMatchObject({
    type: 'keep-warm',
    provider: 'fake',
    model: 'fake-1',
    job: 'prompt',
    ok: true,
    reason: undefined,
  })
  // in no series of calls or attempts
  expect(events.map(({ type }) => type)).toEqual(['keep-warm', 'keep-warm', 'keep-warm'])
  expect(client.status().targets[0]).toMatchObject({
    answered: 0,
    failed: 0,
    keepWarm: { sent: 3, failed: 0, lastReason: undefined },
  })
})

test('it is off by default, and has no entry in status()', async () => {
  const { clock, target, client } = setUp('Arr.', { keepWarm: undefined })
  await clock.advance(10 * everyMs)
  expect(target.provider.calls).toHaveLength(0)
  expect(client.status().targets[0]?.keepWarm).toBeUndefined()
  expect(await client.warmUp()).toEqual([])
})

test('a call begins the interval anew, and one under way holds pings back', async () => {
  const { clock, target, client, pings } = setUp(
    { text: 'Slow.', firstChunkAfterMs: 90_000 },
    { timeout: { firstChunkMs: Infinity, headersMs: Infinity } },
  )
  await clock.advance(everyMs / 2)
  const call = client.generate({ prompt: 'Hi', timeout: { totalMs: Infinity } })
  await clock.advance(89_000)
  expect(target.provider.calls).toHaveLength(1)
  await clock.advance(1_000)
  await call
  await clock.advance(everyMs - 1_000)
  expect(pings()).toHaveLength(0)
  await clock.advance(2_000)
  expect(target.provider.calls).toHaveLength(2)
})

test('nothing is sent to a target whose breaker is open or whose gate is closed', async () => {
  const { clock, target, client } = setUp({ error: 'rate-limit', retryAfterMs: 600_000 })
  await expect(client.generate('Hi')).rejects.toThrow(ChainExhaustedError)
  const before = target.provider.calls.length
  await clock.advance(590_000)
  expect(target.provider.calls).toHaveLength(before)
})

test('a failed ping is charged like a call, and told with its reason', async () => {
  const { clock, client, pings, target } = setUp({ error: 'authentication' })
  await clock.advance(everyMs)
  expect(pings()).toMatchObject([{ ok: false, reason: 'authentication' }])
  expect(client.status().targets[0]).toMatchObject({
    state: 'gated',
    failed: 0,
    keepWarm: { sent: 1, failed: 1, lastReason: 'authentication' },
  })
  await clock.advance(everyMs)
  expect(target.provider.calls).toHaveLength(1)
})

test('an answer without a word is as good: one token may be a blank', async () => {
  const { clock, pings } = setUp({ error: 'empty' })
  await clock.advance(everyMs)
  expect(pings()).toMatchObject([{ ok: true, reason: undefined }])
})

test('pings teach nobody how long a call takes', async () => {
  const { clock, client } = setUp({ text: 'Slow.', firstChunkAfterMs: 15_000 })
  await clock.advance(everyMs + 15_000)
  expect(client.status().targets[0]).toMatchObject({ firstChunkMs: undefined, keepWarm: { sent: 1, lastMs: 15_000 } })
})

test('intervals have jitter, later and never earlier', async () => {
  const { clock, target } = setUp('Arr.', {}, { random: () => 1 })
  await clock.advance(everyMs * 1.1 - 1)
  expect(target.provider.calls).toHaveLength(0)
  await clock.advance(2)
  expect(target.provider.calls).toHaveLength(1)
})

test('it ends with the client, in the middle of a ping too, and keeps no process', async () => {
  const { clock, target, client, pings } = setUp({ hang: true })
  await clock.advance(everyMs)
  expect(target.provider.active()).toBe(1)
  await client.close()
  await vi.waitFor(() => expect(target.provider.active()).toBe(0))
  await clock.advance(10 * everyMs)
  expect(target.provider.calls).toHaveLength(1)
  expect(pings()).toEqual([])
  expect(clock.pending()).toBe(0)
})

test("a target's prepare changes the ping as it changes a call", async () => {
  const prepare = () => ({ temperature: 0, maxOutputTokens: 500 })
  const { clock, target } = setUp('Arr.', { prepare })
  await clock.advance(everyMs)
  expect(target.provider.calls[0]?.call).toMatchObject({ temperature: 0, maxOutputTokens: 1 })
})

test('a server that keeps its model is warmed once after it was lost, with a request of real length', async () => {
  const script = (_: unknown, attempt: number) => (attempt <= 2 ? { error: 'network' as const } : 'Back.')
  const { clock, target, client, pings } = setUp(script, { keepWarm: { model: true, everyMs }, keepLoaded: 'always', retry: 0 })
  await clock.advance(5 * everyMs)
  expect(target.provider.calls).toHaveLength(0)
  await expect(client.generate('Hi')).rejects.toThrow(ChainExhaustedError)
  // the first look finds it away, the second one finds it back
  await clock.advance(2_000)
  expect(pings()).toMatchObject([{ ok: false, reason: 'network', job: 'model' }])
  await clock.advance(60_000)
  expect(pings()[1]).toMatchObject({ ok: true })
  const sent = target.provider.calls.at(-1)?.call
  expect(sent?.maxOutputTokens).toBeGreaterThan(8)
  expect(JSON.stringify(sent?.messages).length).toBeGreaterThan(2_000)
  await clock.advance(20 * everyMs)
  expect(pings()).toHaveLength(2)
})

test('a call that is answered after a loss is the warm-up', async () => {
  const script = (_: unknown, attempt: number) => (attempt === 1 ? { error: 'network' as const } : 'Back.')
  const { clock, client, pings } = setUp(script, { keepWarm: { model: true, everyMs }, keepLoaded: 'always', retry: 0 })
  await expect(client.generate('Hi')).rejects.toThrow(ChainExhaustedError)
  await client.generate('Hi')
  await clock.advance(5 * everyMs)
  expect(pings()).toEqual([])
})

test('of a fleet one process pings', async () => {
  const clock = fakeClock()
  const holders = new Map<string, { readonly by: number; readonly until: number }>()
  const storeOf = (by: number) => ({
    publish() {},
    subscribe: () => () => {},
    async lease(key: string, forMs: number) {
      const held = holders.get(key)
      if (held !== undefined && held.by !== by && held.until > clock.now()) return false
      holders.set(key, { by, until: clock.now() + forMs })
      return true
    },
  })
  const identity = { origin: 'http://gpu-1:8080', credential: 'none' }
  const targets = [1, 2, 3].map(by => {
    const target = fakeTarget('Arr.', { keepWarm: { prompt: 'You are a pirate.', everyMs }, identity })
    const client = createClient({ chain: [target], clock, random: () => by / 10, health: storeOf(by) })
    onTestFinished(async () => client.close())
    return target
  })
  await clock.advance(10 * everyMs)
  const sent = targets.reduce((sum, { provider }) => sum + provider.calls.length, 0)
  expect(sent).toBeGreaterThanOrEqual(8)
  expect(sent).toBeLessThanOrEqual(11)
})

test('of clients that share their health one pings', async () => {
  const clock = fakeClock()
  const health = sharedHealth()
  const targets = [1, 2, 3].map(by => {
    const identity = { origin: 'http://gpu-1:8080', credential: 'none' }
    const target = fakeTarget('Arr.', { keepWarm: { prompt: 'You are a pirate.', everyMs }, identity })
    const client = createClient({ chain: [target], clock, random: () => by / 10, health })
    onTestFinished(async () => client.close())
    return target
  })
  await clock.advance(10 * everyMs)
  const sent = targets.reduce((sum, { provider }) => sum + provider.calls.length, 0)
  expect(sent).toBeGreaterThanOrEqual(8)
  expect(sent).toBeLessThanOrEqual(10)
})

describe('warmUp()', () => {
  test('warms every target that is kept warm, and only those', async () => {
    const warm = fakeTarget('Arr.', { name: 'warm', keepWarm: { model: true } })
    const other = fakeTarget('Arr.', { name: 'other' })
    const away = fakeTarget({ error: 'network' }, { name: 'away', keepWarm: { prompt: 'You are a pirate.' } })
    const client = createClient({ chain: [warm, other, away] })
    onTestFinished(async () => client.close())
    const results = await client.warmUp()
    expect(results).toEqual([
      { provider: 'warm', model: 'fake-1', name: undefined, ok: true, ms: expect.any(Number) as number },
      { provider: 'away', model: 'fake-1', name: undefined, ok: false, ms: expect.any(Number) as number, reason: 'network' },
    ])
    expect(other.provider.calls).toHaveLength(0)
  })

  test('waits for a server that loads its model, as long as it may', async () => {
    const script = (_: unknown, attempt: number) => (attempt <= 3 ? { error: 'loading' as const } : 'Ready.')
    const { clock, client } = setUp(script)
    expect(await clock.until(client.warmUp())).toMatchObject([{ ok: true }])
    const loading = setUp({ error: 'loading' })
    expect(await loading.clock.until(loading.client.warmUp({ timeoutMs: 5_000 }))).toMatchObject([
      { ok: false, reason: 'loading' },
    ])
  })

  test('a silent server is given up after timeoutMs', async () => {
    const { clock, client } = setUp({ hang: true }, { timeout: { headersMs: Infinity, firstChunkMs: Infinity } })
    expect(await clock.until(client.warmUp({ timeoutMs: 3_000 }))).toMatchObject([{ ok: false, reason: 'timeout' }])
  })

  test('rejects by the signal and by nothing else', async () => {
    const { client } = setUp({ hang: true })
    const reason = new Error('enough')
    const controller = new AbortController()
    const warming = client.warmUp({ signal: controller.signal })
    controller.abort(reason)
    await expect(warming).rejects.toBe(reason)
    await expect(client.warmUp({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const closing = client.warmUp()
    await client.close()
    expect(await closing).toMatchObject([{ ok: false }])
    await expect(client.warmUp({ timeoutMs: -1 })).rejects.toThrow(TypeError)
  })
})

describe('what is refused', () => {
  test.each([
    [true, /Write \{ model: true \}/],
    [{}, /is empty\. Write/],
    [{ model: false }, /model must be true/],
    [{ prompt: '' }, /prompt must be a non-empty string/],
    [{ model: true, everyMs: 10 }, /everyMs must be a number of milliseconds, 100 or more/],
    [{ model: true, every: 10 }, /no option 'every'/],
  ])('%o', (keepWarm, message) => {
    expect(() => vllm('r1', { keepWarm: keepWarm as never })).toThrow(message)
  })

  test('a target with a price, unless it is said that pings may cost', () => {
    const paying = (paid?: boolean) => () =>
      createClient({ chain: [fakeTarget('Hi', { price: { input: 1, output: 2 }, keepWarm: { model: true, paid } })] })
    expect(paying()).toThrow(/has a price/)
    expect(paying(true)).not.toThrow()
    expect(() => createClient({ chain: [vllm('r1', { keepWarm: { model: true } })] })).not.toThrow()
  })
})

describe('on the wire', () => {
  const slots = 'GET /slots'

  async function serve(
    format: 'llama' | 'ollama' | 'vllm',
    routes: NonNullable<Parameters<typeof startServer>[1]>['routes'] = {},
  ) {
    const server = await startServer(answer('Hi.'), { format, routes })
    onTestFinished(async () => server.close())
    return server
  }
  const asked = (server: Awaited<ReturnType<typeof serve>>) => server.requests.map(({ method, path }) => `${method} ${path}`)

  test('llama.cpp that is awake is kept so by a look at its slots, which evicts nothing', async () => {
    const server = await serve('llama', { 'GET /props': json({ is_sleeping: false }), [slots]: json([{ id: 0 }]) })
    const client = createClient({ chain: [llama({ baseURL: server.baseURL, keepWarm: { model: true } })] })
    onTestFinished(async () => client.close())
    expect(await client.warmUp()).toMatchObject([{ ok: true }])
    expect(asked(server)).toEqual(['GET /props', slots])
  })

  test.each([
    ['sleeps', json({ is_sleeping: true }), json([{ id: 0 }])],
    ['hides its slots', json({ is_sleeping: false }), status(501)],
  ])('llama.cpp that %s gets one token', async (_, props, page) => {
    const server = await serve('llama', { 'GET /props': props, [slots]: page })
    const client = createClient({ chain: [llama({ baseURL: server.baseURL, keepWarm: { model: true } })] })
    onTestFinished(async () => client.close())
    expect(await client.warmUp()).toMatchObject([{ ok: true }])
    expect(server.requests.at(-1)).toMatchObject({ path: '/v1/chat/completions', json: { max_tokens: 1 } })
  })

  test('Ollama loads without a prompt, with the context and the time of the calls', async () => {
    const server = await serve('ollama', { 'POST /api/generate': json({ done: true, done_reason: 'load' }) })
    const target = ollama('r1', { baseURL: server.baseURL, keepAlive: -1, contextTokens: 8_192, keepWarm: { model: true } })
    const client = createClient({ chain: [target] })
    onTestFinished(async () => client.close())
    expect(await client.warmUp()).toMatchObject([{ ok: true }])
    expect(server.requests).toHaveLength(1)
    expect(server.requests[0]?.json).toEqual({ model: 'r1', stream: false, keep_alive: -1, options: { num_ctx: 8_192 } })
  })

  test('a model that Ollama does not have is told as such, and a silent server ends', async () => {
    const server = await serve('ollama', { 'POST /api/generate': status(404, { error: "model 'r1' not found" }) })
    const client = createClient({ chain: [ollama('r1', { baseURL: server.baseURL, keepWarm: { model: true } })] })
    onTestFinished(async () => client.close())
    expect(await client.warmUp()).toMatchObject([{ ok: false, reason: 'not-found' }])
    const silent = await serve('llama', { 'GET /props': hang() })
    const other = createClient({ chain: [llama({ baseURL: silent.baseURL, keepWarm: { model: true } })] })
    onTestFinished(async () => other.close())
    expect(await other.warmUp({ timeoutMs: 100 })).toMatchObject([{ ok: false, reason: 'timeout' }])
  })

  test('the prompt is sent as a chat with one token, the same for every server', async () => {
    const server = await serve('vllm')
    const client = createClient({ chain: [vllm('r1', { baseURL: server.baseURL, keepWarm: { prompt: 'You are a pirate.' } })] })
    onTestFinished(async () => client.close())
    await client.warmUp()
    expect(server.requests[0]?.json).toMatchObject({
      max_tokens: 1,
      messages: [{ role: 'system', content: 'You are a pirate.' }, { role: 'user' }],
    })
  })
})
