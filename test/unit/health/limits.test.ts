import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TargetLimits } from '../../../src/contract-targets.ts'
import { createLimits, type Usage } from '../../../src/health/limits.ts'
import { createWorld } from '../../helpers/health-world.ts'

const seconds = 1_000
/** Both ends of a minute count. */
const minute = 60_001
const never = Number.NEGATIVE_INFINITY

function limitsIn(limits: TargetLimits) {
  const world = createWorld(0)
  let freed = 0
  const made = createLimits(limits, { clock: world, onFree: () => (freed += 1) })
  return {
    ...made,
    world,
    freed: () => freed,
    now: world.now,
    start: (tokens?: number) => made.start(world.now(), tokens === undefined ? undefined : sized(tokens)),
    blockedUntil: (tokens?: number) => made.blockedUntil(world.now(), tokens === undefined ? undefined : sized(tokens)),
    look: () => made.look(world.now()),
    room: () => made.room(world.now()),
  }
}

/** A call of exactly this many tokens. */
function sized(maxOutputTokens: number) {
  return { messages: [], maxOutputTokens }
}

// ---- requests in flight

test('a place is taken until its request is settled, and each is given back once', () => {
  const limits = limitsIn({ concurrency: 2 })
  const [first, second] = [limits.start(), limits.start()]
  expect(limits.blockedUntil()).toBe(Infinity)
  expect(limits.cause()).toEqual({ reason: 'rate-limit', message: '2 of 2 requests are in flight (limits.concurrency).' })
  expect(limits.room()).toBe(0)
  first.finished(false)
  first.finished(false)
  expect([limits.blockedUntil(), limits.room(), limits.freed()]).toEqual([never, 1, 1])
  second.finished(false)
  expect([limits.room(), limits.freed()]).toEqual([2, 2])
  expect(limits.look().concurrency).toEqual({ limit: 2, used: 0 })
})

test('requests that were broken off keep their places for 50 ms each, by one timer', () => {
  const limits = limitsIn({ concurrency: 3 })
  const [first, second, third] = [limits.start(), limits.start(), limits.start()]
  first.finished(true)
  limits.world.pass(20)
  second.finished(true)
  third.finished(true)
  expect(limits.world.timers()).toBe(1)
  limits.world.pass(29)
  expect(limits.freed()).toBe(0)
  limits.world.pass(1)
  expect(limits.freed()).toBe(1)
  limits.world.pass(19)
  expect(limits.freed()).toBe(1)
  limits.world.pass(1)
  expect([limits.freed(), limits.room(), limits.world.timers()]).toEqual([3, 3, 0])
})

test('close() gives back the places of broken requests at once, those of later ones too, and leaves no timer', () => {
  const limits = limitsIn({ concurrency: 2 })
  const [first, second] = [limits.start(), limits.start()]
  first.finished(true)
  limits.close()
  expect([limits.freed(), limits.world.timers()]).toEqual([1, 0])
  second.finished(true)
  expect([limits.freed(), limits.world.timers()]).toEqual([2, 0])
})

test('without a limit of requests in flight, a broken request needs no timer', () => {
  const limits = limitsIn({ requestsPerMinute: 5 })
  limits.start().finished(true)
  expect([limits.freed(), limits.world.timers()]).toEqual([1, 0])
  expect(limits.look().concurrency).toBeUndefined()
})

test('the timer for broken requests does not keep the process alive', () => {
  let unrefs = 0
  const clock = { now: () => 0, setTimeout: () => ({ unref: () => (unrefs += 1) }), clearTimeout: () => {} }
  const limits = createLimits({ concurrency: 1 }, { clock, onFree: () => {} })
  limits.start(0, undefined).finished(true)
  expect(unrefs).toBe(1)
})

// ---- requests per minute

test('a request counts for a minute, and the next one waits for the end of the oldest', () => {
  const limits = limitsIn({ requestsPerMinute: 2 })
  limits.start()
  limits.world.pass(10 * seconds)
  expect([limits.blockedUntil(), limits.room()]).toEqual([never, 1])
  limits.start()
  expect([limits.blockedUntil(), limits.room()]).toEqual([minute, 0])
  expect(limits.cause().message).toBe('It had 2 requests within the last minute (limits.requestsPerMinute).')
  limits.world.pass(minute - 10 * seconds - 1)
  expect(limits.look().requestsPerMinute).toEqual({ limit: 2, used: 2 })
  limits.world.pass(1)
  expect(limits.look().requestsPerMinute).toEqual({ limit: 2, used: 1 })
  expect([limits.blockedUntil(), limits.room()]).toEqual([never, 1])
  limits.world.pass(10 * seconds)
  expect(limits.room()).toBe(2)
})

test('a request that is a minute old frees one place', () => {
  const limits = limitsIn({ requestsPerMinute: 3 })
  for (let request = 0; request < 3; request += 1) {
    limits.start()
    limits.world.pass(10 * seconds)
  }
  limits.world.pass(minute - 30 * seconds)
  expect(limits.blockedUntil()).toBe(never)
  limits.start()
  expect(limits.blockedUntil()).toBe(10 * seconds + minute)
})

test('a share that became smaller than its use waits until enough requests are a minute old', () => {
  const limits = limitsIn({ requestsPerMinute: 4 })
  for (let request = 0; request < 4; request += 1) {
    limits.start()
    limits.world.pass(1 * seconds)
  }
  limits.divide(2)
  expect(limits.blockedUntil()).toBe(2 * seconds + minute)
  limits.divide(1)
  expect(limits.blockedUntil()).toBe(minute)
})

test('another request of the same attempt counts as well, with its tokens, or is told when it may start', () => {
  const limits = limitsIn({ requestsPerMinute: 2, tokensPerMinute: 1_000 })
  const usage = limits.start(100)
  expect(usage.again(0)).toBe(never)
  expect(limits.look()).toMatchObject({ requestsPerMinute: { used: 2 }, tokensPerMinute: { used: 200 } })
  expect(usage.again(1 * seconds)).toBe(minute)
  expect(limits.look()).toMatchObject({ requestsPerMinute: { used: 2 }, tokensPerMinute: { used: 200 } })
  usage.used({ inputTokens: 1, outputTokens: 2 })
  expect(limits.look().tokensPerMinute, 'the usage is that of the last request').toMatchObject({ used: 103 })
  expect(usage.again(minute)).toBe(never)
})

// ---- tokens per minute

test('a request waits until enough tokens of older requests are free, and says how many it needs', () => {
  const limits = limitsIn({ tokensPerMinute: 1_000 })
  limits.start(400)
  limits.world.pass(1 * seconds)
  limits.start(400)
  expect(limits.blockedUntil(200)).toBe(never)
  expect(limits.blockedUntil(201)).toBe(minute)
  expect(limits.cause().message).toBe(
    '800 of the 1000 tokens of this minute are used, and this request may need 201 (limits.tokensPerMinute).',
  )
  expect(limits.blockedUntil(600)).toBe(minute)
  expect(limits.blockedUntil(601)).toBe(1 * seconds + minute)
  expect(limits.blockedUntil(), 'some request needs one at least').toBe(never)
  limits.start(200)
  expect(limits.blockedUntil()).toBe(minute)
  expect(limits.cause().message).toContain('1000 of the 1000 tokens of this minute are used, and this request may need 0 ')
})

test('a request that is larger than a minute never starts', () => {
  const limits = limitsIn({ tokensPerMinute: 1_000 })
  const message = 'This request alone may need 1001 tokens, but only 1000 are allowed per minute (limits.tokensPerMinute).'
  expect(limits.blockedUntil(1_001)).toBe(Infinity)
  expect(limits.cause()).toEqual({ reason: 'rate-limit', message })
  expect(limits.refuse(sized(1_001))).toEqual({ reason: 'rate-limit', message })
  expect([limits.blockedUntil(1_000), limits.refuse(sized(1_000))]).toEqual([never, undefined])
  limits.start(1)
  expect(limits.blockedUntil(1_000)).toBe(minute)
  expect(limits.cause().message, 'it fits a minute of its own').toMatch(/^1 of the 1000 tokens of this minute are used/)
  expect(limitsIn({ concurrency: 1 }).refuse(sized(1e9))).toBeUndefined()
})

test('with a limit of tokens, one request may start at a time: the need of the next one is not known', () => {
  expect(limitsIn({ tokensPerMinute: 1_000 }).room()).toBe(1)
  expect(limitsIn({ tokensPerMinute: 1_000, concurrency: 5 }).room()).toBe(1)
  expect(limitsIn({ concurrency: 5, requestsPerMinute: 3 }).room()).toBe(3)
})

test('the size of a request is corrected as long as it counts', () => {
  const limits = limitsIn({ tokensPerMinute: 1_000 })
  const usage = limits.start(100)
  const used = () => limits.look().tokensPerMinute?.used
  usage.resize(sized(300))
  expect(used()).toBe(300)
  usage.used(undefined)
  expect(used(), 'nothing was reported').toBe(300)
  usage.used({ inputTokens: 10, outputTokens: 20 })
  expect(used()).toBe(30)
  limits.world.pass(minute)
  usage.used({ inputTokens: 500, outputTokens: 500 })
  expect(used()).toBe(0)
  limits.start()
  expect(used(), 'the size of this one is not known').toBe(0)
})

test('a request that was not sent is taken back, and so is its place', () => {
  const limits = limitsIn({ concurrency: 2, requestsPerMinute: 2, tokensPerMinute: 1_000 })
  limits.start(100)
  const unsent = limits.start(200)
  unsent.cancel()
  unsent.cancel()
  unsent.used({ inputTokens: 5, outputTokens: 5 })
  expect(limits.look()).toEqual({
    concurrency: { limit: 2, used: 1 },
    requestsPerMinute: { limit: 2, used: 1 },
    tokensPerMinute: { limit: 1_000, used: 100 },
  })
  expect(limits.freed()).toBe(1)
})

test('a request that is taken back after its minute takes nothing from others', () => {
  const limits = limitsIn({ requestsPerMinute: 5, tokensPerMinute: 1_000 })
  const old = limits.start(100)
  limits.world.pass(minute)
  limits.start(200)
  limits.look()
  old.cancel()
  expect(limits.look()).toMatchObject({ requestsPerMinute: { used: 1 }, tokensPerMinute: { used: 200 } })
})

// ---- several limits

test.each<[TargetLimits, RegExp]>([
  [{ concurrency: 1, requestsPerMinute: 1 }, /limits\.concurrency/],
  [{ requestsPerMinute: 1, tokensPerMinute: 1_000 }, /limits\.requestsPerMinute/],
  [{ requestsPerMinute: 1, tokensPerMinute: 150 }, /limits\.tokensPerMinute/],
  [{ concurrency: 1, tokensPerMinute: 99 }, /limits\.tokensPerMinute/],
])('the limit that blocks for the longest time is the one that is named: %o', (limits, named) => {
  const made = limitsIn(limits)
  made.start(100)
  made.blockedUntil(100)
  expect(made.cause().message).toMatch(named)
})

test('limits are the same if each number is', () => {
  const made = limitsIn({ concurrency: 1, tokensPerMinute: 9 })
  expect(made.isSame({ tokensPerMinute: 9, concurrency: 1 })).toBe(true)
  const others = [undefined, {}, { concurrency: 1 }, { concurrency: 2, tokensPerMinute: 9 }]
  for (const other of [...others, { concurrency: 1, requestsPerMinute: 1, tokensPerMinute: 9 }]) {
    expect(made.isSame(other)).toBe(false)
  }
})

// ---- any order

type Step = { readonly act: 'start' | 'again' | 'used' | 'cancel' | 'pass'; readonly which: number; readonly amount: number }
type Counted = { at: number; tokens: number; isCancelled: boolean }

test('whatever happens in whatever order, what is used is the sum of the last minute, and a block ends when it says', () => {
  const acts = fc.constantFrom<Step['act']>('start', 'start', 'again', 'used', 'cancel', 'pass')
  const step = fc.record<Step>({ act: acts, which: fc.nat(9), amount: fc.nat(300) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), steps => {
      const limits = limitsIn({ requestsPerMinute: 80, tokensPerMinute: 10_000 })
      const usages: { readonly usage: Usage; last: Counted }[] = []
      const all: Counted[] = []
      const count = (tokens: number): Counted => {
        const counted = { at: limits.now(), tokens, isCancelled: false }
        all.push(counted)
        return counted
      }
      for (const { act, which, amount } of steps) {
        const one = usages.at(-1 - which)
        if (act === 'pass') limits.world.pass(amount * 50)
        else if (act === 'start') usages.push({ usage: limits.start(amount), last: count(amount) })
        else if (one === undefined || one.last.isCancelled) continue
        else if (act === 'again') {
          if (one.usage.again(limits.now()) <= limits.now()) one.last = count(one.last.tokens)
        } else if (act === 'used') {
          one.usage.used({ inputTokens: 0, outputTokens: amount })
          one.last.tokens = amount
        } else {
          one.usage.cancel()
          one.last.isCancelled = true
        }
        const counted = all.filter(({ at, isCancelled }) => !isCancelled && at + minute > limits.now())
        expect(limits.look()).toMatchObject({
          requestsPerMinute: { used: counted.length },
          tokensPerMinute: { used: counted.reduce((sum, { tokens }) => sum + tokens, 0) },
        })
      }
      const until = limits.blockedUntil(500)
      if (until === never) return
      limits.world.pass(until - limits.now() - 1)
      expect(limits.blockedUntil(500)).toBe(until)
      limits.world.pass(1)
      expect(limits.blockedUntil(500)).toBe(never)
    }),
    { numRuns: 60 },
  )
})
