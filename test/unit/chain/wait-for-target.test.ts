import { expect } from 'vitest'
import { createSignal, notify } from '../../../src/chain/signal.ts'
import type { Candidate, Leg, Walk } from '../../../src/chain/state.ts'
import { mayComeBack, waitForOpening, waitForProbe, waitForRound } from '../../../src/chain/wait-for-target.ts'
import type { FailureReason } from '../../../src/contract-failures.ts'
import { ProviderError } from '../../../src/errors.ts'
import { longestTimerMs } from '../../../src/health/timer.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

type Target = {
  readonly name?: string
  readonly reason?: FailureReason
  readonly rounds?: number
  readonly waitForMs?: number
  readonly maxRetries?: number
  readonly health?: object
}

/** A target that failed in this round. */
function failed({ name = 'a', reason = 'overloaded', health = {}, ...retry }: Target, state: Partial<Candidate> = {}): Candidate {
  const target = { provider: { name }, model: 'm', retry: { maxRetries: 1, ...retry }, health }
  const failure = new ProviderError('It failed.', { reason })
  return {
    target,
    failure,
    spent: true,
    isFinal: false,
    isAgain: false,
    wasSilent: false,
    asked: 1,
    failed: 1,
    ...state,
  } as never
}

/** A call that has a minute, and what it tells. */
function walking(clock: FakeClock, candidates: readonly Candidate[], given: Partial<Walk> = {}) {
  const told: unknown[] = []
  const walk = {
    ...{ clock, candidates, legs: [], signal: createSignal(), random: () => 0.5, round: 1, hasDefault: false, callId: 1 },
    ...{ startedAt: 0, deadline: 60_000, firstContentAt: Infinity, hasContent: false, waitLeftMs: Infinity, waitedMs: 0 },
    tell: (event: { waitMs: number; reason: string; provider: string }) =>
      void told.push(`${event.provider} ${event.reason} ${event.waitMs}`),
    ...given,
  } as unknown as Walk
  return { walk, told }
}

/** How long a call waits for another round, with what comes of it. */
async function roundOf(clock: FakeClock, candidates: readonly Candidate[], given: Partial<Walk> = {}) {
  const { walk, told } = walking(clock, candidates, given)
  const startedAt = clock.now()
  const isAgain = await clock.until(waitForRound(walk))
  expect(clock.pending()).toBe(0)
  return { walk, told, isAgain, tookMs: clock.now() - startedAt, back: candidates.filter(({ spent }) => !spent) }
}

// ---- another round

test.for([
  [1, 0, 500],
  [1, 1, 1_500],
  [2, 0.5, 2_000],
  [3, 0.5, 4_000],
  [4, 0.5, 8_000],
  [5, 0.5, 10_000],
  [9, 1, 15_000],
] as const)('the wait after round %i, with %d drawn, is %i ms', async ([round, drawn, expected], { clock }) => {
  const target = failed({ rounds: 99 })
  const { walk, told, isAgain, tookMs } = await roundOf(clock, [target], { round, random: () => drawn })
  expect([isAgain, tookMs, told]).toEqual([true, expected, [`a overloaded ${expected}`]])
  expect([walk.round, walk.waitedMs, walk.waitLeftMs]).toEqual([round + 1, expected, Infinity])
  expect(target).toMatchObject({ spent: false, isAgain: true, wasSilent: false })
})

test('a round asks again who failed for a reason that passes, and who may be asked again', async ({ clock }) => {
  const again = [failed({}), failed({ reason: 'network', waitForMs: 1_000 }), failed({}, { wasSilent: true })]
  const not = [
    failed({ reason: 'quota' }),
    failed({}, { isFinal: true }),
    failed({}, { failure: undefined }),
    failed({ waitForMs: 999 }),
    failed({ rounds: 1 }),
  ]
  const { isAgain, back } = await roundOf(clock, [...not, ...again])
  expect([isAgain, back]).toEqual([true, again])
  expect(await roundOf(clock, [...not])).toMatchObject({ isAgain: false, tookMs: 0, told: [], back: [] })
  // who was not asked in this round needs no other one
  expect(await roundOf(clock, [failed({}, { spent: false })])).toMatchObject({ isAgain: false, told: [] })
})

test('there are three rounds by default, one where there is a default response, and as many as the target says', async ({
  clock,
}) => {
  const goesOn = async (round: number, target: Target, hasDefault = false) =>
    (await roundOf(clock, [failed(target)], { round, hasDefault, deadline: Infinity })).isAgain
  expect([await goesOn(2, {}), await goesOn(3, {})]).toEqual([true, false])
  expect(await goesOn(1, {}, true)).toBe(false)
  expect([await goesOn(3, { rounds: 4 }, true), await goesOn(4, { rounds: 4 }, true)]).toEqual([true, false])
})

test('who was silent is asked once more, after a wait if everybody was, and else when the others were asked again', async ({
  clock,
}) => {
  const silent = failed({ name: 'silent', reason: 'timeout' })
  const passing = failed({ name: 'passing' })
  expect(await roundOf(clock, [silent, passing])).toMatchObject({
    isAgain: true,
    back: [passing],
    told: ['passing overloaded 1000'],
  })
  passing.spent = true
  expect(await roundOf(clock, [silent, passing], { round: 2 })).toMatchObject({
    isAgain: true,
    tookMs: 0,
    back: [silent],
    told: [],
  })
  expect(silent).toMatchObject({ isAgain: true, wasSilent: true })
  silent.spent = true
  expect(await roundOf(clock, [silent], { round: 3 })).toMatchObject({ isAgain: false, back: [] })

  const alone = failed({ reason: 'timeout' })
  expect(await roundOf(clock, [alone])).toMatchObject({ isAgain: true, tookMs: 1_000, told: ['a timeout 1000'] })
  expect(alone.wasSilent).toBe(true)
  expect(await roundOf(clock, [failed({ reason: 'timeout', rounds: 1 })])).toMatchObject({ isAgain: false, told: [] })
  expect(await roundOf(clock, [failed({ reason: 'timeout' })], { hasDefault: true })).toMatchObject({ isAgain: false, told: [] })
})

test('all waits between rounds last ten seconds, unless a target says how many rounds there are', async ({ clock }) => {
  const left = async (targets: readonly Target[], given: Partial<Walk> = {}) =>
    (
      await roundOf(
        clock,
        targets.map(target => failed(target)),
        { deadline: Infinity, ...given },
      )
    ).walk.waitLeftMs
  expect(await left([{}, {}])).toBe(9_000)
  expect(await left([{}, { rounds: 2 }])).toBe(Infinity)
  // counted once, and not longer than what is left anyway
  expect(await left([{}], { round: 2 })).toBe(Infinity)
  expect(await left([{}], { waitLeftMs: 4_000 })).toBe(3_000)
})

test('a call does not wait for a round whose requests would come too late', async ({ clock }) => {
  const target = () => [failed({ rounds: 9 })]
  // 1,000 ms of wait, and at least a twentieth of the call's time behind it
  const goesOn = async (given: Partial<Walk>) => (await roundOf(clock, target(), { startedAt: clock.now(), ...given })).isAgain
  const now = () => clock.now()
  expect(await goesOn({ deadline: now() + 1_050 })).toBe(false)
  expect(await goesOn({ deadline: now() + 1_060 })).toBe(true)
  expect(await goesOn({ deadline: Infinity, firstContentAt: now() + 1_050 })).toBe(false)
  expect(await goesOn({ deadline: Infinity, firstContentAt: now() + 1_050, hasContent: true })).toBe(true)
  expect([await goesOn({ waitLeftMs: 1_000 }), await goesOn({ waitLeftMs: 1_001 })]).toEqual([false, true])
})

test('news ends the wait for a round, and the targets are back all the same', async ({ clock }) => {
  const target = failed({})
  const { walk } = walking(clock, [target])
  const waiting = waitForRound(walk)
  await clock.advance(300)
  notify(walk.signal)
  expect(await waiting).toBe(true)
  expect([walk.waitedMs, walk.waitLeftMs, target.spent, clock.pending()]).toEqual([300, 9_700, false, 0])
  expect([walk.signal.hasNews, walk.signal.onNews]).toEqual([false, undefined])
})

// ---- a probe that runs

test('a call waits for its own probe until there is news, or no time is left', async ({ clock }) => {
  const legs = [{}] as Leg[]
  expect(await waitForProbe(walking(clock, []).walk)).toBe(false)
  const { walk } = walking(clock, [], { legs })
  const waiting = waitForProbe(walk)
  await clock.advance(59_999)
  notify(walk.signal)
  expect([await waiting, clock.pending(), walk.signal.hasNews, walk.signal.onNews]).toEqual([true, 0, false, undefined])
  const late = waitForProbe(walk)
  await clock.advance(1)
  expect([await late, clock.pending(), walk.signal.onNews]).toEqual([false, 0, undefined])
  // the time is over: not even for news that are there already
  notify(walk.signal)
  expect(await waitForProbe(walk)).toBe(false)
})

test('a wait for a probe asks for no longer timer than Node can hold', async ({ clock }) => {
  const delays: number[] = []
  const setTimeout: FakeClock['setTimeout'] = (listener, delayMs) => (delays.push(delayMs), clock.setTimeout(listener, delayMs))
  const { walk } = walking({ ...clock, setTimeout }, [], { legs: [{}] as Leg[], deadline: Infinity })
  const waiting = waitForProbe(walk)
  notify(walk.signal)
  await waiting
  expect(delays).toEqual([longestTimerMs])
})

// ---- a target that opens

function blocked(clock: FakeClock, untilMs: number) {
  const listeners = new Set<() => void>()
  const health = {
    check: () => ({ state: 'blocked', reason: 'rate-limit', message: 'It is limited.', until: untilMs }),
    onOpening(listener: () => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  const candidate = failed({ health, waitForMs: 50_000 }, { spent: false, asked: 0, failure: undefined })
  Object.assign(candidate.target, { provider: { name: 'a' }, when: undefined })
  return { ...walking(clock, [candidate]), open: () => listeners.forEach(listener => listener()) }
}

test('a call waits for a blocked target, says for how long, and looks again when it opens', async ({ clock }) => {
  const { walk, told, open } = blocked(clock, 7_000)
  const waiting = waitForOpening(walk)
  await clock.advance(6_000)
  open()
  expect(await waiting).toBe(true)
  expect([told, walk.waitedMs, clock.pending()]).toEqual([['a rate-limit 7000'], 6_000, 0])
})

test('a call waits for no target that opens too late, and not beyond its time for one that does not open', async ({ clock }) => {
  const late = blocked(clock, 50_000)
  expect([await waitForOpening(late.walk), late.told]).toEqual([false, []])
  const stuck = blocked(clock, 7_000)
  const waiting = waitForOpening(stuck.walk)
  await clock.advance(60_000)
  expect([await waiting, stuck.walk.waitedMs, stuck.walk.signal.onNews]).toEqual([false, 50_000, undefined])
})

// ---- a target that named a time

test.for([
  ['rate-limit', undefined, 1, 1, true],
  ['rate-limit', undefined, 2, 1, false],
  ['overloaded', undefined, 1, 1, false],
  ['overloaded', 1, 1, 1, true],
  ['overloaded', 1, 2, 1, false],
  // a model that loads is looked at as often as it asks for, if at all; more often than each second is a retry
  ['loading', 1_000, 9, 1, true],
  ['loading', 1_000, 9, 0, false],
  ['loading', 999, 9, 1, false],
  ['loading', 999, 1, 1, true],
  ['rate-limit', 1_000, 9, 1, false],
] as const)(
  'after %s with a time of %s and %i failures of %i retries, it comes back: %s',
  ([reason, retryAfterMs, times, maxRetries, expected]) => {
    const leg = { candidate: failed({ maxRetries }, { failed: times }) } as Leg
    expect(mayComeBack(leg, { failure: new ProviderError('It failed.', { reason, retryAfterMs }) })).toBe(expected)
  },
)
