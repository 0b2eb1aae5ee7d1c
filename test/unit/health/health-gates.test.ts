import { expect, test } from 'vitest'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000
const minutes = 60_000

// ---- times that a server named

test('a 429 gates its target until Retry-After is over, and nobody else', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  const other = target({ model: 'pro', index: 1 })
  fail(target(), failureOf('rate-limit', { status: 429, retryAfterMs: 60 * seconds }), 'gate')
  expect(target().check()).toEqual({
    state: 'blocked',
    reason: 'rate-limit',
    message: 'It failed: rate-limit.',
    until: world.now() + 60 * seconds,
  })
  expect(other.check().state).toBe('available')
  world.pass(60 * seconds)
  expect(target().check().state).toBe('available')
})

test('a 429 without a time gates for a moment and is no failure (R95)', () => {
  const { target, world } = healthIn(createWorld())
  fail(target(), failureOf('rate-limit', { status: 429 }), 'gate')
  expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 750 })
})

test('the later of two gates stays (R99)', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  const permits = [enter(target()), enter(target())]
  permits[0]!.end({ failure: failureOf('rate-limit', { retryAfterMs: 60 * seconds }), charged: 'gate' })
  permits[1]!.end({ failure: failureOf('rate-limit', { retryAfterMs: 1 * seconds }), charged: 'gate' })
  expect(target().check()).toMatchObject({ until: world.now() + 60 * seconds })
})

test.each(['overloaded', 'loading', 'server-error'] as const)('the time that comes with %s is obeyed as well', reason => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  fail(target(), failureOf(reason, { retryAfterMs: 5 * seconds }), reason === 'loading' ? 'nobody' : 'target')
  expect(target().check()).toMatchObject({ state: 'blocked', reason, until: world.now() + 5 * seconds })
})

test('while a target is both gated and open, the later time counts', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  for (let call = 0; call < 2; call += 1) fail(target(), failureOf('overloaded'))
  fail(target(), failureOf('overloaded', { retryAfterMs: 30 * seconds }))
  expect(target().check()).toMatchObject({ until: world.now() + 30 * seconds })
  world.pass(30 * seconds)
  expect(target().check().state).toBe('half-open')
})

// ---- keys and models

test.each(['authentication', 'quota', 'permission'] as const)(
  '%s keeps all targets of the key at that origin away for minutes',
  reason => {
    const { target, world } = healthIn(createWorld(), { random: () => 0 })
    const [flash, pro] = [target(), target({ model: 'pro', index: 1 })]
    const elsewhere = [target({ credential: 'k2', index: 2 }), target({ name: 'siliconflow', index: 3 })]
    fail(flash, failureOf(reason, { status: 401 }), 'key')
    expect(flash.check()).toMatchObject({ state: 'blocked', reason, until: world.now() + 5 * minutes })
    expect(pro.check()).toMatchObject({ state: 'blocked', reason, until: world.now() + 5 * minutes })
    expect(elsewhere.map(each => each.check().state)).toEqual(['available', 'available'])
  },
)

test('after its time one call tries a refused key; its success frees all targets of the key', () => {
  const { target, world } = healthIn(createWorld())
  const [flash, pro] = [target(), target({ model: 'pro', index: 1 })]
  fail(flash, failureOf('quota', { status: 402 }), 'key')
  world.pass(6 * minutes)
  expect([flash, pro].map(each => each.check().state)).toEqual(['half-open', 'half-open'])
  const trial = enter(pro, 'probe')
  expect(flash.enter('call')).toBeUndefined()
  trial.firstChunk(500)
  expect([flash, pro].map(each => each.check().state)).toEqual(['available', 'available'])
})

test('one model outside the plan does not darken the others of its key (R103)', () => {
  const { target } = healthIn(createWorld())
  const [flash, pro] = [target(), target({ model: 'pro', index: 1 })]
  answer(flash)
  fail(pro, failureOf('permission', { status: 403 }), 'key')
  expect([flash, pro].map(each => each.check().state)).toEqual(['available', 'blocked'])
})

test('F94: the quota of one model does not darken the others of its key', () => {
  const { target } = healthIn(createWorld())
  const [flash, pro] = [target(), target({ model: 'pro', index: 1 })]
  answer(flash)
  fail(pro, failureOf('quota', { status: 429 }), 'key')
  expect([flash, pro].map(each => each.check().state)).toEqual(['available', 'blocked'])
})

test.each(['authentication', 'quota'] as const)(
  'F35: one %s of a key that answered seconds ago is tried again in seconds',
  reason => {
    const { target, world } = healthIn(createWorld(), { random: () => 0 })
    answer(target())
    fail(target(), failureOf(reason, { status: 401 }), 'key')
    expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 3 * seconds })
    world.pass(3 * seconds)
    const trial = enter(target(), 'probe')
    expect(target().enter('call')).toBeUndefined()
    trial.end({ failure: failureOf(reason, { status: 401 }), charged: 'key' })
    expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 5 * minutes })
  },
)

test('F35: a key that answered a while ago is left alone for long at once', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  answer(target())
  world.pass(2 * minutes)
  fail(target(), failureOf('authentication', { status: 401 }), 'key')
  expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 5 * minutes })
})

test('F19, F32: what is about one request shuts nothing, also where a time comes with it', () => {
  const { target } = healthIn(createWorld())
  fail(target(), failureOf('context-length', { status: 429, retryAfterMs: 50 * seconds }), 'request')
  expect(target().check().state).toBe('available')
})

test('F20: one long prompt does not shut a deployment for a day', () => {
  const { target, world, events } = healthIn(createWorld(), { random: () => 0 })
  const long = { messages: [{ role: 'user' as const, content: 'x'.repeat(400_000) }] }
  const short = { messages: [{ role: 'user' as const, content: 'Hi.' }] }
  const named = failureOf('rate-limit', { status: 429, retryAfterMs: 86_400 * seconds })
  target().enter('call', long)!.end({ failure: named, charged: 'gate' })
  expect([target().check(long).state, target().check(short).state]).toEqual(['blocked', 'available'])
  const small = target().enter('call', short)!
  small.firstChunk(100)
  small.end('answered')
  expect(events.filter(event => event.type === 'health-change').map(({ state }) => state)).toEqual(['gated'])
  world.pass(15 * minutes)
  expect(target().check(long).state).toBe('half-open')
  const look = target().enter('probe', long)!
  expect(target().enter('call', long)).toBeUndefined()
  look.end({ failure: named, charged: 'gate' })
  world.pass(15 * minutes)
  const again = target().enter('probe', long)!
  again.firstChunk(100)
  expect(target().check(long).state).toBe('available')
})

test('an unknown model keeps only that model away (R103)', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  const [flash, gone] = [target(), target({ model: 'gone', index: 1 })]
  fail(gone, failureOf('not-found', { status: 404 }), 'model')
  expect(flash.check().state).toBe('available')
  expect(gone.check()).toMatchObject({ state: 'blocked', reason: 'not-found', until: world.now() + 5 * minutes })
})

// ---- the last target

test('the last target left may be tried one call at a time, though it is out by our own guess (R96)', () => {
  const { target, world } = healthIn(createWorld())
  fail(target(), failureOf('authentication', { status: 401 }), 'key')
  expect(target().enter('call')).toBeUndefined()
  const last = target().enterAsLastResort()!
  expect(target().enterAsLastResort()).toBeUndefined()
  last.firstChunk(400)
  last.end('answered')
  expect(target().check().state, 'the key works again').toBe('available')
  open(target())
  world.pass(500)
  expect(target().enterAsLastResort(), 'it rests for a second').toBeUndefined()
  world.pass(500)
  expect(target().enterAsLastResort()).toBeDefined()
})

test('even the last target is not asked before the time that it named', () => {
  const { target } = healthIn(createWorld())
  fail(target(), failureOf('rate-limit', { retryAfterMs: 3_600 * seconds }), 'gate')
  expect(target().enterAsLastResort()).toBeUndefined()
  const key = target({ name: 'openai', index: 1 })
  fail(key, failureOf('quota', { retryAfterMs: 3_600 * seconds }), 'key')
  expect(key.enterAsLastResort()).toBeUndefined()
})

test('a last resort needs nothing special while the target is ready', () => {
  const { target, health } = healthIn(createWorld())
  target().enterAsLastResort()!.end('answered')
  expect(health.snapshot()[0]).toMatchObject({ inFlight: 0 })
})
