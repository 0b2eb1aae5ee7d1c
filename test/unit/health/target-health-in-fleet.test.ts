import { expect, test } from 'vitest'
import { loadFirst } from '../../../src/health/settings.ts'
import type { HealthFact } from '../../../src/health/store.ts'
import { createStore, fleet, settled } from '../../helpers/fleet-health.ts'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000
const minutes = 60_000
const key = JSON.stringify(['https://deepseek.example', 'k1', 'flash'])

/** One process, which hears what others say of its target. */
function listening() {
  const { world, store, members } = fleet('a')
  const { target, health, events } = members[0]!
  target()
  const hear = (fact: Omit<HealthFact, 'key' | 'forMs'> & { readonly forMs?: number }) => store.say({ key, forMs: 0, ...fact })
  return { world, store, target, health, events, hear }
}

test.each([
  ['overloaded', 5_000, 'blocked'],
  ['network', 5_000, 'available'],
  ['network', 5_001, 'blocked'],
] as const)('another process that opens because of %s, %i ms after an answer here: %s', (reason, agoMs, state) => {
  const { world, target, hear } = listening()
  answer(target())
  world.pass(agoMs)
  hear({ kind: 'open', reason, forMs: 10 * seconds })
  expect(target().check().state).toBe(state)
})

test('a target that was never answered here is left when another process cannot reach it, until that process can', () => {
  const { target, hear } = listening()
  hear({ kind: 'open', reason: 'network', forMs: 60 * seconds })
  expect(target().check().state).toBe('blocked')
  const last = target().enterAsLastResort()
  last?.firstChunk(100)
  last?.end('answered')
  hear({ kind: 'closed', reason: 'network' })
  expect(target().check().state).toBe('available')
})

test('what another process says is told here at once, and half-open is told when it is over', () => {
  const { target, health, events, hear } = listening()
  hear({ kind: 'gate', reason: 'rate-limit', forMs: 60 * minutes })
  hear({ kind: 'gate', reason: 'rate-limit', forMs: 0 })
  expect(events).toMatchObject([
    // until the first look
    { state: 'gated', reason: 'rate-limit', untilMs: 15.75 * minutes },
    { state: 'half-open', reason: 'rate-limit' },
  ])
  expect(health.snapshot()[0]).toMatchObject({ state: 'half-open' })
  answer(target())
  expect(health.snapshot()[0]).toMatchObject({ state: 'closed' })
})

test('a refusal that is over already lifts no gate', () => {
  const { target, hear } = listening()
  hear({ kind: 'gate', reason: 'rate-limit', forMs: 60 * minutes })
  hear({ kind: 'refused', reason: 'not-found', forMs: 0 })
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'rate-limit' })
})

test('a model that another process was refused may be tried as a last resort, and by one call at a time when its time is over', () => {
  const { world, target, health, hear } = listening()
  hear({ kind: 'refused', reason: 'not-found', forMs: 5 * minutes })
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'not-found', until: world.now() + 5 * minutes })
  expect(health.snapshot()[0]).toMatchObject({ state: 'gated', reason: 'not-found' })
  const last = target().enterAsLastResort()
  expect(last).toBeDefined()
  last?.end('abandoned')
  world.pass(5 * minutes)
  expect(target().check().state).toBe('half-open')
  enter(target(), 'probe')
  expect(target().enter('call')).toBeUndefined()
})

test('who waits is woken when another process finds that a long time is over', () => {
  const { world, target, hear } = listening()
  hear({ kind: 'gate', reason: 'rate-limit', forMs: 60 * minutes })
  let woken = 0
  target().onOpening(() => (woken += 1))
  hear({ kind: 'gate', reason: 'rate-limit', forMs: 0 })
  world.pass(1 * seconds)
  expect(woken).toBe(1)
})

test('who waits for a place is woken when another process ends and leaves its share', () => {
  const { store, target } = listening()
  store.say({ kind: 'processes', count: 2 })
  const limited = target({ name: 'openai', index: 1, limits: { concurrency: 2 } })
  enter(limited)
  let woken = 0
  limited.onOpening(() => (woken += 1))
  expect(limited.check().state).toBe('blocked')
  store.say({ kind: 'processes', count: 1 })
  expect(woken).toBe(1)
})

test('the limits of a target that no other process knows are not divided', () => {
  const { store, target, health } = listening()
  target({ name: 'own', index: 1, origin: null, limits: { concurrency: 4 } })
  target({ name: 'openai', index: 2, limits: { concurrency: 4 } })
  store.say({ kind: 'processes', count: 2 })
  expect(health.snapshot().map(({ limit }) => limit)).toEqual([undefined, 4, 2])
})

test('that a key works again is told for its other targets at once', () => {
  const { world, target, health, events } = listening()
  target({ model: 'pro', index: 1 })
  fail(target(), failureOf('quota', { status: 402 }), 'key')
  world.pass(6 * minutes)
  const trial = enter(target(), 'probe')
  expect(health.snapshot().map(({ state }) => state)).toEqual(['gated', 'gated'])
  const before = events.length
  trial.firstChunk(100)
  expect(events.slice(before).map(event => 'model' in event && [event.model, event.state])).toEqual([
    ['flash', 'half-open'],
    ['pro', 'half-open'],
    ['flash', 'closed'],
  ])
})

test.each([
  ['its own time', { ...loadFirst, breaker: { ...loadFirst.breaker, probeLeaseMs: 20_000 } }, 20_000],
  ['ten seconds where there is no breaker', { ...loadFirst, breaker: false as const }, 10_000],
])('the lease of a probe in the fleet lasts %s', async (_, settings, expected) => {
  const world = createWorld()
  const leases: number[] = []
  const store = createStore(world).storeOf('a')
  const lease = async (_key: string, forMs: number) => {
    leases.push(forMs)
    return true
  }
  const { target } = healthIn(world, { settings, store: { ...store, lease } })
  if (settings.breaker === false) fail(target(), failureOf('rate-limit', { retryAfterMs: 60 * minutes }), 'gate')
  else open(target())
  world.pass(settings.breaker === false ? 20 * minutes : 3 * seconds)
  target().check()
  await settled()
  expect(leases).toEqual([expected])
})
