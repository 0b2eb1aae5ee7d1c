import { expect, test } from 'vitest'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000

// ---- what is told

test('every change is told once, with its reason and how long it lasts (R108)', () => {
  const { target, world, events } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  for (let probe = 0; probe < 3; probe += 1) answer(target())
  for (let call = 0; call < 5; call += 1) target().enter('call')?.end('abandoned')
  const change = { type: 'health-change', provider: 'deepseek', model: 'flash', name: undefined, targetIndex: 0, step: 0 }
  expect(events).toEqual([
    { ...change, at: 1_000_000, state: 'open', reason: 'server-error', untilMs: 2 * seconds, sinceMs: 0 },
    { ...change, at: 1_002_000, state: 'half-open', reason: 'server-error', untilMs: undefined, sinceMs: 2 * seconds },
    { ...change, at: 1_002_000, state: 'closed', reason: undefined, untilMs: undefined, sinceMs: 0 },
  ])
})

test('a gate is told when it shuts and when calls pass again, and a hundred refusals at once are one gate', () => {
  const { target, world, events } = healthIn(createWorld())
  const permits = Array.from({ length: 100 }, () => enter(target()))
  for (const permit of permits) permit.end({ failure: failureOf('rate-limit', { retryAfterMs: 10 * seconds }), charged: 'gate' })
  world.pass(11 * seconds)
  answer(target())
  answer(target())
  expect(events).toMatchObject([
    { state: 'gated', reason: 'rate-limit', untilMs: 10.5 * seconds },
    { state: 'half-open', reason: 'rate-limit', untilMs: undefined, sinceMs: 10.5 * seconds },
    { state: 'closed', reason: undefined, untilMs: undefined, sinceMs: 0.5 * seconds },
  ])
})

test('a refused key is told for every target that uses it', () => {
  const { target, events } = healthIn(createWorld())
  target({ model: 'pro', index: 1 })
  fail(target(), failureOf('quota'), 'key')
  expect(events).toMatchObject([
    { state: 'gated', model: 'pro', reason: 'quota' },
    { state: 'gated', model: 'flash', reason: 'quota' },
  ])
})

test('the snapshot tells all of it as plain data (R108)', () => {
  const { target, world, health } = healthIn(createWorld())
  for (const ms of [400, 500, 600]) answer(target(), ms)
  enter(target())
  fail(target({ name: 'openai', model: 'luna', index: 1 }), failureOf('rate-limit', { retryAfterMs: 60 * seconds }), 'gate')
  const third = target({ name: 'llama', model: 'local', index: 2 })
  open(third)
  third.onOpening(() => {})
  world.pass(500)
  const snapshot = health.snapshot()
  expect(snapshot).toEqual([
    {
      ...{
        provider: 'deepseek',
        model: 'flash',
        name: undefined,
        targetIndex: 0,
        step: 0,
        state: 'closed',
        reason: undefined,
        untilMs: undefined,
        sinceMs: 500,
      },
      ...{ inFlight: 1, limit: undefined, waiting: 0, firstChunkMs: { p50: 500, p98: 600 }, retriesLeft: 5 },
    },
    {
      ...{
        provider: 'openai',
        model: 'luna',
        name: undefined,
        targetIndex: 1,
        step: 1,
        state: 'gated',
        reason: 'rate-limit',
        untilMs: 62_500,
        sinceMs: 500,
      },
      ...{ inFlight: 0, limit: undefined, waiting: 0, firstChunkMs: undefined, retriesLeft: 5 },
    },
    {
      ...{
        provider: 'llama',
        model: 'local',
        name: undefined,
        targetIndex: 2,
        step: 2,
        state: 'open',
        reason: 'server-error',
        untilMs: 1_500,
        sinceMs: 500,
      },
      ...{ inFlight: 0, limit: undefined, waiting: 1, firstChunkMs: undefined, retriesLeft: 5 },
    },
  ])
  expect(JSON.parse(JSON.stringify(snapshot))).toEqual(JSON.parse(JSON.stringify([...snapshot])))
  health.close()
})

test('closing leaves no timer and wakes nobody; health may be used again afterwards', () => {
  const { target, world, health } = healthIn(createWorld())
  open(target())
  fail(target({ name: 'openai', index: 1 }), failureOf('rate-limit', { retryAfterMs: 60 * seconds }), 'gate')
  let woken = 0
  for (let waiter = 0; waiter < 10; waiter += 1) {
    target().onOpening(() => (woken += 1))
    target({ name: 'openai', index: 1 }).onOpening(() => (woken += 1))
  }
  expect(world.timers()).toBeGreaterThan(0)
  health.close()
  expect(world.timers()).toBe(0)
  world.pass(120 * seconds)
  expect(woken).toBe(0)
  target().onOpening(() => (woken += 1))
  world.pass(120 * seconds)
  expect(woken).toBe(1)
})

test('while nobody waits or listens no timer runs, whatever happened', () => {
  const { target, world } = healthIn(createWorld(), { isHeard: false })
  open(target())
  fail(target({ name: 'openai', index: 1 }), failureOf('rate-limit', { retryAfterMs: 60 * seconds }), 'gate')
  fail(target({ name: 'local', index: 2 }), failureOf('quota'), 'key')
  expect(world.timers()).toBe(0)
})

test('F100: an idle service hears when a gate or an opening is over, without any call', () => {
  const { target, world, events } = healthIn(createWorld())
  fail(target(), failureOf('rate-limit', { retryAfterMs: 10 * seconds }), 'gate')
  open(target({ name: 'openai', index: 1 }))
  world.pass(60 * seconds)
  expect(events.map(event => ('state' in event ? [event.at, 'provider' in event && event.provider, event.state] : []))).toEqual([
    [1_000_000, 'deepseek', 'gated'],
    [1_000_000, 'openai', 'open'],
    [1_002_000, 'openai', 'half-open'],
    [1_010_500, 'deepseek', 'half-open'],
  ])
})

test('F100: a target whose gate ran out is half-open until an attempt was good, also where nobody listens', () => {
  const { target, world, health } = healthIn(createWorld(), { isHeard: false })
  const state = () => health.snapshot()[0]
  target()
  expect(state()).toMatchObject({ state: 'closed', sinceMs: 0 })
  fail(target(), failureOf('rate-limit', { retryAfterMs: 10 * seconds }), 'gate')
  world.pass(4 * seconds)
  expect(state()).toMatchObject({ state: 'gated', reason: 'rate-limit', untilMs: 6.5 * seconds, sinceMs: 4 * seconds })
  world.pass(10 * seconds)
  expect(state()).toMatchObject({ state: 'half-open', reason: 'rate-limit', untilMs: undefined, sinceMs: 3.5 * seconds })
  enter(target()).end('abandoned')
  expect(state()?.state).toBe('half-open')
  answer(target())
  world.pass(1 * seconds)
  expect(state()).toMatchObject({ state: 'closed', reason: undefined, untilMs: undefined, sinceMs: 1 * seconds })
})
