import { expect, test } from 'vitest'
import { createBreaker } from '../../../src/health/breaker.ts'
import { createSuspension } from '../../../src/health/gate.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

// Each of these once lived through a change of the source that no other test noticed.

test('three probes that are abandoned leave a half-open target half-open: a lost race is no success (R48)', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2_000)
  for (let probe = 0; probe < 3; probe += 1) enter(target(), 'probe').end('abandoned')
  expect(target().check().state).toBe('half-open')
})

test('twenty refusals of calls that were under way together count as one, so that the next rest is not an hour', () => {
  const key = createSuspension(() => 0)
  const refusal = { reason: 'quota' as const, message: 'No balance.', retryAfterMs: undefined }
  for (let call = 0; call < 20; call += 1) key.suspend(refusal, 0)
  expect(key.suspend(refusal, 300_000)).toBe(900_000)
})

test('what a model has answered itself is no sign that its key is good elsewhere (R103)', () => {
  const { target } = healthIn(createWorld())
  const [flash, pro] = [target(), target({ model: 'pro', index: 1 })]
  answer(flash)
  fail(flash, failureOf('permission', { status: 403 }), 'key')
  expect(pro.check().state).toBe('blocked')
})

test('a doubt about the own network closes no breaker that was open before it', () => {
  const breaker = createBreaker({ settings: loadFirst.breaker, random: () => 0.5, onChange: () => {} })
  for (let call = 0; call < 3; call += 1) breaker.fail(breaker.enter(1_000)!, { reason: 'network', message: 'Gone.' }, 1_000)
  breaker.forgive(1_500, 1_600)
  expect(breaker.state(1_600)).toBe('open')
  breaker.forgive(1_000, 1_600)
  expect(breaker.state(1_600)).toBe('closed')
})

test('an answer that a deadline of the caller cuts opens no breaker', () => {
  const { target, world } = healthIn(createWorld())
  for (let call = 0; call < 5; call += 1) {
    const permit = enter(target())
    permit.firstChunk(500)
    world.pass(10_000)
    permit.end({ failure: failureOf('timeout', { clock: 'total' }), charged: 'target' })
  }
  expect(target().check().state).toBe('available')
})

test('a probe of a refused key that is abandoned gives its place back at once, not after its lease', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  fail(target(), failureOf('authentication', { status: 401 }), 'key')
  world.pass(5 * 60_000)
  enter(target()).end('abandoned')
  expect(target().enter('call')).toBeDefined()
})

test('a request that was counted as late is no success in addition when it is answered after all', () => {
  const { target } = healthIn(createWorld())
  for (let call = 0; call < 3; call += 1) {
    const permit = enter(target())
    permit.late()
    permit.firstChunk(9_000)
    permit.end('answered')
  }
  expect(target().check().state).toBe('blocked')
})

test('a target that is back after an outage begins with a tenth of its best before, also when a probe has failed in between', () => {
  const { target, world, health } = healthIn(createWorld())
  const permits = Array.from({ length: 100 }, () => enter(target()))
  for (const permit of permits) permit.firstChunk(500)
  for (const permit of permits) permit.end('answered')
  world.pass(120_000)
  open(target())
  world.pass(2_400)
  fail(target(), failureOf('server-error'))
  world.pass(4_800)
  for (let probe = 0; probe < 3; probe += 1) answer(target())
  // the last probe was still in flight when the target closed
  expect(health.snapshot()[0]).toMatchObject({ state: 'closed', limit: 11 })
})

test('a refusal that is charged to the gate, or a request that stays queued, lowers the limit at once', () => {
  for (const kind of ['refused', 'late'] as const) {
    const { target, health } = healthIn(createWorld())
    const [first] = Array.from({ length: 10 }, () => enter(target()))
    if (kind === 'late') first?.late()
    else first?.end({ failure: failureOf('rate-limit', { retryAfterMs: 1_000 }), charged: 'gate' })
    expect(health.snapshot()[0]?.limit, kind).toBe(7)
  }
})

test.each([
  ['overloaded', 500, true],
  ['rate-limit', 429, true],
  ['server-error', 503, true],
  ['server-error', 529, true],
  ['server-error', 500, false],
] as const)('eight failures of a full target in a row lower the limit: %s with %i: %s', (reason, status, isLower) => {
  const after = (count: number, charged: 'target' | 'nobody') => {
    const { target, health } = healthIn(createWorld())
    const permits = Array.from({ length: 20 }, () => enter(target()))
    for (const permit of permits.slice(0, count)) permit.end({ failure: failureOf(reason, { status }), charged })
    return health.snapshot()[0]?.limit !== undefined
  }
  expect([after(7, 'target'), after(8, 'target'), after(8, 'nobody')]).toEqual([false, isLower, false])
})
