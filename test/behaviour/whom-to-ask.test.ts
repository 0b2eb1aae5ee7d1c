import { expect } from 'vitest'
import { createClient, pool, type Target } from '../../src/index.ts'
import { fakeClock, fakeTarget, recordEvents, type FakeScript } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const clock = fakeClock()
const { until } = clock
const named = (name: string, script: FakeScript = name) => ({ ...fakeTarget(script, { name: 'p', retry: 0 }), name })
const asked = (...targets: readonly ReturnType<typeof named>[]) => targets.map(({ provider }) => provider.calls.length)

test('only the named targets are asked, in the order of the chain and not of the list', async () => {
  const [a, b, c] = [named('a', { error: 'quota' }), named('b', { error: 'quota' }), named('c', { error: 'quota' })]
  const client = createClient({ chain: [a, b, c], clock })
  const error: unknown = await until<unknown>(client.generate({ prompt: 'Hi', targets: ['c', 'a'] })).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ attempts: [{ name: 'a' }, { name: 'c' }] })
  expect(asked(a, b, c)).toEqual([1, 0, 1])
})

test('a name may be that of several targets, of one in a pool, and of a provider where a target has none', async () => {
  const [a, twin, c] = [named('a', { error: 'quota' }), named('a'), named('c')]
  const client = createClient({ chain: [pool([a, twin]), c, fakeTarget('mine', { name: 'local' })], clock })
  expect(await until(client.generate({ prompt: 'Hi', targets: ['a'] }))).toMatchObject({ text: 'a', step: 0 })
  expect(await until(client.generate({ prompt: 'Hi', targets: ['local'] }))).toMatchObject({
    text: 'mine',
    targetIndex: 3,
    step: 2,
  })
  const stream = await until(client.stream({ prompt: 'Hi', targets: ['c'] }))
  expect(stream.answeredBy).toMatchObject({ name: 'c', targetIndex: 2, step: 1 })
  expect(await stream.text()).toBe('c')
})

test('a named target is still asked for its `when`, and only it', async () => {
  const chain: Target[] = [named('a'), { ...named('b'), when: () => false }]
  const client = createClient({ chain, clock })
  await expect(until(client.generate({ prompt: 'Hi', targets: ['b'] }))).rejects.toMatchObject({
    reason: 'excluded',
    status: 403,
  })
})

test.for([
  [['A'], "targets: this chain has no target with the name 'A'. Did you mean 'a'?"],
  [[], 'targets is empty'],
  ['a', 'targets must be a list'],
  [[''], 'targets[0] must be a non-empty string'],
] as const)('%o is a TypeError before anything is sent', async ([targets, words]) => {
  const events = recordEvents()
  const a = named('a')
  const client = createClient({ chain: [a], clock, onEvent: events.listener })
  const error: unknown = await client.generate({ prompt: 'Hi', targets: targets as never }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(TypeError)
  expect(String(error)).toContain(words)
  expect(asked(a)).toEqual([0])
  expect(events.events).toEqual([])
})

test('without fallback the first target is retried and repaired, and no other is asked', async () => {
  const first = { ...fakeTarget({ error: 'server-error' }, { retry: { maxRetries: 2, rounds: 2 } }), name: 'first' }
  const second = named('second')
  const client = createClient({ chain: [first, second], clock, breaker: false })
  await expect(until(client.generate({ prompt: 'Hi', fallback: false }))).rejects.toMatchObject({ reason: 'server-error' })
  expect(asked(first, second)).toEqual([4, 0])
  expect(await until(client.generate({ prompt: 'Hi', fallback: true }))).toMatchObject({ text: 'second' })
})

test('the first is the first that is available: one that is gated, refuses or is excluded is passed over', async () => {
  const gated = named('gated', { error: 'authentication' })
  const refusing = {
    ...fakeTarget('never', { prepare: () => ({ seed: 1 }), refuse: () => ({ reason: 'permission' }) as never }),
    name: 'r',
  }
  const excluded = { ...named('excluded'), when: () => false }
  const [good, next] = [named('good', ['ok', { error: 'quota' }]), named('next')]
  const client = createClient({ chain: [gated, refusing, excluded, good, next], clock })
  await until(client.generate('Hi'))
  await expect(until(client.generate({ prompt: 'Hi', fallback: false }))).rejects.toMatchObject({
    attempts: [{ name: 'gated' }, { name: 'r' }, { name: 'excluded' }, { name: 'good', reason: 'quota' }],
  })
  expect(asked(gated, refusing, excluded, good, next)).toEqual([1, 0, 0, 2, 0])
})

test('without fallback nobody is asked beside a late target, and no target that was down is tried beside it', async () => {
  const down = named('down', [{ error: 'server-error' }, 'up again'])
  const late = named('late', { text: 'late', headersAfterMs: 14_000 })
  const spare = named('spare')
  const breaker = { consecutiveFailures: 1, openMs: 1_000 }
  const client = createClient({ chain: [down, late, spare], clock, hedge: { budget: 1, spend: 1 }, breaker })
  await until(client.generate({ prompt: 'Hi', targets: ['down', 'spare'] }))
  await clock.advance(5_000)
  expect(client.health()[0]).toMatchObject({ state: 'half-open' })
  expect(await until(client.generate({ prompt: 'Hi', fallback: false }))).toMatchObject({
    text: 'late',
    attempts: [{ kind: 'first' }],
  })
  expect(asked(down, late, spare)).toEqual([1, 1, 1])
})

test('a stream without fallback restarts on the same target only, and a default response still stands', async () => {
  const broken = named('broken', [{ text: ['a', 'b'], cutAfterChunks: 1 }, 'whole'])
  const other = named('other')
  const chain = [{ ...broken, retry: 1 }, other]
  const client = createClient({ chain, clock, afterFirstToken: 'restart' })
  const stream = await until(client.stream({ prompt: 'Hi', fallback: false }))
  expect(await until(stream.text())).toBe('whole')
  const dead = createClient({ chain: [named('dead', { error: 'quota' }), other], clock, defaultResponse: 'Later.' })
  expect(await until(dead.generate({ prompt: 'Hi', fallback: false }))).toMatchObject({ text: 'Later.', degraded: true })
  expect(asked(other)).toEqual([0])
})

test('fallback is true or false', async () => {
  const client = createClient({ chain: [named('a')], clock })
  await expect(client.generate({ prompt: 'Hi', fallback: 'Busy.' as never })).rejects.toThrow('fallback: false')
})

test('calls with one tag go to one replica of a pool; an affinity of its own comes first, and nothing of it is sent', async () => {
  const replicas = () => ['a', 'b', 'c', 'd'].map(name => fakeTarget('Hello.', { name }))
  const by = async (client: ReturnType<typeof createClient>, tag: string) =>
    (await until(client.generate({ prompt: 'Hi', tag }))).provider
  const plain = createClient({ chain: [pool(replicas())], clock })
  const tags = Array.from({ length: 40 }, (_, index) => `chat-${index}`)
  const first = []
  for (const tag of tags) first.push(await by(plain, tag))
  for (const [index, tag] of tags.entries()) expect(await by(plain, tag)).toBe(first[index])
  expect(new Set(first).size).toBe(4)

  const own = createClient({ chain: [pool(replicas(), { affinity: () => 'always' })], clock })
  const always = await Promise.all(tags.map(async tag => by(own, tag)))
  expect(new Set(always).size).toBe(1)
  await expect(plain.generate({ prompt: 'Hi', tag: '' })).rejects.toThrow('tag must be a non-empty string')
})

test('holdBackChars: Infinity shows nothing before the answer is whole: every break is healed unseen', async () => {
  const broken = fakeTarget({ text: Array.from({ length: 500 }, () => 'x'), cutAfterChunks: 400 }, { name: 'broken', retry: 0 })
  const good = fakeTarget({ text: Array.from({ length: 500 }, () => 'y'), chunkEveryMs: 1 }, { name: 'good' })
  const client = createClient({ chain: [broken, good], clock, holdBackChars: Infinity })
  const stream = await until(client.stream('Hi'))
  expect(stream.answeredBy.provider).toBe('good')
  expect(await stream.text()).toBe('y'.repeat(500))
  const held = await until(
    createClient({ chain: [fakeTarget('Hello.')], clock }).stream({ prompt: 'Hi', holdBackChars: Infinity }),
  )
  expect(await held.text()).toBe('Hello.')
  await expect(client.stream({ prompt: 'Hi', holdBackChars: -1 })).rejects.toThrow('holdBackChars')
})

test('a fallback that is neither true nor false is named as such', async () => {
  const target = fakeTarget('Hi.')
  const client = createClient({ chain: [target] })
  for (const fallback of [0, 1, null])
    await expect(client.generate({ prompt: 'Hi', fallback: fallback as never })).rejects.toThrow(
      /^generate: fallback must be true or false, not /,
    )
  expect(target.provider.calls).toEqual([])
})

test('a name that no target has, and that an option has, is a name all the same', async () => {
  const client = createClient({ chain: [named('main')] })
  const told = "generate: targets: this chain has no target with the name 'health'. Write one of main."
  await expect(client.generate({ prompt: 'Hi', targets: ['health'] })).rejects.toThrow(told)
})
