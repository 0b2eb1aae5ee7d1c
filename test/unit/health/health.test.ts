import { expect, test } from 'vitest'
import { loadFirst } from '../../../src/health/settings.ts'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000

// ---- what a target is told, and what it remembers

test('a target that nothing is known of is ready', () => {
  const { target } = healthIn(createWorld())
  expect(target().check()).toEqual({ state: 'available' })
})

test('a target that failed is remembered between calls (R109)', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'server-error', message: 'It failed: server-error.' })
  expect(target().enter('call')).toBeUndefined()
  world.pass(2 * seconds)
  expect(target().check()).toEqual({ state: 'half-open' })
})

test('a target is charged whatever its place in the chain is (R100)', () => {
  const { target } = healthIn(createWorld())
  const [first, last] = [target(), target({ name: 'openai', index: 7 })]
  open(last)
  expect(first.check().state).toBe('available')
  expect(last.check().state).toBe('blocked')
})

test('looking takes nothing: a probe is still there after a thousand looks', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  for (let look = 0; look < 1_000; look += 1) target().check()
  expect(enter(target(), 'probe')).toBeDefined()
})

test('on probation one probe at a time may enter, no hedge at all, and everybody else sees when the next may (R107)', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  expect(target().enter('hedge')).toBeUndefined()
  enter(target(), 'probe')
  expect(target().enter('call')).toBeUndefined()
  expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 10 * seconds })
})

test('three probes bring a target back (R101, R136)', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  for (let probe = 0; probe < 3; probe += 1) {
    expect(target().check().state).toBe('half-open')
    answer(target())
  }
  expect(target().check().state).toBe('available')
})

test('of 168 calls at once those that fail take nothing from the others (R106)', () => {
  const { target, health } = healthIn(createWorld())
  const permits = Array.from({ length: 168 }, () => enter(target()))
  permits.forEach((permit, call) => {
    if (call % 4 === 0) permit.end({ failure: failureOf('server-error'), charged: 'target' })
    else permit.firstChunk(500)
  })
  for (const permit of permits) permit.end('answered')
  expect(target().check().state).toBe('available')
  expect(health.snapshot()[0]).toMatchObject({ state: 'closed', inFlight: 0 })
})

test('with the breaker off a target is never left for its failures (R98)', () => {
  const { target } = healthIn(createWorld(), { settings: { ...loadFirst, breaker: false } })
  for (let call = 0; call < 100; call += 1) fail(target(), failureOf('server-error'))
  expect(target().check().state).toBe('available')
})

test.each(['rate-limit', 'invalid-request', 'context-length', 'loading', 'empty', 'invalid-output', 'content-filter'] as const)(
  '%s says nothing against a target',
  reason => {
    const { target, world } = healthIn(createWorld())
    for (let call = 0; call < 50; call += 1) {
      fail(target(), failureOf(reason, { status: 400 }), reason === 'rate-limit' ? 'gate' : 'nobody')
      world.pass(2 * seconds)
    }
    expect(target().check().state).toBe('available')
  },
)

test('what was abandoned is neither success nor failure (R48)', () => {
  const { target, health } = healthIn(createWorld())
  for (let call = 0; call < 50; call += 1) enter(target()).end('abandoned')
  expect(target().check().state).toBe('available')
  expect(health.snapshot()[0]).toMatchObject({ state: 'closed', inFlight: 0, firstChunkMs: undefined, retriesLeft: 5 })
})

// ---- permits

test('a permit is given back exactly once, however often and by whomever it is ended', () => {
  const { target, health } = healthIn(createWorld())
  const permit = enter(target())
  enter(target())
  permit.firstChunk(100)
  permit.firstChunk(200)
  permit.end('answered')
  permit.end('abandoned')
  permit.end({ failure: failureOf('server-error'), charged: 'target' })
  permit.firstChunk(300)
  expect(health.snapshot()[0]).toMatchObject({ inFlight: 1, firstChunkMs: { p50: 100 } })
  expect(target().firstChunk()).toEqual({ p50: 100, p98: 100, p99: 100, samples: 1 })
})

test('a request that is queued for too long counts as a failure once, and what it brings later does not', () => {
  const { target } = healthIn(createWorld())
  for (let call = 0; call < 2; call += 1) {
    const permit = enter(target())
    permit.late()
    permit.late()
    permit.end({ failure: failureOf('timeout', { clock: 'queued' }), charged: 'target' })
  }
  expect(target().check().state).toBe('available')
  const third = enter(target())
  third.late()
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'timeout' })
  third.firstChunk(9 * seconds)
  third.end('answered')
  expect(target().check().state).toBe('blocked')
  expect(target().firstChunk()?.p50).toBe(9 * seconds)
})

test('an answer that breaks off is charged like a 5xx, and tells its reason (R105)', () => {
  const { target, world } = healthIn(createWorld())
  for (let call = 0; call < 3; call += 1) {
    const permit = enter(target())
    permit.firstChunk(300)
    world.pass(4 * seconds)
    permit.end({ failure: failureOf('truncated', { status: 200 }), charged: 'target' })
  }
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'truncated' })
})

test('a call that had no time left says nothing of a target that was given less than usual, or was answering', () => {
  const { target, world } = healthIn(createWorld())
  for (let call = 0; call < 50; call += 1) {
    const short = enter(target())
    const long = enter(target())
    long.firstChunk(100)
    world.pass(1_900)
    for (const permit of [short, long]) permit.end({ failure: failureOf('timeout', { clock: 'total' }), charged: 'target' })
  }
  expect(target().check().state).toBe('available')
})

test('a target that is silent until the deadline of every call is left all the same', () => {
  const { target, world } = healthIn(createWorld())
  for (let call = 0; call < 3; call += 1) {
    const permit = enter(target())
    world.pass(5 * seconds)
    permit.end({ failure: failureOf('timeout', { clock: 'total' }), charged: 'target' })
  }
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'timeout' })
})

// ---- identity

test('two targets of one identity share what is known; the key, the model and the origin tell them apart', () => {
  const { target } = healthIn(createWorld())
  const [first, same] = [target(), target({ index: 3 })]
  const others = [
    target({ index: 4, credential: 'k2' }),
    target({ index: 5, model: 'pro' }),
    target({ index: 6, origin: 'https://elsewhere.example' }),
  ]
  open(first)
  expect(same.check().state).toBe('blocked')
  expect(others.map(each => each.check().state)).toEqual(['available', 'available', 'available'])
})

test('targets without identity share nothing, even when provider and model are the same', () => {
  const { health } = healthIn(createWorld())
  const provider = { name: 'mine', stream: async () => {} }
  const [first, second] = [0, 1].map(index => health.of({ provider, model: 'm', index }))
  open(first!)
  fail(first!.enterAsLastResort() === undefined ? second! : second!, failureOf('authentication'), 'key')
  expect(health.snapshot().map(({ state }) => state)).toEqual(['open', 'gated'])
})

test('asking for a target twice gives the same memory, also when several share an index', () => {
  const { health } = healthIn(createWorld())
  const make = (name: string) => ({ provider: { name, stream: async () => {} }, model: 'm', index: 0 })
  const [a, b] = [make('a'), make('b')]
  const [ofA, ofB] = [health.of(a), health.of(b)]
  expect([health.of(a), health.of(b), health.of({ ...a })]).toEqual([ofA, ofB, ofA])
  expect(ofA).not.toBe(ofB)
})

test('the snapshot has each target once, in the order of their places, whatever the order in which they were used', () => {
  const { health } = healthIn(createWorld())
  const provider = { name: 'mine', stream: async () => {} }
  const other = { name: 'other', stream: async () => {} }
  for (const _ of [1, 2]) {
    for (const index of [5, 0, 3]) health.of({ provider, model: 'm', index })
    health.of({ provider: other, model: 'm', index: 3 })
    health.of({ provider, model: 'pro', index: 3 })
  }
  const named = health.snapshot().map(target => [target.targetIndex, target.provider, target.model].join(' '))
  expect(named).toEqual(['0 mine m', '3 mine m', '3 other m', '3 mine pro', '5 mine m'])
})

test('the snapshot tells the configured limits; only that of requests in flight is a limit of what is in flight', () => {
  const { target, health } = healthIn(createWorld())
  target({ limits: { requestsPerMinute: 5 } })
  target({ name: 'openai', index: 1, limits: { concurrency: 3 } })
  expect(health.snapshot()).toMatchObject([
    { limit: undefined, limits: { requestsPerMinute: { limit: 5, used: 0 } } },
    { limit: 3, limits: { concurrency: { limit: 3, used: 0 } } },
  ])
})

test('nothing is shared between two clients', () => {
  const world = createWorld()
  const [one, two] = [healthIn(world), healthIn(world)]
  open(one.target())
  expect(two.target().check().state).toBe('available')
})
