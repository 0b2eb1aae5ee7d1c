import {
  type Client,
  type ClientOptions,
  createClient,
  type HealthStore,
  sharedHealth,
  type StoreMessage,
  type Target,
} from 'unbusy'
import { fakeTarget, type FakeTargetOptions } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

const identity = { origin: 'https://api.example', credential: 'digest' }
const slow = { text: 'Hello.', firstChunkAfterMs: 1_000 }
const outcome = async (call: Promise<unknown>) => call.catch((error: unknown) => error)

test('three clients of one shared health have one limit, one line and one order', async ({ clock }) => {
  const health = sharedHealth()
  const targets: Target[] = []
  let active = 0
  let most = 0
  const clients = [1, 2, 3].map(() => {
    const target = fakeTarget(slow, { clock, identity, limits: { concurrency: 3 } })
    const { stream } = target.provider
    const provider = {
      ...target.provider,
      async stream(...given: Parameters<typeof stream>) {
        most = Math.max(most, ++active)
        await stream(...given).finally(() => (active -= 1))
      },
    }
    targets.push({ ...target, provider })
    return createClient({ chain: [{ ...target, provider }], clock, health })
  })
  const order: number[] = []
  const calls = Array.from({ length: 12 }, async (_, number) => {
    await clients[number % 3]!.generate('Hi')
    order.push(number)
  })
  await clock.advance(0)
  for (const client of clients) expect(client.health()).toMatchObject([{ inFlight: 3, limit: 3, waiting: 9 }])
  await clock.until(Promise.all(calls))
  expect(most).toBe(3)
  expect(order).toEqual(Array.from({ length: 12 }, (_, number) => number))
  for (const client of clients) await client.close()
})

test('the same target object in three clients is one target, and strangers without identity share nothing', async ({ clock }) => {
  const health = sharedHealth()
  const shared = fakeTarget(slow, { clock, limits: { concurrency: 3 } })
  const clients = [1, 2, 3].map(() => createClient({ chain: [shared], clock, health }))
  const calls = Array.from({ length: 9 }, (_, number) => clients[number % 3]!.generate('Hi'))
  await clock.advance(500)
  expect(shared.provider.active()).toBe(3)
  await clock.until(Promise.all(calls))

  const strangers = [1, 2].map(() => fakeTarget({ error: 'server-error' }, { clock, retry: 0 }))
  const [one, other] = strangers.map(target => createClient({ chain: [target], clock, health, retry: { rounds: 1 } })) as [
    Client,
    Client,
  ]
  for (let call = 0; call < 3; call += 1) await clock.until(outcome(one.generate('Hi')))
  expect(one.health()[0]?.state).toBe('open')
  expect(other.health()[0]?.state).toBe('closed')
})

test('a gate, a refused key, a breaker and the retry budget that one client met hold for the other', async ({ clock }) => {
  const health = sharedHealth()
  const chainOf = (error: 'rate-limit' | 'authentication' | 'server-error', place: string) => ({
    chain: [
      fakeTarget(
        { error, retryAfterMs: error === 'rate-limit' ? 30_000 : undefined },
        { clock, retry: 0, identity: { ...identity, origin: place } },
      ),
      fakeTarget('Second.', { clock, name: 'second' }),
    ],
    ...{ clock, health },
  })
  for (const [error, state] of [
    ['rate-limit', 'gated'],
    ['authentication', 'gated'],
    ['server-error', 'open'],
  ] as const) {
    const one = createClient(chainOf(error, `https://${error}.example`))
    const other = createClient(chainOf(error, `https://${error}.example`))
    for (let call = 0; call < 3; call += 1) await clock.until(one.generate('Hi'))
    expect(other.health()[0]).toMatchObject({ state, reason: error })
    const { attempts } = await clock.until(other.generate('Hi'))
    expect(attempts[0]).toMatchObject({ outcome: 'skipped', reason: error })
  }
  const busy = () => fakeTarget({ error: 'overloaded' }, { clock, identity, retry: { maxRetries: 2, rounds: 1, baseDelayMs: 1 } })
  const [one, other] = [1, 2].map(() => createClient({ chain: [busy()], clock, health, breaker: {} })) as [Client, Client]
  await clock.until(outcome(one.generate('Hi')))
  expect(other.health()[0]?.retriesLeft).toBe(one.health()[0]?.retriesLeft)
  expect(other.health()[0]?.retriesLeft).toBeLessThan(5)
})

test('each client hears of a change under its own names', async ({ clock }) => {
  const health = sharedHealth()
  const down = () => fakeTarget({ error: 'rate-limit', retryAfterMs: 5_000 }, { clock, identity, retry: 0 })
  const heard: unknown[] = []
  const clientOf = (chain: Target[], as: string) =>
    createClient({
      chain,
      ...{ clock, health },
      onEvent(event) {
        if (event.type === 'health-change') heard.push([as, event.name, event.targetIndex, event.state])
      },
    })
  const one = clientOf([{ ...down(), name: 'mine' }, fakeTarget('Second.', { clock })], 'one')
  const other = clientOf([fakeTarget('First.', { clock }), { ...down(), name: 'yours' }], 'other')
  await clock.until(one.generate('Hi'))
  expect(heard).toEqual([
    ['one', 'mine', 0, 'gated'],
    ['other', 'yours', 1, 'gated'],
  ])
  heard.length = 0
  await other.close()
  await clock.advance(10_000)
  expect(heard.map(entry => (entry as string[])[0])).toEqual(['one'])
})

test('a close leaves the calls of others alone, and the last one clears the memory', async ({ clock }) => {
  const health = sharedHealth()
  const make = (options: FakeTargetOptions = {}) =>
    createClient({ chain: [fakeTarget(slow, { clock, identity, limits: { concurrency: 1 }, ...options })], clock, health })
  const [one, other] = [make(), make()]
  const mine = outcome(one.generate('Hi'))
  const [waitsHere, waitsThere] = [outcome(one.generate('Hi')), outcome(other.generate('Hi'))]
  await clock.advance(100)
  expect(other.health()[0]).toMatchObject({ inFlight: 1, waiting: 2 })
  await one.close()
  expect(await clock.until(Promise.all([mine, waitsHere]))).toMatchObject([
    { message: 'This client is closed and takes no more calls.' },
    { message: 'This client is closed and takes no more calls.' },
  ])
  expect(await clock.until(waitsThere)).toMatchObject({ text: 'Hello.' })
  await other.close()
  await other.close()
  const fresh = make({ limits: { concurrency: 2 } })
  expect(fresh.health()[0]).toMatchObject({ limit: 2, firstChunkMs: undefined })
  await fresh.close()
  expect(await clock.advanceToNext(), 'no timer is left').toBe(false)
})

test('with a store one subscription serves all clients, and ends with the last', async ({ clock }) => {
  const listeners = new Set<(message: StoreMessage) => void>()
  const store: HealthStore = {
    publish() {},
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    lease: async () => true,
  }
  const health = sharedHealth({ store })
  const make = () =>
    createClient({
      chain: [fakeTarget(slow, { clock, identity, limits: { concurrency: 4, requestsPerMinute: 3, tokensPerMinute: 9 } })],
      clock,
      health,
    })
  const [one, other] = [make(), make()]
  expect(listeners.size).toBe(1)
  for (const listener of listeners) listener({ kind: 'processes', count: 2 })
  const shares = { concurrency: { limit: 2 }, requestsPerMinute: { limit: 1 }, tokensPerMinute: { limit: 4 } }
  expect(one.health()[0]?.limits).toMatchObject(shares)
  expect(other.health()[0]?.limits).toMatchObject(shares)
  for (const listener of listeners) listener({ kind: 'lost', message: 'gone' })
  expect(one.health()[0]?.limits, 'the last division holds').toMatchObject(shares)
  const later = createClient({
    chain: [fakeTarget(slow, { clock, identity: { ...identity, origin: 'b' }, limits: { concurrency: 4 } })],
    clock,
    health,
  })
  expect(later.health()[0]).toMatchObject({ limit: 2 })
  for (const count of [0, 1.5, Number.NaN]) for (const listener of listeners) listener({ kind: 'processes', count })
  expect(one.health()[0]?.limits, 'nonsense is no count').toMatchObject(shares)
  for (const client of [one, other, later]) await client.close()
  expect(listeners.size).toBe(0)
})

test('a target that is this machine alone is not divided', async ({ clock }) => {
  let tell = (_message: StoreMessage) => {}
  const store: HealthStore = {
    publish() {},
    subscribe(listener) {
      tell = listener
      return () => {}
    },
    lease: async () => true,
  }
  const own = { ...identity, inFleet: false }
  const client = createClient({
    chain: [fakeTarget(slow, { clock, identity: own, limits: { concurrency: 4 } })],
    clock,
    health: store,
  })
  tell({ kind: 'processes', count: 2 })
  expect(client.health()[0]?.limit).toBe(4)
})

describe('what cannot be shared is a TypeError', () => {
  test('another breaker or profile', async ({ clock }) => {
    const health = sharedHealth()
    const make = (options: Partial<ClientOptions>) =>
      createClient({ chain: [fakeTarget('Hi', { clock, identity })], clock, health, ...options })
    const first = make({})
    for (const options of [{ breaker: { openMs: 1 } }, { breaker: false }, { profile: 'costFirst' }] as const) {
      expect(() => make(options)).toThrow(/^createClient: another client of this sharedHealth\(\) has other settings/)
    }
    make({ breaker: { openMs: 2_000 }, profile: 'loadFirst' })
    await first.close()
  })

  test('another clock, or other limits, and what failed leaves nothing behind', async ({ clock }) => {
    const health = sharedHealth()
    const make = (concurrency: number) =>
      createClient({ chain: [fakeTarget('Hi', { clock, identity, limits: { concurrency } })], clock, health })
    const first = make(1)
    expect(() => make(2)).toThrow(/Give both the same limits/)
    expect(() => createClient({ chain: [fakeTarget('Hi', { identity, limits: { concurrency: 1 } })], health })).toThrow(
      /same clock/,
    )
    await first.close()
    const second = make(2)
    expect(second.health()[0]?.limit).toBe(2)
  })

  test.for([
    [() => sharedHealth(5 as never), /options must be an object/],
    [() => sharedHealth({ redis: 1 } as never), /there is no option 'redis'/],
    [() => sharedHealth({ store: {} } as never), /store must be a store/],
    [
      () => sharedHealth({ publish() {}, subscribe: () => () => {}, lease: async () => true } as never),
      /Write sharedHealth\(\{ store \}\)/,
    ],
    [() => createClient({ chain: [fakeTarget('Hi')], health: sharedHealth as never }), /Call it: sharedHealth\(\)/],
    [() => createClient({ chain: [fakeTarget('Hi')], health: {} as never }), /must be sharedHealth\(\), or a store/],
  ] as const)('%s', ([make, message]) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
