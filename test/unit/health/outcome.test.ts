import { expect, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import { fleet } from '../../helpers/fleet-health.ts'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000
const minutes = 60_000

// ---- what an answer says

test('an answer without content is a success too, at its end', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  for (let probe = 0; probe < 3; probe += 1) enter(target(), 'probe').end('answered')
  expect(target().check().state).toBe('available')
})

test('answers that end well count against those that break off', () => {
  const { target } = healthIn(createWorld())
  const answerThat = (breaksOff: boolean) => {
    const permit = enter(target())
    permit.firstChunk(100)
    permit.end(breaksOff ? { failure: failureOf('truncated'), charged: 'target' } : 'answered')
  }
  for (const breaksOff of [true, false, true, false, true]) answerThat(breaksOff)
  expect(target().check().state).toBe('available')
  for (const breaksOff of [true, true]) answerThat(breaksOff)
  expect(target().check().state).toBe('blocked')
})

test('an answer shows that its key is good when it begins, not when it ends', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  const long = enter(target())
  long.firstChunk(500)
  world.pass(2 * minutes)
  long.end('answered')
  fail(target(), failureOf('authentication', { status: 401 }), 'key')
  expect(target().check()).toMatchObject({ until: world.now() + 5 * minutes })
})

test('an answer ends the series of refusals that named no time', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  const refusedFor = () => {
    fail(target(), failureOf('rate-limit', { status: 429, atMostMs: 60 * seconds }), 'gate')
    const before = world.now()
    while (target().check().state === 'blocked') world.pass(100)
    return world.now() - before
  }
  const waits = [refusedFor(), refusedFor()]
  answer(target())
  waits.push(refusedFor())
  expect(waits).toEqual([500, 1_000, 500])
})

test('a waiter that has less time left than an answer takes is passed over', () => {
  const { target, world } = healthIn(createWorld())
  const first = enter(target())
  world.pass(5 * seconds)
  first.end('answered')
  fail(target(), failureOf('rate-limit', { retryAfterMs: 10 * seconds }), 'gate')
  const woken: string[] = []
  target().onOpening(() => woken.push('in a hurry'), world.now() + 14 * seconds)
  target().onOpening(() => woken.push('patient'), world.now() + 60 * seconds)
  world.pass(60 * seconds)
  expect(woken).toEqual(['patient'])
})

test('a waiter is woken by the first content that shows that there is room, not by the end of an answer', () => {
  const { target, world } = healthIn(createWorld())
  const [refused, ...running] = Array.from({ length: 10 }, () => enter(target()))
  refused?.end({ failure: failureOf('rate-limit', { status: 429, retryAfterMs: 0 }), charged: 'gate' })
  world.pass(1 * seconds)
  let woken = 0
  target().onOpening(() => (woken += 1))
  const contentsUntilWoken = running.findIndex(permit => (permit.firstChunk(500), woken > 0)) + 1
  // nine run, seven may: three first contents later, ten may
  expect(contentsUntilWoken).toBe(3)
})

test('when all requests of a full target are late, a waiter probes it after its rest, though none of them has ended', () => {
  const { target, world } = healthIn(createWorld())
  const running = [enter(target()), enter(target()), enter(target())]
  enter(target()).end({ failure: failureOf('rate-limit', { concurrencyLimit: 3, retryAfterMs: 0 }), charged: 'request' })
  let wokenAt = 0
  target().onOpening(() => (wokenAt = world.now()))
  const before = world.now()
  for (const permit of running) permit.late()
  world.pass(10 * seconds)
  expect(wokenAt - before).toBe(2 * seconds)
})

test('the success of a key wakes those who wait for its other targets', () => {
  const { target, world } = healthIn(createWorld())
  const pro = target({ model: 'pro', index: 1 })
  fail(target(), failureOf('quota', { status: 402 }), 'key')
  world.pass(6 * minutes)
  const trial = enter(target(), 'probe')
  let woken = 0
  pro.onOpening(() => (woken += 1))
  trial.firstChunk(500)
  world.pass(1 * seconds)
  expect(woken).toBe(1)
})

// ---- what a failure says

test('during a long time, a look that fails otherwise is the only one for fifteen minutes', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  fail(target(), failureOf('rate-limit', { retryAfterMs: 1_440 * minutes }), 'gate')
  world.pass(15 * minutes)
  enter(target(), 'probe').end({ failure: failureOf('server-error'), charged: 'target' })
  expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 15 * minutes })
})

test('a probe whose failure says nothing about the target lets the next one in after half of the usual rest (R104)', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  enter(target(), 'probe').end({ failure: failureOf('content-filter', { status: 400 }), charged: 'nobody' })
  expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + 1 * seconds })
})

test('a probe that found no free handle on this machine lets the next one in at once', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  world.pass(2 * seconds)
  enter(target(), 'probe').end({ failure: failureOf('network'), charged: 'nobody' })
  expect(target().check().state).toBe('half-open')
})

test('what fails while our own network is down opens no breaker', () => {
  const { target, world } = healthIn(createWorld())
  const both = [target(), target({ name: 'openai', index: 1 })]
  const permits = both.flatMap(each => Array.from({ length: 5 }, () => enter(each)))
  permits[0]?.end({ failure: failureOf('network'), charged: 'target' })
  for (const permit of permits.slice(5)) permit.end({ failure: failureOf('network'), charged: 'target' })
  world.pass(1 * seconds)
  answer(both[0]!)
  expect(both.map(each => each.check().state)).toEqual(['available', 'available'])
})

test('what is the fault of this machine alone makes no network suspect', () => {
  const { target, events } = healthIn(createWorld())
  for (const index of [0, 1]) fail(target({ name: `host${index}`, index }), failureOf('network'), 'nobody')
  expect(events).toEqual([])
})

test('a service that answers, with whatever status, can be reached: its earlier failure is no sign against the network', () => {
  const { target, events } = healthIn(createWorld())
  fail(target(), failureOf('network'))
  fail(target(), failureOf('invalid-request', { status: 400 }), 'request')
  fail(target({ name: 'openai', index: 1 }), failureOf('network'))
  expect(events).toEqual([])
})

test('a service that cannot be reached for a minute is no sign against the network when another one fails', () => {
  const { target, world, events } = healthIn(createWorld())
  for (const _ of [1, 2]) {
    fail(target(), failureOf('network'))
    world.pass(30 * seconds)
  }
  fail(target(), failureOf('network'))
  fail(target({ name: 'openai', index: 1 }), failureOf('network'))
  expect(events.filter(({ type }) => type === 'local-network-suspected')).toEqual([])
})

test.each([
  ['nineteen answers are too few to know the usual time, so four seconds must have passed', 19, 100, [3_999, 4_000]],
  ['twenty answers tell the usual time, which is two seconds at least', 20, 100, [1_999, 2_000]],
  ['a target that usually takes three seconds', 20, 3_000, [2_999, 3_000]],
] as const)(
  'a deadline of the caller counts against a silent target from its usual time on: %s',
  (_, answers, usualMs, waits) => {
    const states = waits.map(waitMs => {
      const { target, world } = healthIn(createWorld())
      for (let call = 0; call < answers; call += 1) answer(target(), usualMs)
      world.pass(2 * minutes)
      const permits = [enter(target()), enter(target()), enter(target())]
      world.pass(waitMs)
      for (const permit of permits)
        permit.end({ failure: failureOf('timeout', { clock: waitMs % 2 === 0 ? 'total' : 'firstContent' }), charged: 'target' })
      return target().check().state
    })
    expect(states).toEqual(['available', 'blocked'])
  },
)

test('a refused key is refused for all its models, also where one of them has just answered', () => {
  const { target } = healthIn(createWorld())
  const [flash, pro] = [target(), target({ model: 'pro', index: 1 })]
  answer(flash)
  fail(pro, failureOf('authentication', { status: 401 }), 'key')
  expect([flash, pro].map(each => each.check().state)).toEqual(['blocked', 'blocked'])
})

test.each([
  [60 * seconds, 3 * seconds],
  [60 * seconds + 1, 5 * minutes],
])('F35: a model that answered %i ms ago and is not found is tried again after %i ms', (agoMs, blockedMs) => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  answer(target())
  world.pass(agoMs)
  fail(target(), failureOf('not-found', { status: 404 }), 'model')
  expect(target().check()).toMatchObject({ state: 'blocked', until: world.now() + blockedMs })
})

// ---- what the fleet learns

test('the fleet learns for how long a model or a key is refused, and that the key works again, once', () => {
  const { members, store, world } = fleet('a')
  const { target } = members[0]!
  fail(target(), failureOf('not-found', { status: 404 }), 'model')
  fail(target({ model: 'pro', index: 1 }), failureOf('quota', { status: 402 }), 'key')
  world.pass(6 * minutes)
  answer(target({ model: 'pro', index: 1 }))
  const blockedMs = 5 * minutes * 1.05
  expect(store.facts.map(({ kind, forMs }) => [kind, forMs])).toEqual([
    ['refused', blockedMs],
    ['refused', blockedMs],
    ['closed', 0],
  ])
})

test('the fleet learns that a long time is over, and nothing else of the target that answered', async () => {
  const { members, store, world } = fleet('a')
  const { target } = members[0]!
  fail(target(), failureOf('rate-limit', { retryAfterMs: 60 * minutes }), 'gate')
  world.pass(20 * minutes)
  target().check()
  await Promise.resolve()
  await Promise.resolve()
  answer(target())
  expect(store.facts.map(({ kind, forMs }) => [kind, forMs])).toEqual([
    ['gate', 63 * minutes],
    ['gate', 0],
  ])
})

test('a server that speaks of its own lookups is news for the fleet: only a request that was not sent is not', () => {
  const { members, store } = fleet('a')
  const cause = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  const failure = new ProviderError('Bad gateway.', { reason: 'server-error', cause })
  for (let call = 0; call < 3; call += 1) fail(members[0]!.target(), failure)
  expect(store.facts).toMatchObject([{ kind: 'open' }])
})
