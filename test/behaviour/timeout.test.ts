import { createClient, deepseek, llama, type TimeoutSettings } from 'unbusy'
import { answer, fakeTarget, hang } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef', retry: 0 }
const forever = Infinity

test.for([
  ['headers', '(R66)', { headersMs: 150 }, { headersAfterMs: forever }],
  // on a busy machine the headers need a while, and these two must not ring before them
  ['firstChunk', '(R13, R63, R79, R81)', { firstChunkMs: 600 }, { firstChunkAfterMs: forever }],
  ['queued', '(R65, R78, R86)', { queuedMs: 600 }, { keepAliveForMs: forever, keepAliveEveryMs: 5 }],
  ['chunk', '(R67, R71, R75, R80, R84)', { chunkMs: 150 }, { stallAfterChunks: 2 }],
] as const)(
  'the clock %s ends an attempt over a real socket, and the next target answers %s',
  async ([name, , timeout, conduct], { server }) => {
    const slow = await server(answer('Never to be seen whole.', { ...conduct, headers: { 'x-ds-trace-id': 'trace-7' } }), {
      format: 'deepseek',
    })
    const local = await server(answer('Here.'), { format: 'llama' })
    const client = createClient({
      chain: [deepseek({ ...key, baseURL: slow.baseURL, timeout }), llama({ baseURL: local.baseURL })],
    })
    onTestFinished(async () => client.close())
    const { text, attempts } = await client.generate('Hi')
    expect(text).toBe('Here.')
    expect(attempts[0]).toMatchObject({ outcome: 'failed', reason: 'timeout', clock: name })
    // a Node timer counts from the cached time of its loop, and fires a few milliseconds early under load
    expect(attempts[0]?.durationMs).toBeGreaterThanOrEqual(100)
    // whoever runs the server can look up even a request that said nothing
    expect(attempts[0]?.requestId).toBe(name === 'headers' ? undefined : 'trace-7')
    await slow.untilAllClosed()
  },
)

test('the connect clock ends an attempt whose connection never comes', async ({ clock }) => {
  const chain = [fakeTarget('late', { name: 'far', clock }), fakeTarget('Here.', { name: 'near', clock })]
  const far = fakeTarget({ text: 'late', connectAfterMs: forever }, { name: 'far', clock })
  const client = createClient({ chain: [far, ...chain.slice(1)], clock, hedge: false, timeout: { connectMs: 5_000 } })
  const { attempts, text } = await clock.until(client.generate('Hi'))
  expect(text).toBe('Here.')
  expect(attempts[0]).toMatchObject({ clock: 'connect', durationMs: 5_000 })
})

test('the total clock ends the call, whatever is going on', async ({ clock }) => {
  const endless = fakeTarget({ text: Array.from({ length: 1_000 }, () => 'a'), chunkEveryMs: 500 }, { clock })
  const client = createClient({ chain: [endless], clock, timeout: { totalMs: 10_000 } })
  await expect(clock.until(client.generate('Hi'))).rejects.toMatchObject({
    status: 504,
    attempts: [{ clock: 'total', durationMs: 10_000 }],
  })
  expect(clock.pending()).toBe(0)
})

test.for([{ totalMs: 0 }, { firstContentMs: 0 }])(
  'a call whose time is over before it asks anybody ends in a timeout: %o',
  async (timeout, { clock }) => {
    const target = fakeTarget('Hello.')
    const client = createClient({ chain: [target], clock })
    const call = client.generate({ prompt: 'Hi', timeout }).catch((error: unknown) => error)
    expect(await clock.until(call)).toMatchObject({ reason: 'timeout', status: 504, attempts: [], failures: [] })
    expect(target.provider.calls).toHaveLength(0)
  },
)

test('reasoning for minutes is life, and no clock ends it (R15, R73, R88)', async ({ clock }) => {
  const reasoning = Array.from({ length: 20 }, () => 'hm ')
  const thinker = fakeTarget({ reasoning, text: '42', chunkEveryMs: 45_000 }, { clock })
  const client = createClient({ chain: [thinker], clock, timeout: { totalMs: 3_600_000 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: '42' })
})

test('keep-alives every second for twenty minutes end in the queued clock, payload every 59 s in none (R72, R87)', async ({
  clock,
}) => {
  const timeout = { totalMs: 3_600_000 }
  const queued = fakeTarget({ text: 'x', keepAliveForMs: 1_200_000, keepAliveEveryMs: 1_000 }, { clock, retry: 0 })
  const one = createClient({ chain: [queued], clock, timeout })
  await expect(clock.until(one.generate('Hi'))).rejects.toMatchObject({ attempts: [{ clock: 'queued', durationMs: 600_000 }] })
  const slow = fakeTarget({ text: Array.from({ length: 20 }, () => 'a'), chunkEveryMs: 59_000 }, { clock })
  const other = createClient({ chain: [slow], clock, timeout })
  expect(await clock.until(other.generate('Hi'))).toMatchObject({ text: 'a'.repeat(20) })
})

test('while another target is left, no attempt uses more than half of the time without a word (R58)', async ({ clock }) => {
  const silent = fakeTarget({ hang: true }, { name: 'silent', clock })
  const client = createClient({
    chain: [silent, fakeTarget('Here.', { clock })],
    clock,
    hedge: false,
    timeout: { totalMs: 10_000 },
  })
  const { text, attempts } = await clock.until(client.generate('Hi'))
  expect(text).toBe('Here.')
  expect(attempts[0]).toMatchObject({ reason: 'timeout', clock: 'firstChunk', durationMs: 5_000 })
})

test('after a failure that was slow, the little time that is left is for the last target (R17)', async ({ clock }) => {
  const slow = { text: ['a', 'b', 'c'], chunkEveryMs: 29_000, error: 'server-error', errorAfterChunks: 3 } as const
  const chain = [slow, 'Second.', 'Third.'].map((reply, index) => fakeTarget(reply, { clock, name: `t${index}`, retry: 0 }))
  const client = createClient({ chain, clock, hedge: false, timeout: { totalMs: 60_000 } })
  expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Third.' })
  expect(chain.map(({ provider }) => provider.calls.length)).toEqual([1, 0, 1])
})

test('limits are overridden for the client, for a target and for a call, the nearest wins (R62, R64, R82, R98)', async ({
  clock,
}) => {
  const ended = async (limits: {
    client?: Partial<TimeoutSettings>
    target?: Partial<TimeoutSettings>
    call?: Partial<TimeoutSettings>
  }) => {
    const target = fakeTarget({ hang: true }, { clock, timeout: limits.target, retry: 0 })
    const client = createClient({ chain: [target], clock, timeout: limits.client })
    const error: unknown = await clock
      .until(client.generate({ prompt: 'Hi', timeout: limits.call }))
      .catch((thrown: unknown) => thrown)
    return (error as { attempts: { durationMs: number }[] }).attempts[0]?.durationMs
  }
  // the fake server takes the request and sends no headers
  expect(await ended({})).toBe(15_000)
  expect(await ended({ client: { firstChunkMs: 7_000 } })).toBe(7_000)
  expect(await ended({ client: { firstChunkMs: 7_000 }, target: { firstChunkMs: 6_000 } })).toBe(6_000)
  const all = { client: { firstChunkMs: 7_000 }, target: { firstChunkMs: 6_000 }, call: { firstChunkMs: 5_000 } }
  expect(await ended(all)).toBe(5_000)
})

test('a route that stayed silent is not asked again (R55, R83)', async ({ clock }) => {
  const silent = fakeTarget({ hang: true }, { name: 'silent', clock, retry: 3 })
  const client = createClient({ chain: [silent, fakeTarget('Here.', { clock })], clock })
  await clock.until(client.generate('Hi'))
  expect(silent.provider.calls).toHaveLength(1)
})

test('a reader that is slow does not let the chunk clock run', async ({ clock }) => {
  const target = fakeTarget({ text: Array.from({ length: 400 }, () => 'a') }, { clock })
  const client = createClient({ chain: [target], clock, timeout: { chunkMs: 1_000, totalMs: 3_600_000 } })
  const stream = await clock.until(client.stream('Hi'))
  let text = ''
  for await (const event of stream) {
    if (event.type === 'text-delta') text += event.text
    if (text.length % 100 === 0) await clock.advance(600_000)
  }
  expect(text).toBe('a'.repeat(400))
})

test('a server that never answers at all leads to the next target', async ({ server }) => {
  const dead = await server(hang(), { format: 'deepseek' })
  const local = await server(answer('Here.'), { format: 'llama' })
  const timeout = { headersMs: 30 }
  const client = createClient({
    chain: [deepseek({ ...key, baseURL: dead.baseURL, timeout }), llama({ baseURL: local.baseURL })],
  })
  onTestFinished(async () => client.close())
  expect(await client.generate('Hi')).toMatchObject({ text: 'Here.', provider: 'llama' })
  await dead.untilAllClosed()
})

test('a server that keeps the connection open after its answer costs a moment, not the answer (R77)', async ({ server }) => {
  const open = await server(answer('Here.', { stallAfterChunks: 'finish' }), { format: 'deepseek' })
  const client = createClient({ chain: [deepseek({ ...key, baseURL: open.baseURL })], timeout: { chunkMs: 30_000 } })
  onTestFinished(async () => client.close())
  expect(await client.generate('Hi')).toMatchObject({ text: 'Here.', finishReason: 'stop' })
  await open.untilAllClosed()
})

test.for(['fin', 'rst'] as const)(
  'a connection that is lost after the finish (%s) takes nothing from a whole answer',
  async (cutBy, { server }) => {
    const lost = await server(answer('Here.', { cutAfterChunks: 'finish', cutBy }), { format: 'deepseek' })
    const client = createClient({ chain: [deepseek({ ...key, baseURL: lost.baseURL })] })
    onTestFinished(async () => client.close())
    expect(await client.generate('Hi')).toMatchObject({ text: 'Here.', finishReason: 'stop' })
    expect(lost.requests).toHaveLength(1)
  },
)

test('a target’s own `totalMs` ends its request, and the call goes on to the next one', async ({ clock }) => {
  const first = fakeTarget({ hang: true }, { clock, name: 'first', retry: 0, timeout: { totalMs: 2_000 } })
  const client = createClient({ chain: [first, fakeTarget('Second.', { clock })], clock, hedge: false })
  const { text, attempts } = await clock.until(client.generate('Hi'))
  expect([text, attempts[0]]).toMatchObject(['Second.', { reason: 'timeout', clock: 'total', durationMs: 2_000 }])
})
