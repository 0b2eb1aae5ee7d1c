import { expect, test } from 'vitest'
import type { Identity, Provider } from '../../../src/contract.ts'
import type { HealthEvent } from '../../../src/health/fleet.ts'
import { createMemory, type HealthTarget, type MemoryClient } from '../../../src/health/memory.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import { createStore } from '../../helpers/fleet-health.ts'
import { createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000

function clientOf(world = createWorld(), settings: MemoryClient['settings'] = loadFirst) {
  const events: HealthEvent[] = []
  const client: MemoryClient = { clock: world, random: () => 0.5, settings, emit: event => void events.push(event) }
  return { client, events, world }
}

function targetOf(
  more: Partial<HealthTarget> = {},
  provider: Partial<Provider> = {},
  identity: Partial<Identity> = {},
): HealthTarget {
  const named = { origin: 'https://deepseek.example', credential: 'k', ...identity }
  return {
    provider: { name: 'deepseek', identity: named, stream: async () => {}, ...provider },
    model: 'flash',
    index: 0,
    ...more,
  }
}

// ---- who shares what

test('two paths of one origin are two targets with one key', () => {
  const { client } = clientOf()
  const memory = createMemory(client, undefined)
  const [v1, v2, none] = ['/v1', '/v2', undefined].map(path => memory.track(client, targetOf({}, {}, { path })))
  open(v1!)
  expect([v1, v2, none].map(each => each?.check().state)).toEqual(['blocked', 'available', 'available'])
  fail(v2!, failureOf('authentication', { status: 401 }), 'key')
  expect(none?.check().state).toBe('blocked')
})

test('in a fleet, a server of this machine is not that of another machine', () => {
  const world = createWorld()
  const store = createStore(world)
  const { client } = clientOf(world)
  const memory = createMemory(client, store.storeOf('a'))
  for (const origin of ['http://localhost:8000', 'https://deepseek.example'])
    open(memory.track(client, targetOf({}, {}, { origin })))
  const [local, remote] = store.facts.map(({ key }) => JSON.parse(key) as string[])
  expect(local?.[0]).not.toBe('http://localhost:8000')
  expect(remote?.[0]).toBe('https://deepseek.example')
})

test.each([{ concurrency: 1 }, { requestsPerMinute: 1 }, { tokensPerMinute: 1 }])(
  'two targets of one identity have the same limits, or none: %o',
  limits => {
    const { client } = clientOf()
    const memory = createMemory(client, undefined)
    memory.track(client, targetOf())
    expect(() => memory.track(client, targetOf({ index: 3, limits }))).toThrow('chain[0] (deepseek flash) has other limits')
    expect(() => memory.track(client, targetOf({ index: 3, limits: {} }))).not.toThrow()
  },
)

test('a target at two places of a chain is named by the first', () => {
  const { client, events } = clientOf()
  const memory = createMemory(client, undefined)
  memory.track(client, targetOf({ index: 1 }))
  open(memory.track(client, targetOf({ index: 4 })))
  expect(events).toMatchObject([{ state: 'open', targetIndex: 1 }])
})

// ---- clients that come and go

test('every client that joined is told until it leaves, and the last one clears the timers', () => {
  const first = clientOf()
  const second = clientOf(first.world)
  const memory = createMemory(first.client, undefined)
  memory.join(second.client)
  const target = memory.track(first.client, targetOf())
  memory.track(second.client, targetOf({ index: 2 }))
  open(target)
  expect([first.events, second.events]).toMatchObject([[{ targetIndex: 0 }], [{ targetIndex: 2 }]])
  expect(memory.leave(first.client)).toBe(false)
  first.world.pass(2 * seconds)
  expect([first.events.length, second.events.length]).toEqual([1, 2])
  expect(memory.leave(second.client)).toBe(true)
  expect(first.world.timers()).toBe(0)
})

// ---- our own network

test('when our own network is suspected, only what the services that cannot be reached have failed is forgiven', () => {
  const { target } = healthIn(createWorld())
  const third = target({ name: 'third', index: 2 })
  for (let call = 0; call < 2; call += 1) fail(third, failureOf('server-error'))
  for (const index of [0, 1]) fail(target({ name: `host${index}`, index }), failureOf('network'))
  fail(third, failureOf('server-error'))
  expect(third.check()).toMatchObject({ state: 'blocked', reason: 'server-error' })
})

test('when one service is reached again, those who wait for the others go at once', () => {
  const { target, world } = healthIn(createWorld())
  const both = [0, 1].map(index => target({ name: `host${index}`, index }))
  for (const each of both) fail(each, failureOf('network'))
  world.pass(1 * seconds)
  const probe = enter(both[0]!, 'probe')
  let woken = 0
  both[1]!.onOpening(() => (woken += 1))
  world.pass(1 * seconds)
  expect(woken).toBe(0)
  probe.firstChunk(1 * seconds)
  world.pass(100)
  expect(woken).toBe(1)
})

// ---- models that think in silence

test.each([
  ['thinks in silence', true, 65 * seconds],
  ['shows its thoughts', false, 10 * seconds],
  ['says nothing about it', undefined, 10 * seconds],
])('F9: the probe of a model that %s keeps others away for its time', (_, hidesReasoning, leaseMs) => {
  const { client, world } = clientOf()
  const memory = createMemory(client, undefined)
  const capabilities = hidesReasoning === undefined ? undefined : { hidesReasoning }
  const target = memory.track(client, targetOf({}, { capabilities }))
  open(target)
  world.pass(2 * seconds)
  enter(target, 'probe')
  expect(target.check()).toMatchObject({ state: 'blocked', until: world.now() + leaseMs })
})

test('a breaker that is off stays off for a model that thinks in silence, whatever other processes say', () => {
  const { client } = clientOf(createWorld(), { ...loadFirst, breaker: false })
  const target = createMemory(client, undefined).track(client, targetOf({}, { capabilities: { hidesReasoning: true } }))
  open(target)
  target.learn({ key: 'target', kind: 'open', reason: 'server-error', forMs: 60 * seconds })
  expect(target.check().state).toBe('available')
})
