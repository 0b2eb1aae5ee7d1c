import { expect } from 'vitest'
import { chooseLastResort, openings, opensInMs } from '../../../src/chain/openings.ts'
import type { Candidate, ChainTarget, Leg, Walk } from '../../../src/chain/state.ts'
import type { Availability } from '../../../src/health/availability.ts'
import type { Permit } from '../../../src/health/health.ts'
import { longestTimerMs } from '../../../src/health/timer.ts'
import type { FakeClock } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

type Blocked = Availability & { readonly state: 'blocked' }
type Of = {
  readonly availability?: Availability
  readonly waitForMs?: number
  readonly when?: () => boolean
  readonly guess?: Permit
} & Partial<Candidate>

const blocked = (until: number, more: Partial<Blocked> = {}): Blocked => ({
  ...{ state: 'blocked', reason: 'rate-limit', message: 'Later.', until },
  ...more,
})
const permit = {} as Permit

/** A call that began at 0, before these targets. */
function walkOf(clock: FakeClock, targets: readonly Of[], given: Partial<Walk> = {}): Walk {
  const candidates = targets.map(({ availability = { state: 'available' }, waitForMs, when, guess, ...state }): Candidate => {
    const health = { check: () => availability, enterAsLastResort: () => guess }
    const target = { provider: { name: 'own' }, model: 'm', retry: { waitForMs }, when, health } as unknown as ChainTarget
    return { target, asked: 0, spent: false, ...state } as Candidate
  })
  const call = { model: '', messages: [], metadata: {} }
  const times = { startedAt: 0, deadline: Infinity, firstContentAt: Infinity }
  return { clock, call, candidates, legs: [], ...times, ...given } as unknown as Walk
}

/** What a call waits for that waits at most until `limit`: the first target that opens, in how long, and why. */
function soonest(walk: Walk, limit: number) {
  const { soonest: first, openers } = openings(walk, limit)
  return first === undefined ? undefined : [walk.candidates.indexOf(first.candidate), first.waitMs, first.reason, openers.length]
}

test('a call waits for the target that opens first, the first of two that open together', async ({ clock }) => {
  await clock.advance(1_000)
  const all = [blocked(9_000), blocked(4_000, { reason: 'loading' }), blocked(4_000), blocked(6_000)]
  const walk = walkOf(
    clock,
    all.map(availability => ({ availability })),
  )
  expect(soonest(walk, 20_000)).toEqual([1, 3_000, 'loading', 4])
  expect(soonest(walkOf(clock, []), 20_000)).toBeUndefined()
})

test('a target that opens too late for the call, or for its own `waitForMs`, is not waited for', async ({ clock }) => {
  await clock.advance(1_000)
  const waits = (limit: number, of: Of) => soonest(walkOf(clock, [of]), limit)
  const availability = blocked(3_000)
  expect(waits(3_000, { availability })).toBeUndefined()
  expect(waits(3_001, { availability })).toEqual([0, 2_000, 'rate-limit', 1])
  expect(waits(9_000, { availability, waitForMs: 2_000 })).toBeUndefined()
  expect(waits(9_000, { availability, waitForMs: 2_001 })).toEqual([0, 2_000, 'rate-limit', 1])
  // there is no time at all
  expect(waits(1_000, {})).toBeUndefined()
  expect(waits(9_000, { waitForMs: 0 })).toBeUndefined()
})

test('a target that is not blocked is asked at once, and a full one when one of its requests ends', async ({ clock }) => {
  await clock.advance(1_000)
  const waits = (limit: number, availability: Availability) => soonest(walkOf(clock, [{ availability }]), limit)
  expect(waits(9_000, { state: 'available' })).toEqual([0, 0, 'overloaded', 1])
  expect(waits(9_000, { state: 'half-open' })).toEqual([0, 0, 'overloaded', 1])
  // no time is known: at most all that the call has
  expect(waits(9_000, blocked(Infinity))).toEqual([0, 7_999, 'rate-limit', 1])
  expect(waits(Infinity, blocked(Infinity))).toEqual([0, longestTimerMs, 'rate-limit', 1])
  expect(waits(9_000, blocked(Infinity, { isInVain: true }))).toBeUndefined()
})

test('a target is not waited for that the call has given up, is asking, or may not ask', ({ clock }) => {
  const availability = blocked(3_000)
  const waits = (of: Of) => soonest(walkOf(clock, [{ availability, ...of }]), 9_000)
  expect(waits({})).toEqual([0, 3_000, 'rate-limit', 1])
  expect(waits({ spent: true })).toBeUndefined()
  expect(waits({ when: () => false })).toBeUndefined()
  const walk = walkOf(clock, [{ availability }])
  walk.legs = [{ candidate: walk.candidates[0], end: undefined } as Leg]
  expect(soonest(walk, 9_000)).toBeUndefined()
})

test('who waits says until when, and when an answer would be too late', async ({ clock }) => {
  await clock.advance(1_000)
  const call = { model: 'm', messages: [], metadata: {} }
  const one = { availability: blocked(3_000), sized: call }
  const walk = walkOf(clock, [one, { ...one, waitForMs: 2_500 }], { deadline: 40_000 })
  expect(openings(walk, 30_000).openers).toMatchObject([
    { until: 30_000, deadline: 38_000, call },
    { until: 3_500, deadline: 38_000, call },
  ])
})

test('an exhausted chain says when the first of the targets opens that take the call', async ({ clock }) => {
  await clock.advance(1_000)
  const opens = (...targets: readonly Of[]) => opensInMs(walkOf(clock, targets))
  const at = (ms: number): Of => ({ availability: blocked(ms), spent: true })
  expect(opens(at(9_000), at(3_000), at(5_000), {})).toBe(2_000)
  expect(opens(at(9_000), { ...at(3_000), when: () => false })).toBe(8_000)
  expect([opens(), opens({}), opens(at(Infinity))]).toEqual([undefined, undefined, undefined])
})

test('the last resort is the first target that was not asked yet and that only our own guess blocks', async ({ clock }) => {
  await clock.advance(1_000)
  const last = (targets: readonly Of[], deadline = Infinity) => {
    const walk = walkOf(clock, targets, { deadline })
    const choice = chooseLastResort(walk)
    return choice === undefined ? undefined : [walk.candidates.indexOf(choice.candidate), choice.permit, choice.probes]
  }
  const guessed = { guess: permit }
  expect(last([{}, { ...guessed, asked: 1 }, { ...guessed, spent: true }, guessed, guessed])).toEqual([3, permit, []])
  expect(last([{}, { ...guessed, asked: 1 }])).toBeUndefined()
  // a timer may fire this much early: there is no time left
  expect([last([guessed], 1_001), last([guessed], 1_002)]).toEqual([undefined, [0, permit, []]])
})
