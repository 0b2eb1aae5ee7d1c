import { expect, test } from 'vitest'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000

// ---- retries, places and waiters

test('retries are paid from a bucket that first contents fill', () => {
  const { target } = healthIn(createWorld())
  expect(Array.from({ length: 6 }, () => target().takeRetry())).toEqual([true, true, true, true, true, false])
  for (let call = 0; call < 10; call += 1) answer(target())
  expect(target().takeRetry()).toBe(true)
})

test('a named limit is kept: the next one waits for a place, in order, and gets it when one is given back', () => {
  const { target, world } = healthIn(createWorld())
  const running = [enter(target()), enter(target()), enter(target())]
  enter(target()).end({
    failure: failureOf('rate-limit', { status: 429, concurrencyLimit: 3, retryAfterMs: 0 }),
    charged: 'gate',
  })
  world.pass(1 * seconds)
  expect(target().check()).toMatchObject({ state: 'blocked', reason: 'overloaded', until: Infinity })
  const woken: string[] = []
  target().onOpening(() => void woken.push('first'))
  target().onOpening(() => void woken.push('second'))
  world.pass(60 * seconds)
  expect(woken).toEqual([])
  running[0]!.end('answered')
  expect(woken).toEqual(['first'])
})

test('a waiter is woken after the gate, by a timer of this clock (R102)', () => {
  const { target, world } = healthIn(createWorld())
  fail(target(), failureOf('rate-limit', { retryAfterMs: 20 * seconds }), 'gate')
  const { until } = target().check() as { until: number }
  let wokenAt = 0
  target().onOpening(() => (wokenAt = world.now()))
  world.pass(60 * seconds)
  expect(wokenAt).toBeGreaterThanOrEqual(until)
  expect(wokenAt).toBeLessThan(until + 3 * seconds)
})

test('one waiter is woken to be the probe; when it succeeds the next one is', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  const woken: number[] = []
  for (const number of [1, 2, 3, 4]) {
    target().onOpening(() => {
      woken.push(number)
      const permit = enter(target(), 'probe')
      world.setTimeout(() => {
        permit.firstChunk(1 * seconds)
        permit.end('answered')
      }, 1 * seconds)
    })
  }
  world.pass(2 * seconds)
  expect(woken).toEqual([4])
  world.pass(1 * seconds)
  expect(woken).toEqual([4, 3])
  world.pass(60 * seconds)
  expect(woken).toHaveLength(4)
})

test('where ten thousand wait one more is told that it waits in vain', () => {
  const { target } = healthIn(createWorld())
  open(target())
  const leave = target().onOpening(() => {})
  for (let waiting = 1; waiting < 10_000; waiting += 1) target().onOpening(() => {})
  expect(target().check()).toMatchObject({ state: 'blocked', isInVain: true })
  leave()
  expect(target().check()).not.toHaveProperty('isInVain')
})

// ---- our own network

test('when two services cannot be reached at once nobody is charged, though one had opened already', () => {
  const { target, events, health, world } = healthIn(createWorld())
  const [first, second] = [target(), target({ name: 'openai', index: 1 })]
  const calls = Array.from({ length: 10 }, () => enter(first))
  for (const call of calls) call.end({ failure: failureOf('network'), charged: 'target' })
  expect(health.snapshot()[0]).toMatchObject({ state: 'open' })
  fail(second, failureOf('network'))
  expect(health.snapshot().map(({ state, reason, untilMs }) => ({ state, reason, untilMs }))).toEqual([
    { state: 'gated', reason: 'network', untilMs: 1 * seconds },
    { state: 'gated', reason: 'network', untilMs: 1 * seconds },
  ])
  expect(events.filter(({ type }) => type === 'local-network-suspected')).toEqual([
    { type: 'local-network-suspected', at: world.now(), providers: ['deepseek', 'openai'] },
  ])
  world.pass(1 * seconds)
  answer(second)
  expect([first, second].map(each => each.check().state)).toEqual(['available', 'available'])
})

test('one service that cannot be reached opens as any other failure does', () => {
  const { target, events } = healthIn(createWorld())
  const [first, second] = [target(), target({ name: 'openai', index: 1 })]
  for (let call = 0; call < 3; call += 1) {
    answer(second)
    fail(first, failureOf('network'))
  }
  expect(first.check()).toMatchObject({ state: 'blocked', reason: 'network' })
  expect(events.map(({ type }) => type)).toEqual(['health-change'])
})

test('two services that answer 503 at once are two outages, not a fault of ours', () => {
  const { target, health } = healthIn(createWorld())
  const both = [target(), target({ name: 'openai', index: 1 })]
  for (const each of both) open(each)
  expect(health.snapshot().map(({ state }) => state)).toEqual(['open', 'open'])
})
