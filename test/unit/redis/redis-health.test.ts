import { expect, test } from 'vitest'
import { createClient, ProviderError, type ClientEvent } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'
import type { HealthFact, HealthStore, StoreMessage } from '../../../src/health/store.ts'
import { redisHealth } from '../../../src/redis/redis-health.ts'
import { fakeRedis } from '../../helpers/fake-redis.ts'

const key = JSON.stringify(['https://api.example', 'digest', 'model'])
const gate = (forMs: number): HealthFact => ({ key, kind: 'gate', reason: 'rate-limit', forMs })
const open = (forMs: number): HealthFact => ({ key, kind: 'open', reason: 'overloaded', forMs })
const closed: HealthFact = { key, kind: 'closed', reason: 'overloaded', forMs: 0 }
const limit = (most: number): HealthFact => ({ key, kind: 'limit', reason: 'rate-limit', forMs: 0, limit: most })

function fleet() {
  const clock = fakeClock()
  const redis = fakeRedis(clock)
  async function join(options: { readonly prefix?: string } = {}) {
    const store = redisHealth(redis.client(), { clock, ...options })
    const heard: StoreMessage[] = []
    const counts: number[] = []
    const leave = store.subscribe(message => ('count' in message ? counts.push(message.count) : heard.push(message)))
    await clock.advance(0)
    return { store, heard, counts, leave }
  }
  return { clock, redis, join }
}

test('what one process learns the others are told at once, and it is not told its own', async () => {
  const { clock, join } = fleet()
  const [a, b, c] = [await join(), await join(), await join()]
  a.store.publish(gate(5_000))
  await clock.advance(0)
  expect(b.heard).toEqual([gate(5_000)])
  expect(c.heard).toEqual([gate(5_000)])
  expect(a.heard).toEqual([])
})

test('a process that starts late reads what still holds, with the time that is left', async () => {
  const { clock, join } = fleet()
  const a = await join()
  a.store.publish(gate(5_000))
  a.store.publish({ key: 'other', kind: 'refused', reason: 'quota', forMs: 1_000 })
  await clock.advance(2_000)
  const late = await join()
  expect(late.heard).toEqual([gate(3_000)])
})

test('a shorter gate never replaces a longer one, for late processes neither (R99)', async () => {
  const { clock, redis, join } = fleet()
  const [a, b] = [await join(), await join()]
  a.store.publish(gate(60_000))
  await clock.advance(100)
  b.store.publish(gate(1_000))
  await clock.advance(2_000)
  expect(redis.published).toHaveLength(1)
  expect((await join()).heard).toEqual([gate(57_900)])
})

test.each([
  [60_000, 1_000],
  [1_000, 60_000],
])(
  'F88: of gates of %i ms and %i ms that are told in one moment the longer one stays, for late processes too',
  async (one, other) => {
    const { clock, join } = fleet()
    const [a, b] = [await join(), await join()]
    a.store.publish(gate(one))
    b.store.publish(gate(other))
    await clock.advance(5_000)
    expect((await join()).heard).toEqual([gate(55_000)])
  },
)

test('F88: a Redis whose user may not run scripts serves all the same', async () => {
  const { clock, redis, join } = fleet()
  redis.refusesScripts = true
  const a = await join()
  a.store.publish(gate(60_000))
  await clock.advance(5_000)
  expect(a.heard).toEqual([])
  expect((await join()).heard).toEqual([gate(55_000)])
})

test('a late process finds a breaker whose time is over half-open, until it is closed', async () => {
  const { clock, join } = fleet()
  const a = await join()
  a.store.publish(open(2_000))
  await clock.advance(10_000)
  expect((await join()).heard).toEqual([open(1)])
  a.store.publish(closed)
  await clock.advance(100)
  expect((await join()).heard).toEqual([])
})

test('F93: a late process finds a target half-open that another one could not reach: one probe tells', async () => {
  const { clock, join } = fleet()
  const a = await join()
  const unreached: HealthFact = { ...open(60_000), reason: 'network' }
  a.store.publish(unreached)
  await clock.advance(100)
  a.store.publish({ ...open(60_000), key: 'other' })
  await clock.advance(1_000)
  expect((await join()).heard).toEqual([
    { ...unreached, forMs: 1 },
    { ...open(59_000), key: 'other' },
  ])
})

test('a thousand refusals at once are a few messages', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  for (let call = 0; call < 1_000; call++) a.store.publish(gate(1_000 + call))
  await clock.advance(1_000)
  expect(redis.published.length).toBeLessThanOrEqual(2)
  expect(redis.published.at(-1)).toContain('"forMs":1999')
})

test('one process at a time has the lease of a probe, keeps it, and loses it by time (R107)', async () => {
  const { clock, join } = fleet()
  const [a, b] = [await join(), await join()]
  expect(await a.store.lease(key, 10_000)).toBe(true)
  expect(await b.store.lease(key, 10_000)).toBe(false)
  await clock.advance(6_000)
  expect(await a.store.lease(key, 10_000)).toBe(true)
  await clock.advance(6_000)
  expect(await b.store.lease(key, 10_000)).toBe(false)
  await clock.advance(4_000)
  expect(await b.store.lease(key, 10_000)).toBe(true)
})

test.each([false, true])('F93: a lease that its holder gives up is free at once (scripts refused: %s)', async refusesScripts => {
  const { clock, redis, join } = fleet()
  redis.refusesScripts = refusesScripts
  const [a, b] = [await join(), await join()]
  await a.store.lease(key, 10_000)
  await b.store.release?.(key)
  await clock.advance(2)
  expect(await b.store.lease(key, 10_000), 'only by its holder').toBe(false)
  await a.store.release?.(key)
  await clock.advance(2)
  expect(await b.store.lease(key, 10_000)).toBe(true)
  await a.store.release?.(key)
  await clock.advance(2)
  expect(await a.store.lease(key, 10_000), 'nor one that is over').toBe(false)
  expect([...a.heard, ...b.heard]).toEqual([])
})

test('a lease that is given up while Redis is away, or holds something foreign, troubles nobody', async () => {
  const { redis, join } = fleet()
  const a = await join()
  redis.values.set(`unbusy:lease:${key}`, new Map())
  await a.store.release?.(key)
  expect(a.heard).toEqual([])
  redis.down()
  const before = redis.received.length
  await a.store.release?.(key)
  expect(redis.received.length).toBe(before)
})

test('a lease that holds something foreign keeps nobody from probing', async () => {
  const { redis, join } = fleet()
  const a = await join()
  redis.values.set(`unbusy:lease:${key}`, 'something else')
  expect(await a.store.lease(key, 10_000)).toBe(true)
  redis.values.set(`unbusy:lease:${key}`, new Map())
  expect(await a.store.lease(key, 10_000)).toBe(true)
})

test('a named limit is divided among the living processes, and again when one comes or dies', async () => {
  const { clock, join } = fleet()
  const a = await join()
  a.store.publish(limit(500))
  await clock.advance(0)
  expect(a.heard).toEqual([limit(500)])
  const b = await join()
  expect(b.heard).toEqual([limit(250)])
  await clock.advance(6_000)
  expect(a.heard.at(-1)).toEqual(limit(250))
  b.leave()
  await clock.advance(6_000)
  expect(a.heard.at(-1)).toEqual(limit(500))
})

test('how many processes live is told when it changes, and holds while Redis is down', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  expect(a.counts, 'one is what every process begins with').toEqual([])
  const b = await join()
  expect(b.counts).toEqual([2])
  await clock.advance(6_000)
  expect(a.counts).toEqual([2])
  redis.down()
  await clock.advance(60_000)
  expect([a.counts, b.counts]).toEqual([[2], [2]])
  redis.up()
  await clock.advance(30_000)
  b.leave()
  await clock.advance(6_000)
  expect(a.counts.at(-1)).toBe(1)
})

test('a process that dies without a word is counted out after its heartbeat', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  a.store.publish(limit(9))
  // one that beats once and never again
  redis.values.get('unbusy:processes')
  const processes = redis.values.get('unbusy:processes') as Map<string, number>
  processes.set('dead', 1_700_000_000_000 + clock.now())
  await clock.advance(5_000)
  expect(a.heard.at(-1)).toEqual(limit(4))
  await clock.advance(20_000)
  expect(a.heard.at(-1)).toEqual(limit(9))
})

test('every share is at least one, however many processes there are', async () => {
  const { clock, join } = fleet()
  const all = [await join(), await join(), await join()]
  all[0]!.store.publish(limit(2))
  await clock.advance(6_000)
  expect(all.map(({ heard }) => heard.at(-1))).toEqual([limit(1), limit(1), limit(1)])
})

test('a Redis that goes away is told of once, costs nothing, and is used again by itself', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  redis.down()
  const before = redis.received.length
  a.store.publish(gate(120_000))
  expect(await a.store.lease(key, 10_000)).toBe(true)
  await clock.advance(30_000)
  expect(a.heard).toEqual([{ kind: 'lost', message: expect.stringContaining('Socket closed unexpectedly') }])
  expect(redis.received.length).toBe(before)
  redis.values.clear()
  redis.up()
  await clock.advance(100)
  expect(a.heard.map(({ kind }) => kind)).toEqual(['lost', 'back'])
  // what is told again goes out 50 ms later: a gate may end later elsewhere, never earlier
  expect((await join()).heard).toEqual([gate(89_950)])
})

test('a share stays as it was while Redis is away, and while the others come back one by one (R112)', async () => {
  const { clock, redis, join } = fleet()
  const [a, b] = [await join(), await join()]
  a.store.publish(limit(10))
  await clock.advance(6_000)
  const before = [a, b].map(({ heard }) => heard.length)
  redis.down()
  await clock.advance(60_000)
  redis.values.clear()
  redis.up()
  await clock.advance(30_000)
  const since = [a, b].flatMap(({ heard }, place) => heard.slice(before[place]))
  const shares = since.flatMap(message => ('limit' in message ? [message.limit] : []))
  expect(new Set(shares)).toEqual(new Set([5]))
  expect(since.map(({ kind }) => kind)).toContain('back')
})

test('a Redis that accepts and stays silent is left alone: one command at a time tries it (R117)', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  redis.trouble = 'hang'
  a.store.publish(gate(120_000))
  const lease = a.store.lease(key, 10_000).catch((error: unknown) => error)
  await clock.advance(500)
  expect(await lease).toMatchObject({ message: 'no answer within 500 ms' })
  const before = redis.received.length
  for (let minute = 0; minute < 10; minute++) {
    expect(await a.store.lease(key, 10_000)).toBe(true)
    await clock.advance(60_000)
  }
  expect(a.heard.map(({ kind }) => kind)).toEqual(['lost'])
  expect(redis.received.length - before).toBeLessThanOrEqual(20)
})

test('a Redis that is slower than the limit is not used, and used again when it is fast', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  redis.delayMs = 2_000
  a.store.publish(gate(1_000))
  await clock.advance(20_000)
  redis.delayMs = 1
  await clock.advance(10_000)
  expect(a.heard.map(({ kind }) => kind)).toEqual(['lost', 'back'])
})

test('a Redis that comes and goes every few seconds is told of once a minute (R117)', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  for (let round = 0; round < 30; round++) {
    redis.down()
    await clock.advance(2_000)
    redis.up()
    await clock.advance(2_000)
  }
  expect(a.heard.filter(({ kind }) => kind === 'lost').length).toBeLessThanOrEqual(2)
})

test('a Redis that is away from the start is told of, and joined when it comes', async () => {
  const { clock, redis, join } = fleet()
  redis.down()
  const a = await join()
  a.store.publish(gate(60_000))
  await clock.advance(5_000)
  expect(a.heard).toEqual([{ kind: 'lost', message: expect.stringContaining('continues with its own memory') }])
  redis.up()
  await clock.advance(1_000)
  expect(a.heard.at(-1)?.kind).toBe('back')
  expect((await join()).heard).toEqual([gate(54_000)])
})

test('a flushed Redis is filled again by those who know', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  a.store.publish(gate(60_000))
  await clock.advance(1_000)
  redis.values.clear()
  await clock.advance(5_000)
  expect((await join()).heard).toEqual([gate(54_000)])
  expect(a.heard).toEqual([])
})

test('foreign data under our prefix is ignored, in messages and in records', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  const wrong = [
    '',
    'null',
    '[]',
    '{',
    '{"unbusy":1}',
    // another version, in which keys were made of less
    '{"unbusy":1,"from":"x","key":"k","kind":"gate","reason":"rate-limit","forMs":1}',
  ]
  for (const text of [...wrong, 'x'.repeat(10_000)]) redis.say('unbusy:news', text)
  const record = { unbusy: 2, from: 'x', key, kind: 'gate', reason: 'rate-limit', forMs: 1_000 }
  for (const odd of [
    { forMs: -1 },
    { forMs: 1e12 },
    { forMs: '1' },
    { kind: 'toString' },
    { reason: 'constructor' },
    { key: 1 },
  ]) {
    redis.say('unbusy:news', JSON.stringify({ ...record, ...odd }))
  }
  for (const odd of [0, -1, 'many', null]) redis.say('unbusy:news', JSON.stringify({ ...record, kind: 'limit', limit: odd }))
  expect(a.heard).toEqual([])
  redis.values.set(
    'unbusy:facts',
    new Map([
      ['a', 1.8e12],
      [`gate ${key}`, 1.8e12],
    ]),
  )
  redis.values.set('unbusy:fact:a', 'foreign')
  redis.values.set(`unbusy:fact:gate ${key}`, new Map())
  await clock.advance(1_000)
  expect((await join()).heard).toEqual([])
  expect(a.heard).toEqual([])
})

test('an index that is of another kind is a lost Redis, told once, until it is mended', async () => {
  const { clock, redis, join } = fleet()
  redis.values.set('unbusy:processes', 'foreign')
  const a = await join()
  await clock.advance(55_000)
  expect(a.heard).toEqual([{ kind: 'lost', message: expect.stringContaining('WRONGTYPE') }])
  redis.values.delete('unbusy:processes')
  await clock.advance(2_000)
  expect(a.heard.at(-1)?.kind).toBe('back')
})

test('fleets of two prefixes do not hear each other', async () => {
  const { clock, join } = fleet()
  const [a, b] = [await join({ prefix: 'a' }), await join({ prefix: 'b' })]
  a.store.publish(gate(5_000))
  await clock.advance(100)
  expect(b.heard).toEqual([])
})

test('who leaves ends its subscription and its timers, and says goodbye', async () => {
  const { clock, redis, join } = fleet()
  const a = await join()
  a.store.publish(gate(5_000))
  a.leave()
  await clock.advance(100)
  expect(clock.pending()).toBe(0)
  expect(redis.listeners()).toBe(0)
  expect((redis.values.get('unbusy:processes') as Map<string, number>).size).toBe(0)
  const before = redis.received.length
  a.store.publish(gate(9_000))
  expect(await a.store.lease(key, 10_000)).toBe(true)
  expect(redis.received.length).toBe(before)
})

test('one store belongs to one client, and to the next one after it', async () => {
  const { join } = fleet()
  const { store, leave } = await join()
  expect(() => store.subscribe(() => {})).toThrow('Call redisHealth() for each client')
  leave()
  store.subscribe(() => {})()
})

test.each([
  [undefined, 'not a client of the package'],
  [Promise.resolve(), 'redisHealth(await'],
  [{}, 'not a client of the package redis or ioredis'],
  [{ sendCommand() {}, duplicate() {}, slots: [] }, 'a cluster is not supported'],
])('what is no client is refused with what to write instead: %#', (client, message) => {
  expect(() => redisHealth(client as never)).toThrow(message)
})

test('wrong options are refused', () => {
  const redis = fakeRedis(fakeClock()).client()
  expect(() => redisHealth(redis, { prefix: '' })).toThrow('prefix')
  for (const commandTimeoutMs of [Number.NaN, 0.5, 60_001])
    expect(() => redisHealth(redis, { commandTimeoutMs })).toThrow('from 1 to 60_000')
  for (const commandTimeoutMs of [1, 60_000]) expect(() => redisHealth(redis, { commandTimeoutMs })).not.toThrow()
  expect(() => createClient({ chain: [fakeTarget('Hi.')], health: redis as unknown as HealthStore })).toThrow(
    'redisHealth(redis)',
  )
})

test('clients of one fleet learn from each other, and only one probes', async () => {
  const clock = fakeClock()
  const redis = fakeRedis(clock)
  const identity = { origin: 'https://api.example', credential: 'digest' }
  const members = Array.from({ length: 5 }, () => {
    const events: ClientEvent[] = []
    const first = fakeTarget(() => ({ error: 'overloaded', status: 503 }), { clock, identity, retry: 0 })
    const second = fakeTarget('Hello.', { clock, name: 'second' })
    const client = createClient({
      ...{ chain: [first, second], clock, random: () => 0.5, hedge: false, onEvent: event => events.push(event) },
      health: redisHealth(redis.client(), { clock }),
    })
    return { client, first, events }
  })
  await clock.advance(10)
  for (let call = 0; call < 3; call++) await clock.until(members[0]!.client.generate('Hi'))
  await clock.advance(10)
  const others = members.slice(1)
  for (const { client } of others) expect(await clock.until(client.generate('Hi'))).toMatchObject({ text: 'Hello.' })
  expect(others.map(({ first }) => first.provider.calls.length)).toEqual([0, 0, 0, 0])
  await clock.advance(3_000)
  for (let round = 0; round < 3; round++) {
    for (const { client } of members) await clock.until(client.generate('Hi'))
    await clock.advance(20)
  }
  const probes = members.flatMap(({ events }) => events.filter(event => event.type === 'attempt-start' && event.kind === 'probe'))
  expect(probes).toHaveLength(1)
  for (const { client } of members) await client.close()
  await clock.advance(600)
  expect(clock.pending()).toBe(0)
})

test('F93: three processes that start ask a target that a fourth one cannot look up', async () => {
  const clock = fakeClock()
  const redis = fakeRedis(clock)
  const identity = { origin: 'https://api.example', credential: 'digest' }
  const cause = Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' })
  const stream = () => Promise.reject(new ProviderError('Could not connect.', { reason: 'network', cause }))
  const options = () => ({ clock, random: () => 0.5, health: redisHealth(redis.client(), { clock }) })
  const second = fakeTarget('Hello.', { clock, name: 'second' })
  const lost = { provider: { name: 'first', identity, stream }, model: fakeTarget('', { identity }).model }
  const ill = createClient({ chain: [lost, second], ...options() })
  await clock.advance(10)
  for (let call = 0; call < 10; call++) {
    await clock.until(ill.generate('Hi'))
    await clock.advance(1_000)
  }
  const targets = [1, 2, 3].map(() => fakeTarget('Hello.', { clock, identity, name: 'first' }))
  const fresh = targets.map(target => createClient({ chain: [target, second], ...options() }))
  await clock.advance(10)
  for (const client of fresh) expect(await clock.until(client.generate('Hi'))).toMatchObject({ provider: 'first' })
  for (const client of [ill, ...fresh]) await client.close()
})

test('a key that is refused is left alone by all, until one finds that it is good again', async () => {
  const clock = fakeClock()
  const redis = fakeRedis(clock)
  const identity = { origin: 'https://api.example', credential: 'digest' }
  const first = fakeTarget([{ error: 'quota', status: 402 }, 'Paid.'], { clock, identity, name: 'first' })
  const options = () => ({ clock, random: () => 0.5, health: redisHealth(redis.client(), { clock }) })
  const alone = createClient({ chain: [first], ...options() })
  const other = createClient({ chain: [first, fakeTarget('Hello.', { clock, name: 'second' })], ...options() })
  await clock.advance(10)
  await expect(clock.until(alone.generate('Hi'))).rejects.toMatchObject({ attempts: [{ reason: 'quota' }] })
  await clock.advance(10)
  expect(await clock.until(other.generate('Hi'))).toMatchObject({ provider: 'second' })
  expect(first.provider.calls).toHaveLength(1)
  // who can ask nobody else tries
  expect(await clock.until(alone.generate('Hi'))).toMatchObject({ text: 'Paid.' })
  await clock.advance(100)
  expect(await clock.until(other.generate('Hi'))).toMatchObject({ provider: 'first' })
  for (const client of [alone, other]) await client.close()
})

test('of a long gate and a short one, told in one moment by two processes, a late process learns the long one (R99)', async () => {
  const { clock, join } = fleet()
  const [a, b] = [await join(), await join()]
  a.store.publish(gate(60_000))
  b.store.publish(gate(1_000))
  await clock.advance(5_000)
  expect((await join()).heard).toEqual([gate(55_000)])
})

test('without scripts too, a short gate that is told in the same moment does not end a long one sooner (R99)', async () => {
  const { clock, redis, join } = fleet()
  redis.refusesScripts = true
  const [a, b] = [await join(), await join()]
  a.store.publish(gate(60_000))
  b.store.publish(gate(1_000))
  await clock.advance(500)
  expect((await join()).heard).toEqual([gate(59_500)])
})

test('a subscription that is lost and comes back while everything is read is a loss: everything is read again', async () => {
  const { clock, redis, join } = fleet()
  redis.delayMs = 100
  const { store } = await join()
  const reads = () => redis.received.filter(name => name === 'ZRANGEBYSCORE').length
  // the last answer of the first reading is on its way
  await clock.advance(450)
  expect(reads()).toBe(1)
  redis.down()
  redis.up()
  await clock.advance(200)
  // what was published meanwhile was missed, so that Redis is not used yet
  const before = redis.received.length
  expect(await store.lease(key, 10_000)).toBe(true)
  expect(redis.received).toHaveLength(before)
  await clock.advance(2_000)
  expect(reads()).toBe(2)
  const lease = store.lease(key, 10_000)
  await clock.advance(1_000)
  expect(await lease).toBe(true)
  expect(redis.received.slice(before)).toContain('SET')
})

test('the time that TIME takes makes a gate longer for others, and never shorter', async () => {
  const { clock, redis, join } = fleet()
  const slowly = async () => {
    redis.delayMs = 100
    const joined = await join()
    redis.delayMs = 0
    await clock.advance(100)
    return joined
  }
  const writer = await slowly()
  writer.store.publish(gate(5_000))
  await clock.advance(1_000)
  // the fake Redis reads its clock when it answers: the writer cannot know that it did not when it was asked
  expect((await join()).heard).toEqual([gate(4_100)])
  expect((await slowly()).heard).toEqual([gate(4_000)])
})
