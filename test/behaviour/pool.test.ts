import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'
import { type Call, createClient, pool } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

const names = (answers: readonly { readonly provider: string }[]) => answers.map(({ provider }) => provider)

test('parallel calls are spread over the replicas, the least busy first', async () => {
  const replicas = ['a', 'b', 'c'].map(name => fakeTarget({ text: name, firstChunkAfterMs: 5 }, { name }))
  const client = createClient({ chain: [pool(replicas)] })
  const answers = await Promise.all(Array.from({ length: 9 }, async () => client.generate('Hi')))
  expect(names(answers).toSorted()).toEqual(['a', 'a', 'a', 'b', 'b', 'b', 'c', 'c', 'c'])
})

test('a dead replica is passed over, and the step after the pool answers when all are dead', async () => {
  const dead = fakeTarget({ error: 'network' }, { name: 'dead', retry: 0 })
  const client = createClient({
    chain: [pool([dead, fakeTarget('Hello.', { name: 'alive' })]), fakeTarget('last', { name: 'last' })],
  })
  const answers = []
  for (let call = 0; call < 12; call++) answers.push(await client.generate('Hi'))
  expect(new Set(names(answers))).toEqual(new Set(['alive']))
  expect(dead.provider.calls.length).toBeLessThanOrEqual(4)
  const both = createClient({
    chain: [pool([dead, fakeTarget({ error: 'network' }, { retry: 0 })]), fakeTarget('last', { name: 'last' })],
  })
  expect(await both.generate('Hi')).toMatchObject({ provider: 'last', targetIndex: 2 })
})

test('one session stays with one replica, and many sessions use all of them', async () => {
  const replicas = ['a', 'b', 'c', 'd'].map(name => fakeTarget('Hello.', { name }))
  const affinity = (call: Call) => String(call.metadata['session'])
  const client = createClient({ chain: [pool(replicas, { affinity })] })
  const ask = async (session: number) => (await client.generate({ prompt: 'Hi', metadata: { session } })).provider
  const first = await Promise.all(Array.from({ length: 40 }, async (_, session) => ask(session)))
  const second = await Promise.all(Array.from({ length: 40 }, async (_, session) => ask(session)))
  expect(second).toEqual(first)
  expect(new Set(first).size).toBe(4)
})

test('weights decide by chance; a weight of 0 is only for when no other is left', async () => {
  const [light, heavy, spare] = [
    fakeTarget('l', { name: 'light' }),
    fakeTarget('h', { name: 'heavy' }),
    fakeTarget('s', { name: 'spare' }),
  ]
  let step = 0
  const random = () => ((step += 0.618033988749895) % 1) * 0.999
  const client = createClient({ chain: [pool([light, heavy, spare], { strategy: 'weighted', weights: [1, 9, 0] })], random })
  for (let call = 0; call < 400; call++) await client.generate('Hi')
  expect(spare.provider.calls).toHaveLength(0)
  expect(heavy.provider.calls.length).toBeGreaterThan(320)
  expect(light.provider.calls.length).toBeGreaterThan(10)
})

test("the server's own queue decides between replicas that are equally busy, and nobody waits for it", async () => {
  const quiet = fakeTarget('q', { name: 'quiet' })
  const crowded = fakeTarget('c', { name: 'crowded' })
  const asked = Promise.withResolvers<void>()
  Object.assign(quiet.provider, { load: async () => ({ running: 0, waiting: 0 }) })
  Object.assign(crowded.provider, {
    load: async () => {
      asked.resolve()
      return { running: 2, waiting: 9 }
    },
  })
  const client = createClient({ chain: [pool([crowded, quiet])] })
  await client.generate('Hi')
  await asked.promise
  const answers = []
  for (let call = 0; call < 8; call++) answers.push(await client.generate('Hi'))
  expect(names(answers)).toEqual(Array(8).fill('quiet'))
  await client.close()
})

test('a call that a condition keeps private is sent nowhere else, not even when nobody else is left', async () => {
  const open = fakeTarget('public', { name: 'public', when: ({ metadata }) => metadata['confidential'] !== true })
  const own = fakeTarget([{ error: 'overloaded' }, 'private'], { name: 'private', retry: 0 })
  const client = createClient({ chain: [open, own] })
  const confidential = { prompt: 'Hi', metadata: { confidential: true } }
  await expect(client.generate(confidential)).rejects.toMatchObject({ trail: expect.stringContaining('private') })
  expect(await client.generate(confidential)).toMatchObject({ text: 'private' })
  expect(await client.generate('Hi')).toMatchObject({ text: 'public' })
  expect(open.provider.calls).toHaveLength(1)
})

test('F105: a replica that loads its model is not the first just because nothing is in flight there', async ({ clock }) => {
  let isLoading = true
  const restarted = fakeTarget(() => (isLoading ? { error: 'loading', retryAfterMs: 1_000 } : 'Back.'), {
    clock,
    name: 'restarted',
  })
  const steady = fakeTarget({ text: 'Steady.', firstChunkAfterMs: 500 }, { clock, name: 'steady' })
  const client = createClient({ chain: [pool([restarted, steady])], clock, random: () => 0.5, hedge: false })
  await clock.until(client.generate('Hi'))
  expect(restarted.provider.calls).toHaveLength(1)
  // each time when its gate is open, while the other one is at work
  for (let round = 0; round < 5; round += 1) {
    await clock.advance(2_000)
    await clock.until(Promise.all([client.generate('Hi'), client.generate('Hi')]))
  }
  expect(restarted.provider.calls).toHaveLength(1)

  // one call in ten finds out, and then it is a replica like the other
  isLoading = false
  let chance = 0.95
  const exploring = createClient({ chain: [pool([restarted, steady])], clock, random: () => chance, hedge: false })
  isLoading = true
  await clock.until(exploring.generate('Hi'))
  isLoading = false
  await clock.advance(5_000)
  expect(await clock.until(exploring.generate('Hi'))).toMatchObject({ text: 'Back.' })
  expect(exploring.health()[0]?.state).toBe('closed')
  chance = 0.5
  expect(await clock.until(exploring.generate('Hi'))).toMatchObject({ text: 'Back.' })
})

test('of replicas with equal queues the one with more KV cache left is asked, and status() tells what they said', async () => {
  const full = fakeTarget('Full.', { name: 'full' })
  const empty = fakeTarget('Empty.', { name: 'empty' })
  Object.assign(full.provider, { load: async () => ({ running: 1, waiting: 0, kvUsage: 0.9 }) })
  Object.assign(empty.provider, { load: async () => ({ running: 1, waiting: 0, kvUsage: 0.2 }) })
  const client = createClient({ chain: [pool([full, empty])] })
  await client.generate('Hi')
  for (let call = 0; call < 10; call += 1) await client.generate('Hi')
  expect(empty.provider.calls.length).toBeGreaterThanOrEqual(10)
  expect(client.status().targets.map(({ server }) => server)).toEqual([
    { running: 1, waiting: 0, kvUsage: 0.9 },
    { running: 1, waiting: 0, kvUsage: 0.2 },
  ])
  await client.close()
})

test('by latency, of two replicas drawn at random the one that usually begins sooner is asked, and all others after it', async ({
  clock,
}) => {
  let isDown = false
  const replica = (name: string, firstChunkAfterMs: number) =>
    fakeTarget(() => (isDown && name === 'fast' ? { error: 'server-error' } : { text: name, firstChunkAfterMs }), {
      ...{ clock, name, retry: 0 },
    })
  const replicas = [replica('slow', 900), replica('fast', 100), replica('slower', 1_800)]
  let step = 0
  const random = () => ((step += 0.618033988749895) % 1) * 0.999
  const client = createClient({ chain: [pool(replicas, { strategy: 'latency' })], clock, random, hedge: false })
  const ask = async (calls: number) => {
    const answers = []
    for (let call = 0; call < calls; call += 1) answers.push(await clock.until(client.generate('Hi')))
    return names(answers)
  }
  await ask(20)
  const measured = await ask(60)
  // the slowest of three loses against both others, and the fastest is drawn in two of three calls
  expect(measured).not.toContain('slower')
  expect(measured.filter(name => name === 'fast').length).toBeGreaterThan(30)
  expect(measured).toContain('slow')
  isDown = true
  expect(new Set(await ask(30))).toEqual(new Set(['slow', 'slower']))
})

test('of replicas that begin equally soon chance decides, and a pool of one has one', async ({ clock }) => {
  const replicas = ['a', 'b'].map(name => fakeTarget({ text: name, firstChunkAfterMs: 100 }, { clock, name }))
  let step = 0
  const random = () => ((step += 0.618033988749895) % 1) * 0.999
  const options = { clock, random, hedge: false } as const
  const client = createClient({ chain: [pool(replicas, { strategy: 'latency' })], ...options })
  for (let call = 0; call < 40; call += 1) await clock.until(client.generate('Hi'))
  for (const { provider } of replicas) expect(provider.calls.length).toBeGreaterThan(10)
  const alone = createClient({ chain: [pool([fakeTarget('alone', { clock })], { strategy: 'latency' })], ...options })
  expect(await clock.until(alone.generate('Hi'))).toMatchObject({ text: 'alone' })
})

test.each(['least-busy', null, ['weighted'], 7])('pool() says what its options must be: %j', options => {
  expect(() => pool([fakeTarget('Hi')], options as never)).toThrow(
    "pool: options must be an object like { strategy: 'least-busy' }.",
  )
})
