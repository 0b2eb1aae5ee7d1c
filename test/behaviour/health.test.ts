import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createClient, deepseek, openai, pool, vllm } from 'unbusy'
import { answer, fakeTarget, recordEvents, status } from 'unbusy/testing'
import type { FakeClock, FakeReply } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { test } from '../helpers/vitest.ts'

/** Down until it is switched on; then it answers. */
function switchable(clock: FakeClock, answerAfterMs = 100) {
  const state = { up: false }
  const target = fakeTarget(
    () => (state.up ? { text: 'first', firstChunkAfterMs: answerAfterMs } : { error: 'overloaded', headersAfterMs: 500 }),
    { clock, name: 'first', retry: 0 },
  )
  return { state, target }
}

test('a target that is down is left, probed beside real calls that never wait for it, and used again when it is back (R101, R107, R136)', async ({
  clock,
  events,
}) => {
  const { state, target } = switchable(clock)
  const second = fakeTarget({ text: 'second', firstChunkAfterMs: 50 }, { clock, name: 'second' })
  const client = createClient({ chain: [target, second], clock, random: () => 0.5, hedge: false, onEvent: events.listener })
  const call = async () => {
    const startedAt = clock.now()
    const { text } = await clock.until(client.generate('Hi'))
    const took = clock.now() - startedAt
    await clock.advance(1_000)
    return { text, took }
  }
  for (let index = 0; index < 3; index += 1) expect(await call()).toEqual({ text: 'second', took: 550 })
  const askedWhileDown = target.provider.calls.length
  for (let index = 0; index < 30; index += 1) expect(await call()).toEqual({ text: 'second', took: 50 })
  const probes = target.provider.calls.length - askedWhileDown
  expect(probes).toBeGreaterThanOrEqual(3)
  expect(probes).toBeLessThanOrEqual(10)
  expect(events.of('attempt-start').filter(({ kind }) => kind === 'probe')).toHaveLength(probes)

  state.up = true
  const texts: string[] = []
  for (let index = 0; index < 40; index += 1) {
    const { text, took } = await call()
    expect(took).toBe(text === 'first' ? 100 : 50)
    texts.push(text)
  }
  expect(texts.slice(-10)).toEqual(Array.from({ length: 10 }, () => 'first'))
  const states = events.of('health-change').map(change => change.state)
  expect(states[0]).toBe('open')
  expect(states).toContain('half-open')
  expect(states.at(-1)).toBe('closed')
  expect(client.health()[0]).toMatchObject({ state: 'closed', reason: undefined, untilMs: undefined, inFlight: 0 })
})

test('a probe that fails or is cut while another target is answering ends nothing and adds nothing to its answer', async ({
  clock,
  events,
}) => {
  for (const afterFirstToken of ['fail', 'restart', 'continue'] as const) {
    for (const reason of ['overloaded', 'content-filter', 'invalid-request'] as const) {
      let down = true
      const first = fakeTarget(() => (down ? { error: 'overloaded' } : { error: reason, headersAfterMs: 1_500 }), {
        ...{ clock, name: 'first', retry: 0, capabilities: { prefix: true } },
      })
      const second = fakeTarget({ text: ['a', 'b', 'c', 'd'], chunkEveryMs: 1_000 }, { clock, name: 'second' })
      const client = createClient({ chain: [first, second], clock, random: () => 0.5, afterFirstToken, onEvent: events.listener })
      for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
      await clock.advance(3_000)
      down = false
      events.clear()
      const stream = await clock.until(client.stream('Hi'))
      expect(await clock.until(stream.text())).toBe('abcd')
      expect(events.of('attempt-start').map(({ kind }) => kind)).toEqual(['probe', 'first'])
      await client.close()
    }
  }
})

test('a probe whose content comes after the stream of another target broke is not glued behind it (R35)', async ({
  clock,
  events,
}) => {
  let down = true
  const first = fakeTarget(() => (down ? { error: 'overloaded' } : { text: 'PROBE', firstChunkAfterMs: 2_000 }), {
    ...{ clock, name: 'first', retry: 0 },
  })
  const second = fakeTarget(() => (down ? 'ok' : { text: ['half'], cutAfterChunks: 1 }), { clock, name: 'second', retry: 0 })
  const third = fakeTarget({ text: 'third', firstChunkAfterMs: 10_000 }, { clock, name: 'third', retry: 0 })
  const client = createClient({
    ...{ chain: [first, second, third], clock, random: () => 0.5, hedge: false, afterFirstToken: 'restart' as const },
    onEvent: events.listener,
  })
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
  await clock.advance(3_000)
  down = false
  const stream = await clock.until(client.stream('Hi'))
  let shown = ''
  const read = async () => {
    for await (const event of stream) {
      if (event.type === 'restart') shown = ''
      if (event.type === 'text-delta') shown += event.text
    }
  }
  await clock.until(read())
  expect(['third', 'PROBE']).toContain(shown)
  expect((await stream.result()).text).toBe(shown)
})

test("one key's 402 keeps that key away from its service, and darkens neither another key nor another service (R103)", async ({
  server,
}) => {
  const shared = await server(
    request => (request.headers.authorization === 'Bearer sk-poor-0123456789' ? status(402) : answer('Rich.')),
    {
      format: 'deepseek',
    },
  )
  const other = await server(answer('Other.'), { format: 'openai' })
  const poor = { baseURL: shared.baseURL, apiKey: 'sk-poor-0123456789' }
  const client = createClient({
    chain: [
      deepseek(poor),
      deepseek('deepseek-v4-pro', poor),
      deepseek({ baseURL: shared.baseURL, apiKey: 'sk-rich-0123456789' }),
      openai({ baseURL: other.baseURL, apiKey: 'sk-poor-0123456789' }),
    ],
  })
  onTestFinished(async () => client.close())
  expect(await client.generate('Hi')).toMatchObject({ text: 'Rich.', targetIndex: 2 })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Rich.', targetIndex: 2 })
  expect(client.health().map(({ state }) => state)).toEqual(['gated', 'gated', 'closed', 'closed'])
  expect(client.health()[0]).toMatchObject({ reason: 'quota' })
  // the second model of the poor key was never asked
  expect(shared.requests).toHaveLength(3)
})

test('nothing is sent where `when` forbids it: no attempt, no probe and no last resort', async ({ clock }) => {
  let down = true
  const tier = fakeTarget(() => (down ? { error: 'overloaded' } : 'public'), {
    ...{ clock, name: 'public', retry: 0, price: { input: 1, output: 1 } },
    when: ({ metadata }) => metadata['confidential'] !== true,
  })
  const inner = fakeTarget(
    (_, attempt) => (attempt === 10 ? { error: 'overloaded' } : { text: 'private', firstChunkAfterMs: 9_000 }),
    {
      ...{ clock, name: 'private', retry: 0 },
    },
  )
  const client = createClient({ chain: [tier, inner], clock, random: () => 0.5 })
  for (let call = 0; call < 3; call += 1) await clock.until(client.generate('Hi'))
  const asked = tier.provider.calls.length
  down = false
  const secret = { prompt: 'Hi', metadata: { confidential: true } }
  for (let call = 0; call < 6; call += 1) {
    await clock.advance(5_000)
    expect(await clock.until(client.generate(secret))).toMatchObject({ text: 'private' })
  }
  // the private tier fails once, and there is nobody else: not even then
  await expect(clock.until(client.generate(secret))).rejects.toMatchObject({
    attempts: [{ outcome: 'skipped' }, { outcome: 'failed' }],
  })
  expect(tier.provider.calls).toHaveLength(asked)
  // anybody else's call probes it
  await clock.until(client.generate('Hi'))
  expect(tier.provider.calls.length).toBeGreaterThan(asked)
})

test('one dead target holds up no call to another: nothing that is shared waits for it (R68)', async ({ clock }) => {
  const dead = fakeTarget({ hang: true }, { clock, name: 'dead', when: ({ metadata }) => metadata['dead'] === true })
  const fine = fakeTarget({ text: 'fine', firstChunkAfterMs: 10 }, { clock, name: 'fine' })
  const client = createClient({ chain: [dead, fine], clock, hedge: false })
  const stuck = Array.from({ length: 50 }, async () => client.generate({ prompt: 'Hi', metadata: { dead: true } }))
  await clock.advance(5)
  const startedAt = clock.now()
  const quick = Array.from({ length: 50 }, async () => client.generate('Hi'))
  await clock.until(Promise.all(quick))
  expect(clock.now() - startedAt).toBe(10)
  expect(dead.provider.active()).toBe(50)
  await clock.until(Promise.all(stuck))
})

test('health() is plain data that JSON keeps, in every state, and after close() nothing is in flight or set', async ({
  clock,
}) => {
  const events = recordEvents()
  const chain = [
    fakeTarget({ error: 'overloaded' }, { clock, name: 'open', retry: 0 }),
    fakeTarget({ error: 'rate-limit', retryAfterMs: 90_000 }, { clock, name: 'gated' }),
    fakeTarget({ text: ['a', 'b'], firstChunkAfterMs: 100, chunkEveryMs: 60_000 }, { clock, name: 'fine' }),
  ]
  const client = createClient({ chain, clock, hedge: false, onEvent: events.listener })
  const before = client.health()
  expect(JSON.parse(JSON.stringify(before))).toEqual(JSON.parse(JSON.stringify(before)) as unknown)
  for (let call = 0; call < 3; call += 1) {
    const stream = await clock.until(client.stream('Hi'))
    stream.result().catch(() => {})
  }
  const during = client.health()
  expect(during).toMatchObject([
    { provider: 'open', state: 'open', reason: 'overloaded', inFlight: 0 },
    { provider: 'gated', state: 'gated', reason: 'rate-limit' },
    { provider: 'fine', state: 'closed', inFlight: 3, firstChunkMs: { p50: expect.any(Number) as number } },
  ])
  expect(during[1]?.untilMs).toBeGreaterThan(80_000)
  // toStrictEqual would see a function, a class or Infinity; what is undefined is left out
  const known = during.map(snapshot => Object.fromEntries(Object.entries(snapshot).filter(([, value]) => value !== undefined)))
  expect(JSON.parse(JSON.stringify(during))).toStrictEqual(known)
  await client.close()
  for (const snapshot of client.health()) expect(snapshot).toMatchObject({ inFlight: 0, waiting: 0 })
  expect(clock.pending()).toBe(0)
  events.assertPaired()
})

test('F98: replicas of one model are told apart by their names, and by the step that a pool is, in attempts, health and events', async ({
  clock,
  events,
}) => {
  const replica = (name: string, reply: FakeReply) => ({
    ...fakeTarget(reply, { clock, name: 'vllm', model: 'r1', retry: 0 }),
    name,
  })
  const chain = [
    pool([replica('gpu1', { error: 'rate-limit', retryAfterMs: 60_000 }), replica('gpu2', { error: 'overloaded' })]),
    fakeTarget('Here.', { clock, name: 'second' }),
  ]
  const client = createClient({ chain, clock, random: () => 0.5, onEvent: events.listener })
  const { attempts, targetIndex, step, name } = await clock.until(client.generate('Hi'))
  expect([targetIndex, step, name]).toEqual([2, 1, undefined])
  const told = attempts.toSorted((one, other) => one.targetIndex - other.targetIndex)
  expect(told.map(record => [record.name, record.targetIndex, record.step])).toEqual([
    ['gpu1', 0, 0],
    ['gpu2', 1, 0],
    [undefined, 2, 1],
  ])
  expect(client.health().map(target => [target.name, target.step, target.state])).toEqual([
    ['gpu1', 0, 'gated'],
    ['gpu2', 0, 'closed'],
    [undefined, 1, 'closed'],
  ])
  expect(events.of('attempt-start').map(event => event.name)).toContain('gpu2')
  expect(events.of('health-change')).toMatchObject([
    { name: 'gpu1', step: 0, targetIndex: 0, state: 'gated', sinceMs: expect.any(Number) },
  ])
  expect(vllm('r1', { baseURL: 'http://127.0.0.1:1', name: 'gpu3' })).toMatchObject({ name: 'gpu3' })
  expect(() => vllm('r1', { baseURL: 'http://127.0.0.1:1', name: '' })).toThrow('vllm: name must be a non-empty string')
  // what tells that gpu1 is back, and nothing of the call
  expect(clock.pending()).toBe(1)
  await client.close()
  expect(clock.pending()).toBe(0)
})

test('F100: the timer that tells of a target that is back keeps no process alive', async () => {
  const program = `
    import { createClient } from 'unbusy'
    import { fakeTarget } from 'unbusy/testing'
    const chain = [fakeTarget({ error: 'rate-limit', retryAfterMs: 60_000 }, { retry: 0 }), fakeTarget('Hi.')]
    await createClient({ chain, onEvent: () => {} }).generate('Hi')`
  const run = promisify(execFile)(process.execPath, ['--conditions=unbusy-source', '--input-type=module', '--eval', program], {
    cwd: import.meta.dirname,
    timeout: 30_000,
  })
  await expect(run).resolves.toMatchObject({ stderr: '' })
})
