import { expect, test } from 'vitest'
import { answer, createWorld, enter, fail, failureOf, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000
const minutes = 60_000
/** A minute of limits, with both of its ends. */
const minute = 60_001

/** A call of exactly this many tokens. */
const sized = (maxOutputTokens: number) => ({ messages: [], maxOutputTokens })

// ---- what a call is told

test('a call that is larger than a limit waits in vain, and a smaller one does not', () => {
  const { target } = healthIn(createWorld())
  const limited = target({ limits: { tokensPerMinute: 1_000 } })
  enter(limited).end('answered')
  limited.enter('call', sized(900))
  expect(limited.check(sized(100))).toEqual({ state: 'available' })
  expect(limited.check(sized(200))).not.toHaveProperty('isInVain')
  expect(limited.check(sized(1_001))).toMatchObject({ state: 'blocked', isInVain: true })
  limited.enter('call', sized(100))
  expect(limited.check(), 'of any size').toMatchObject({ state: 'blocked' })
  expect(limited.check()).not.toHaveProperty('isInVain')
  expect(limited.refuse(sized(1_001))).toMatchObject({ reason: 'rate-limit' })
  expect(target({ index: 1, name: 'openai' }).refuse(sized(1e9)), 'it has no limits').toBeUndefined()
})

test('a target that may be probed is worth asking, however many wait for it', () => {
  const { target, world } = healthIn(createWorld())
  open(target())
  for (let waiting = 0; waiting < 10_001; waiting += 1) target().onOpening(() => {})
  expect(target().check()).toHaveProperty('isInVain')
  world.pass(2 * seconds - 1)
  expect(target().check().state).toBe('blocked')
  const { target: other, world: later } = healthIn(createWorld())
  open(other())
  later.pass(2 * seconds)
  for (let waiting = 0; waiting < 10_001; waiting += 1) other().onOpening(() => {})
  expect(other().check()).toEqual({ state: 'half-open' })
})

test('a target that was blocked and has not answered since is unsure; calls find out, but not where a probe does', () => {
  const { target, world } = healthIn(createWorld())
  expect(target().isUnsure()).toBe(false)
  fail(target(), failureOf('rate-limit', { retryAfterMs: 10 * seconds }), 'gate')
  expect(target().isUnsure(), 'it is blocked').toBe(false)
  world.pass(11 * seconds)
  expect(target().isUnsure()).toBe(true)
  answer(target())
  expect(target().isUnsure()).toBe(false)
  open(target())
  world.pass(3 * seconds)
  expect(target().check().state).toBe('half-open')
  expect(target().isUnsure(), 'one request at a time probes it').toBe(false)
})

test('a hedge goes to a target that is ready, and to no other', () => {
  const { target, world } = healthIn(createWorld())
  expect(target().enter('hedge')).toBeDefined()
  open(target())
  world.pass(3 * seconds)
  expect(target().enter('hedge')).toBeUndefined()
  expect(target().enter('call')).toBeDefined()
})

// ---- the last target

test('a target that is ready lets any number in as a last resort', () => {
  const { target } = healthIn(createWorld())
  expect([target().enterAsLastResort(), target().enterAsLastResort()]).not.toContain(undefined)
})

test('a last resort passes neither a limit that was learned nor one that was configured, but an open breaker', () => {
  const { target } = healthIn(createWorld())
  const [learned, configured] = [target(), target({ name: 'openai', index: 1, limits: { concurrency: 4 } })]
  const [first] = [1, 2, 3].map(() => enter(learned))
  first?.end({ failure: failureOf('rate-limit', { concurrencyLimit: 2 }), charged: 'request' })
  expect(learned.check()).toMatchObject({ state: 'blocked', until: Infinity })
  expect(learned.enterAsLastResort()).toBeUndefined()
  open(configured)
  expect(configured.enterAsLastResort()).toBeDefined()
})

test('a last resort does not pass a configured limit that is used up', () => {
  const { target } = healthIn(createWorld())
  const limited = target({ limits: { requestsPerMinute: 3 } })
  open(limited)
  expect(limited.enterAsLastResort()).toBeUndefined()
})

test('a last resort may go at the very time that the server named, though our own guess lasts longer', () => {
  const { target, world } = healthIn(createWorld(), { random: () => 0 })
  const early = enter(target())
  open(target())
  world.pass(500)
  early.end({ failure: failureOf('rate-limit', { retryAfterMs: 1 * seconds }), charged: 'gate' })
  world.pass(1 * seconds - 1)
  expect(target().enterAsLastResort()).toBeUndefined()
  world.pass(1)
  expect(target().check().state).toBe('blocked')
  expect(target().enterAsLastResort()).toBeDefined()
})

// ---- who waits

test('a place under a configured limit wakes one waiter', () => {
  const { target } = healthIn(createWorld())
  const limited = target({ limits: { concurrency: 1 } })
  const running = enter(limited)
  let woken = 0
  for (let waiter = 0; waiter < 3; waiter += 1) limited.onOpening(() => (woken += 1))
  running.usage?.finished(false)
  running.end('answered')
  expect(woken).toBe(1)
})

test('each place that gets free wakes the next waiter at once, if the one before has entered', () => {
  const { target } = healthIn(createWorld())
  const limited = target({ limits: { concurrency: 2 } })
  const running = [enter(limited), enter(limited)]
  let entered = 0
  for (let waiter = 0; waiter < 3; waiter += 1) limited.onOpening(() => (entered += limited.enter('call') === undefined ? 0 : 1))
  for (const permit of running) permit.usage?.finished(false)
  expect(entered).toBe(2)
})

test('when the tokens of a minute are free, all who fit into them start at once', () => {
  const { target, world } = healthIn(createWorld())
  const limited = target({ limits: { tokensPerMinute: 1_000 } })
  limited.enter('call', sized(900))
  const startedAt: number[] = []
  for (let waiter = 0; waiter < 4; waiter += 1) {
    const start = () => limited.enter('call', sized(300)) !== undefined && startedAt.push(world.now())
    limited.onOpening(start, Infinity, sized(300))
  }
  const before = world.now()
  world.pass(minute)
  expect(startedAt.map(at => at - before)).toEqual([minute, minute, minute])
})

test('who waits for a limit is woken at its time, who waits for a gate a little later', () => {
  const { target, world } = healthIn(createWorld())
  const limited = target({ limits: { requestsPerMinute: 1 } })
  const started = world.now()
  enter(limited).end('answered')
  let wokenAt = 0
  limited.onOpening(() => (wokenAt = world.now()))
  world.pass(2 * minutes)
  expect(wokenAt - started).toBe(minute)
  const failedAt = world.now()
  fail(limited, failureOf('rate-limit', { retryAfterMs: 2 * minutes }), 'gate')
  limited.onOpening(() => (wokenAt = world.now()))
  world.pass(3 * minutes)
  // with jitter, and spread over a part of 50 ms
  expect(wokenAt - failedAt).toBe(2.1 * minutes + 25)
})

test('when a fault turns out to be of our own network, those who wait try after its pause, not after the rest of the breaker', () => {
  const { target, world } = healthIn(createWorld())
  const calls = [1, 2, 3].map(() => enter(target()))
  for (const call of calls) call.end({ failure: failureOf('network'), charged: 'target' })
  let wokenAt = 0
  const before = world.now()
  target().onOpening(() => (wokenAt = world.now()))
  fail(target({ name: 'openai', index: 1 }), failureOf('network'))
  world.pass(10 * seconds)
  expect(wokenAt - before).toBe(1 * seconds)
})

/** How long it takes until the last of a hundred calls is woken that waited a minute. */
function wakingMs(before: (all: ReturnType<typeof healthIn>) => void): number {
  const all = healthIn(createWorld())
  before(all)
  const { target, world } = all
  fail(target(), failureOf('rate-limit', { retryAfterMs: 60 * seconds }), 'gate')
  const { until } = target().check() as { readonly until: number }
  let lastAt = 0
  for (let waiter = 0; waiter < 100; waiter += 1) target().onOpening(() => (lastAt = world.now()))
  world.pass(5 * minutes)
  return lastAt - until
}

test('where many calls came before, waiters are woken faster; probes do not count as calls', () => {
  const usually = wakingMs(() => {})
  const calls = wakingMs(({ target }) => {
    for (let call = 0; call < 1_000; call += 1) enter(target()).end('abandoned')
  })
  const probes = wakingMs(({ target, world }) => {
    open(target())
    world.pass(2 * seconds)
    for (let probe = 0; probe < 1_000; probe += 1) enter(target(), 'probe').end('abandoned')
    for (let probe = 0; probe < 3; probe += 1) answer(target())
  })
  expect(calls).toBeLessThan(usually / 2)
  expect(probes).toBeCloseTo(usually, -2)
})
