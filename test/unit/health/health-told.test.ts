import { expect, test } from 'vitest'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from './world.ts'

const seconds = 1_000

// ---- what is told

test('every change is told once, with its reason and how long it lasts (R108)', () => {
  const { target, world, events } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  for (let probe = 0; probe < 3; probe += 1) answer(target())
  for (let call = 0; call < 5; call += 1) target().enter('call')?.end('abandoned')
  const change = { type: 'health-change', provider: 'deepseek', model: 'flash' }
  expect(events).toEqual([
    { ...change, at: 1_000_000, state: 'open', reason: 'server-error', untilMs: 2 * seconds },
    { ...change, at: 1_002_000, state: 'half-open', reason: 'server-error', untilMs: undefined },
    { ...change, at: 1_002_000, state: 'closed', reason: undefined, untilMs: undefined },
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
    { state: 'ungated', reason: undefined, untilMs: undefined },
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
      ...{ provider: 'deepseek', model: 'flash', targetIndex: 0, state: 'closed', reason: undefined, untilMs: undefined },
      ...{ inFlight: 1, limit: undefined, waiting: 0, firstChunkMs: { p50: 500, p98: 600 }, retriesLeft: 5 },
    },
    {
      ...{ provider: 'openai', model: 'luna', targetIndex: 1, state: 'gated', reason: 'rate-limit', untilMs: 62_500 },
      ...{ inFlight: 0, limit: undefined, waiting: 0, firstChunkMs: undefined, retriesLeft: 5 },
    },
    {
      ...{ provider: 'llama', model: 'local', targetIndex: 2, state: 'open', reason: 'server-error', untilMs: 1_500 },
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

test('while nobody waits no timer runs, whatever happened', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  fail(target({ name: 'openai', index: 1 }), failureOf('rate-limit', { retryAfterMs: 60 * seconds }), 'gate')
  fail(target({ name: 'local', index: 2 }), failureOf('quota'), 'key')
  expect(world.timers()).toBe(0)
})
