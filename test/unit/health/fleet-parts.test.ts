import { expect, test } from 'vitest'
import { createFleetProbe, createPublisher, createSubscriber, type HealthEvent } from '../../../src/health/fleet.ts'
import type { HealthFact, HealthStore } from '../../../src/health/store.ts'
import type { Condition } from '../../../src/health/target-state.ts'
import { settled } from '../../helpers/fleet-health.ts'
import { createWorld } from '../../helpers/health-world.ts'

const seconds = 1_000
const never = Number.NEGATIVE_INFINITY
const closed: Condition = { state: 'closed', reason: undefined, until: Infinity }
const names = { provider: 'deepseek', model: 'flash', name: undefined, targetIndex: 0, step: 0 }

// ---- what is told

function publishing({ isHeard = true } = {}) {
  const world = createWorld(0)
  const facts: HealthFact[] = []
  const events: HealthEvent[] = []
  const store: HealthStore = {
    publish: fact => void facts.push(fact),
    subscribe: () => () => {},
    lease: async () => true,
  }
  const at = { condition: closed }
  const publisher = createPublisher({ clock: world, fleet: { store, target: 'target', credential: 'key' } }, () => at.condition)
  publisher.listen({ emit: isHeard ? event => void events.push(event) : undefined }, names)
  const gate = (forMs: number) => {
    at.condition = { state: 'gated', reason: 'rate-limit', until: world.now() + forMs }
    publisher.blocked('rate-limit', world.now())
  }
  return { world, facts, events, publisher, at, gate, look: () => publisher.look(world.now()) }
}

test('a gate that moves by a second or more is told again, and has held since it was shut', () => {
  const { world, events, gate, look } = publishing()
  gate(10 * seconds)
  gate(10 * seconds + 999)
  expect(events).toHaveLength(1)
  world.pass(1 * seconds)
  gate(10 * seconds)
  expect(events).toMatchObject([{ untilMs: 10 * seconds }, { state: 'gated', untilMs: 10 * seconds, sinceMs: 1 * seconds }])
  expect(look().since).toBe(0)
})

test('the timer runs while a state has a known end and somebody listens', () => {
  const { world, at, gate, look } = publishing()
  gate(10 * seconds)
  expect(world.timers()).toBe(1)
  at.condition = { state: 'half-open', reason: 'rate-limit', until: Infinity }
  look()
  expect(world.timers()).toBe(0)
  const unheard = publishing({ isHeard: false })
  unheard.gate(10 * seconds)
  expect(unheard.world.timers()).toBe(0)
})

test('the timer does not keep the process alive', () => {
  let unrefs = 0
  const clock = { now: () => 0, setTimeout: () => ({ unref: () => (unrefs += 1) }), clearTimeout: () => {} }
  const publisher = createPublisher({ clock, fleet: undefined }, () => ({ state: 'gated', reason: 'quota', until: 9 }))
  publisher.listen({ emit: () => {} }, names)
  publisher.look(0)
  expect(unrefs).toBe(1)
})

test('a target is in doubt from its block to a success after it, or until its breaker closes', () => {
  const { world, publisher, at, gate, look } = publishing()
  gate(10 * seconds)
  publisher.succeeded(world.now())
  at.condition = closed
  expect(look(), 'a success during the block was of an earlier request').toMatchObject({
    state: 'half-open',
    reason: 'rate-limit',
  })
  publisher.succeeded(world.now())
  expect(look().state).toBe('closed')
  publisher.breakerChanged({ state: 'open', reason: 'timeout', until: 2 * seconds, now: world.now() })
  expect(look()).toMatchObject({ state: 'half-open', reason: 'timeout' })
  publisher.breakerChanged({ state: 'closed', reason: 'timeout', until: undefined, now: world.now() })
  expect(look().state).toBe('closed')
})

test('the fleet learns how long a breaker is open, and nothing of what is about this process alone', () => {
  const { facts, publisher } = publishing()
  const open = { state: 'open', reason: 'timeout', until: 2 * seconds, now: 0 } as const
  publisher.withoutPublishing(() => publisher.breakerChanged(open))
  expect(facts).toEqual([])
  const throws = () => {
    throw new Error('It fails.')
  }
  expect(() => publisher.withoutPublishing(throws)).toThrow('It fails.')
  publisher.breakerChanged(open)
  publisher.breakerChanged({ ...open, state: 'half-open', until: undefined })
  publisher.breakerChanged({ ...open, state: 'closed', until: undefined })
  expect(facts).toEqual([
    { key: 'target', kind: 'open', reason: 'timeout', forMs: 2 * seconds },
    { key: 'target', kind: 'closed', reason: 'timeout', forMs: 0 },
  ])
})

// ---- what is heard

function subscribed() {
  const world = createWorld(0)
  const learned: HealthFact[] = []
  const counts: number[] = []
  const subscriber = createSubscriber({ clock: world, emit: () => {}, onProcesses: count => void counts.push(count) })
  const hear = (fact: Partial<HealthFact>) =>
    subscriber.receive({ key: 'target', kind: 'gate', reason: 'rate-limit', forMs: 10 * seconds, ...fact })
  const attach = (name = 'target') => subscriber.attach(name, fact => void learned.push(fact))
  return { world, subscriber, learned, counts, hear, attach }
}

test.each<[string, Partial<HealthFact>, number, readonly number[]]>([
  ['a gate that holds', { kind: 'gate' }, 9_999, [1]],
  ['a gate that is over', { kind: 'gate' }, 10_000, []],
  ['an opening that was over less than half a minute ago', { kind: 'open' }, 39_999, [1]],
  ['an opening that was over half a minute ago', { kind: 'open' }, 40_000, []],
  ['a limit, which has no time', { kind: 'limit', limit: 5, forMs: 0 }, 3_600_000, [0]],
])('what was heard before a target is used is learned with the time that is left: %s', (_, fact, waitMs, forMs) => {
  const { world, learned, hear, attach } = subscribed()
  hear(fact)
  world.pass(waitMs)
  attach('another')
  expect(learned).toEqual([])
  attach()
  expect(learned.map(each => each.forMs)).toEqual(forMs)
})

test('what was heard last is learned last', () => {
  const { learned, hear, attach } = subscribed()
  for (const kind of ['open', 'closed', 'open'] as const) hear({ kind })
  attach()
  expect(learned.map(({ kind }) => kind)).toEqual(['closed', 'open'])
})

test('what was learned is not learned again when another target of the key is used', () => {
  const { learned, hear, attach } = subscribed()
  hear({ key: 'key', kind: 'refused' })
  attach('key')
  attach('key')
  expect(learned).toHaveLength(1)
})

test('a thousand facts are kept for targets that are not used yet', () => {
  const { learned, hear, attach } = subscribed()
  for (let target = 0; target <= 1_000; target += 1) hear({ key: `target ${target}` })
  attach('target 999')
  attach('target 1000')
  expect(learned.map(({ key }) => key)).toEqual(['target 999'])
})

test.each<[Partial<HealthFact>, boolean]>([
  [{ forMs: 0 }, true],
  [{ forMs: -1 }, false],
  [{ forMs: Number.NaN }, false],
  [{ kind: 'limit', limit: 1 }, true],
  [{ kind: 'limit', limit: 0.9 }, false],
])('only a credible fact is learned: %o: %s', (fact, isLearned) => {
  const { learned, hear, attach } = subscribed()
  attach()
  hear(fact)
  expect(learned).toHaveLength(isLearned ? 1 : 0)
})

test('only a whole number of processes, one or more, divides the limits', () => {
  const { subscriber, counts } = subscribed()
  for (const count of [0, 1, 1.5, Number.NaN, 3]) subscriber.receive({ kind: 'processes', count })
  expect(counts).toEqual([1, 3])
})

// ---- who probes

function probing() {
  const world = createWorld(0)
  const answers: ((granted: boolean) => void)[] = []
  const released: string[] = []
  let told = 0
  const store: HealthStore = {
    publish: () => {},
    subscribe: () => () => {},
    lease: async () => new Promise(resolve => answers.push(resolve)),
    release: async key => void released.push(key),
  }
  const probe = createFleetProbe({
    ...{ clock: world, store, key: 'target', leaseMs: 10 * seconds },
    mayProbe: () => true,
    onAnswer: () => (told += 1),
  })
  const answer = async (granted: boolean) => {
    answers.at(-1)?.(granted)
    await settled()
  }
  return { world, answers, released, probe, answer, told: () => told, blockedUntil: () => probe.blockedUntil(world.now()) }
}

test('who has the lease may probe until it ends, and then asks again', async () => {
  const { world, answers, answer, told, blockedUntil } = probing()
  expect([blockedUntil(), blockedUntil()]).toEqual([200, 200])
  expect(answers, 'asked once').toHaveLength(1)
  await answer(true)
  expect([blockedUntil(), told()]).toEqual([never, 1])
  world.pass(10 * seconds - 1)
  expect(blockedUntil()).toBe(never)
  world.pass(1)
  expect(blockedUntil()).toBe(10 * seconds + 200)
  expect(answers).toHaveLength(2)
})

test('who does not get it asks again after half of its time', async () => {
  const { world, probe, answers, answer, told, blockedUntil } = probing()
  blockedUntil()
  await answer(false)
  expect([blockedUntil(), told()]).toEqual([5 * seconds, 1])
  expect(probe.cause()).toEqual({
    reason: 'overloaded',
    message: 'Another process is finding out whether it works again.',
  })
  world.pass(5 * seconds)
  expect(blockedUntil()).toBe(5 * seconds + 200)
  expect(answers).toHaveLength(2)
})

test('a store that is silent for 200 ms is not waited for, and what it says later changes nothing', async () => {
  const { world, answer, told, blockedUntil } = probing()
  blockedUntil()
  world.pass(199)
  expect(blockedUntil()).toBe(200)
  world.pass(1)
  expect(blockedUntil()).toBe(never)
  await answer(false)
  expect([blockedUntil(), told()]).toEqual([never, 0])
  world.pass(10 * seconds - 1)
  expect(blockedUntil()).toBe(never)
  world.pass(1)
  expect(blockedUntil()).toBe(world.now() + 200)
})

test.each([
  ['rejects', async () => Promise.reject(new Error('gone'))],
  [
    'throws',
    () => {
      throw new Error('gone')
    },
  ],
])('a store that %s grants the lease at once', async (_, lease) => {
  const world = createWorld(0)
  const store: HealthStore = { publish: () => {}, subscribe: () => () => {}, lease }
  const probe = createFleetProbe({
    ...{ clock: world, store, key: 'target', leaseMs: 10 },
    mayProbe: () => true,
    onAnswer: () => {},
  })
  expect(probe.blockedUntil(0)).toBe(200)
  await settled()
  expect(probe.blockedUntil(0)).toBe(never)
})

test('a lease is given up once, by who holds it, and not asked for again before half of its time', async () => {
  const { world, probe, released, answer, blockedUntil } = probing()
  probe.giveUp(world.now())
  expect([released, blockedUntil()], 'nobody held it').toEqual([[], 200])
  await answer(true)
  world.pass(1 * seconds)
  probe.giveUp(world.now())
  probe.giveUp(world.now())
  expect(released).toEqual(['target'])
  expect(blockedUntil()).toBe(6 * seconds)
  world.pass(5 * seconds)
  blockedUntil()
  await answer(true)
  world.pass(10 * seconds)
  probe.giveUp(world.now())
  expect(released, 'it has ended by itself').toHaveLength(1)
})
