import { expect, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import type { HealthStore } from '../../../src/health/store.ts'
import { createStore, fleet, settled } from '../../helpers/fleet-health.ts'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000
const minutes = 60_000

test('what one process met keeps the others away at once (R107)', () => {
  const { members, store } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  b.target()
  open(a.target())
  expect(b.target().check()).toMatchObject({ state: 'blocked', reason: 'server-error' })
  expect(
    store.facts.map(({ kind, by }) => [kind, by]),
    'and it is not told back',
  ).toEqual([['open', 'a']])
})

test('a named time of one process gates all', () => {
  const { members, world } = fleet('a', 'b')
  for (const each of members) each.target()
  fail(members[0]!.target(), failureOf('rate-limit', { retryAfterMs: 30 * seconds }), 'gate')
  expect(members[1]!.target().check()).toMatchObject({ state: 'blocked', reason: 'rate-limit' })
  expect(members[1]!.target().enterAsLastResort(), 'nor as a last resort').toBeUndefined()
  world.pass(33 * seconds)
  expect(members[1]!.target().check().state).toBe('available')
})

test('a refused key is refused for all targets of all processes, and works again for all', () => {
  const { members, world } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  const other = b.target({ model: 'pro', index: 1 })
  fail(a.target(), failureOf('quota', { status: 402 }), 'key')
  expect(other.check()).toMatchObject({ state: 'blocked', reason: 'quota' })
  world.pass(6 * minutes)
  answer(a.target())
  expect(other.check().state).toBe('available')
})

test('a key that works again is no reason to come before the time that the server named', () => {
  const { members, world } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  b.target()
  const early = enter(a.target())
  fail(a.target(), failureOf('quota', { status: 402, retryAfterMs: 15 * minutes }), 'key')
  expect(b.target().enterAsLastResort()).toBeUndefined()
  early.end('answered')
  world.pass(14 * minutes)
  for (const each of members) expect(each.target().check().state).toBe('blocked')
})

test('F20: during a long time one process of all looks, smaller requests go, and all learn that it is over', async () => {
  const { members, world } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  b.target()
  const long = { messages: [{ role: 'user' as const, content: 'x'.repeat(4_000) }] }
  const short = { messages: [{ role: 'user' as const, content: 'Hi.' }] }
  const named = failureOf('rate-limit', { status: 429, retryAfterMs: 1_440 * minutes })
  a.target().enter('call', long)!.end({ failure: named, charged: 'gate' })
  expect([b.target().check(long).state, b.target().check(short).state]).toEqual(['blocked', 'available'])
  world.pass(17 * minutes)
  for (const each of members) each.target().check(long)
  await Promise.resolve()
  await Promise.resolve()
  const looks = members.map(each => each.target().enter('probe', long)).filter(permit => permit !== undefined)
  expect(looks).toHaveLength(1)
  looks[0]!.firstChunk(100)
  for (const each of members) expect(each.target().check(long).state).toBe('available')
})

test('F35: a doubted refusal is no news for the fleet', () => {
  const { members } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  b.target()
  answer(a.target())
  fail(a.target(), failureOf('authentication', { status: 401 }), 'key')
  expect([a.target().check().state, b.target().check().state]).toEqual(['blocked', 'available'])
})

test('a process that starts later learns what still holds, with the time that is left of it', () => {
  const { members, store, world } = fleet('a')
  fail(members[0]!.target(), failureOf('rate-limit', { retryAfterMs: 60 * seconds }), 'gate')
  world.pass(40 * seconds)
  const late = healthIn(world, { store: store.storeOf('late') })
  world.pass(10 * seconds)
  expect(late.target().check()).toMatchObject({ state: 'blocked', until: world.now() + 13 * seconds })
})

test('of all processes one probes; the others learn how it went (R107)', async () => {
  const { members, world } = fleet('a', 'b', 'c')
  for (const each of members) each.target()
  open(members[0]!.target())
  world.pass(2 * seconds)
  for (const each of members) expect(each.target().check().state, 'the lease is asked for, nobody waits for it').toBe('blocked')
  await settled()
  expect(members.map(each => each.target().check().state)).toEqual(['half-open', 'blocked', 'blocked'])
  for (let probe = 0; probe < 3; probe += 1) answer(members[0]!.target())
  expect(members.map(each => each.target().check().state)).toEqual(['available', 'available', 'available'])
})

test('a probe that fails in one process keeps the target shut in all', async () => {
  const { members, world } = fleet('a', 'b')
  for (const each of members) each.target()
  open(members[0]!.target())
  world.pass(2 * seconds)
  for (const each of members) each.target().check()
  await settled()
  fail(members[0]!.target(), failureOf('server-error'))
  world.pass(3 * seconds)
  expect(members.map(each => each.target().check().state)).toEqual(['blocked', 'blocked'])
})

test('when the process that probes dies another one takes over', async () => {
  const { members, world } = fleet('a', 'b')
  for (const each of members) each.target()
  open(members[0]!.target())
  world.pass(2 * seconds)
  for (const each of members) each.target().check()
  await settled()
  enter(members[0]!.target(), 'probe')
  world.pass(11 * seconds)
  members[1]!.target().check()
  await settled()
  expect(members[1]!.target().check().state).toBe('half-open')
})

const lookupFailed = (code = 'EAI_AGAIN') => {
  const cause = Object.assign(new Error(`getaddrinfo ${code}`), { code })
  return new ProviderError('Could not connect.', { reason: 'network', cause })
}

test.each([
  ['ENOTFOUND', lookupFailed('ENOTFOUND'), 'target'],
  ['EAI_AGAIN', lookupFailed('EAI_AGAIN'), 'target'],
  ['ENETUNREACH', lookupFailed('ENETUNREACH'), 'target'],
  ['EHOSTUNREACH', lookupFailed('EHOSTUNREACH'), 'target'],
  ['no file handles', failureOf('network'), 'nobody'],
] as const)('F93: a process whose own network fails gives the probe up to another one: %s', async (_, failure, charged) => {
  const { members, world, store } = fleet('a', 'b')
  for (const each of members) each.target()
  open(members[1]!.target())
  world.pass(3 * seconds)
  members[0]!.target().check()
  await settled()
  fail(members[0]!.target(), failure, charged)
  world.pass(3 * seconds)
  members[0]!.target().check()
  members[1]!.target().check()
  await settled()
  expect(store.asked, 'and does not take it back at once').toEqual(['a', 'b'])
  expect(members.map(each => each.target().check().state)).toEqual(['blocked', 'half-open'])
  for (let probe = 0; probe < 3; probe += 1) answer(members[1]!.target())
  expect(members.map(each => each.target().check().state)).toEqual(['available', 'available'])
})

test('what the target itself fails at is no reason to give the probe up', async () => {
  const { members, world, store } = fleet('a', 'b')
  for (const each of members) each.target()
  open(members[1]!.target())
  world.pass(3 * seconds)
  members[0]!.target().check()
  await settled()
  fail(members[0]!.target(), lookupFailed('ECONNREFUSED'))
  world.pass(3 * seconds)
  members[1]!.target().check()
  await settled()
  expect(store.asked).toEqual(['a', 'b'])
  expect(members[1]!.target().check().state).toBe('blocked')
})

test.each([
  ['rejects', () => Promise.reject(new Error('gone'))],
  [
    'throws',
    (): Promise<void> => {
      throw new Error('gone')
    },
  ],
])('a store that %s when a lease is given up fails no call', async (_, release) => {
  const world = createWorld()
  const { target } = healthIn(world, { store: { ...createStore(world).storeOf('a'), release } })
  open(target())
  world.pass(3 * seconds)
  target().check()
  await settled()
  fail(target(), lookupFailed())
  await settled()
  expect(target().check().state).toBe('blocked')
})

test('F93: that one process cannot look the target up is no news for the fleet', () => {
  const { members, store } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  b.target()
  for (let call = 0; call < 3; call += 1) fail(a.target(), lookupFailed('ENOTFOUND'))
  expect(store.facts).toEqual([])
  expect([a.target().check().state, b.target().check().state]).toEqual(['blocked', 'available'])
  open(b.target())
  expect(store.facts, 'what it meets afterwards is').toHaveLength(1)
})

test.each([
  [20, 'half-open'],
  [40, 'available'],
])('F93: a target that was down when the process started, and is met %i s later, is: %s', async (lateBy, state) => {
  const { world, store } = fleet()
  const late = healthIn(world, { store: store.storeOf('late') })
  const key = JSON.stringify(['https://deepseek.example', 'k1', 'flash'])
  store.say({ key, kind: 'open', reason: 'network', forMs: 1 })
  world.pass(lateBy * seconds)
  late.target()
  world.pass(1)
  late.target().check()
  await settled()
  expect(late.target().check().state).toBe(state)
})

test('a waiter is woken when the lease has come, and when another process has found the target well', async () => {
  const { members, world } = fleet('a', 'b')
  const woken: string[] = []
  members[1]!.target()
  open(members[0]!.target())
  members[0]!.target().onOpening(() => woken.push('a'))
  members[1]!.target().onOpening(() => woken.push('b'))
  world.pass(2 * seconds)
  await settled()
  world.pass(1 * seconds)
  expect(woken).toEqual(['a'])
  for (let probe = 0; probe < 3; probe += 1) answer(members[0]!.target())
  world.pass(5 * seconds)
  expect(woken).toEqual(['a', 'b'])
})

test.each([
  ['is silent', () => new Promise<boolean>(() => {})],
  ['rejects', () => Promise.reject(new Error('gone'))],
  [
    'throws',
    (): Promise<boolean> => {
      throw new Error('gone')
    },
  ],
])('a store that %s means local health within 200 ms (R112, R117)', async (_, lease) => {
  const world = createWorld()
  const store: HealthStore = {
    publish() {
      throw new Error('gone')
    },
    subscribe: () => () => {},
    lease,
  }
  const { target } = healthIn(world, { store })
  open(target())
  world.pass(2 * seconds)
  target().check()
  await settled()
  world.pass(200)
  for (let probe = 0; probe < 3; probe += 1) answer(target())
  expect(target().check().state).toBe('available')
})

test('that the store is lost and back is told (R112)', () => {
  const { members, store, world } = fleet('a')
  store.say({ kind: 'lost', message: 'connection refused' })
  store.say({ kind: 'back', message: 'connected' })
  expect(members[0]!.events).toEqual([
    { type: 'health-store', at: world.now(), state: 'lost', message: 'connection refused' },
    { type: 'health-store', at: world.now(), state: 'back', message: 'connected' },
  ])
})

test.each([
  { forMs: Number.NaN },
  { forMs: -1 },
  { forMs: Infinity },
  { forMs: 400 * 86_400_000 },
  { kind: 'limit' as const, limit: 0 },
  { kind: 'limit' as const, limit: Number.NaN },
  { key: 'somebody else' },
])('foreign data changes nothing: %o', broken => {
  const { members, store } = fleet('a')
  const target = members[0]!.target()
  const key = JSON.stringify(['https://deepseek.example', 'k1', 'flash'])
  store.say({ key, kind: 'gate', reason: 'rate-limit', forMs: 1 * seconds, ...broken })
  expect(target.check().state).toBe('available')
})

test('the share of a limit is kept, the limit itself is published', () => {
  const { members, store } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  b.target()
  fail(a.target(), failureOf('rate-limit', { status: 429, concurrencyLimit: 500, retryAfterMs: 0 }), 'gate')
  expect(store.facts.find(({ kind }) => kind === 'limit')).toMatchObject({ limit: 500 })
  const key = JSON.stringify(['https://deepseek.example', 'k1', 'flash'])
  store.say({ key, kind: 'limit', reason: 'rate-limit', forMs: 0, limit: 250 })
  expect(b.health.snapshot()[0]).toMatchObject({ limit: 250 })
})

test('a process without a network does not take a target away from those that reach it', () => {
  const { members, world } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  answer(b.target())
  for (let call = 0; call < 3; call += 1) fail(a.target(), failureOf('network'))
  expect(a.target().check().state).toBe('blocked')
  expect(b.target().check().state).toBe('available')
  world.pass(60 * seconds)
  expect(b.target().check().state).toBe('available')
})

test('targets without identity are nobody else’s business', () => {
  const { members, store } = fleet('a')
  open(members[0]!.target({ origin: null }))
  expect(store.facts).toEqual([])
})

test('no key is in what is published, only its digest', () => {
  const { members, store } = fleet('a')
  fail(members[0]!.target({ credential: 'digest' }), failureOf('quota'), 'key')
  expect(store.facts.map(({ key }) => key)).toEqual([JSON.stringify(['https://deepseek.example', 'digest'])])
})

test('closing ends the subscription', () => {
  const { members, store } = fleet('a', 'b')
  const [a, b] = members as [(typeof members)[number], (typeof members)[number]]
  const target = b.target()
  b.health.close()
  open(a.target())
  expect(store.facts).toHaveLength(1)
  expect(target.check().state).toBe('available')
})
