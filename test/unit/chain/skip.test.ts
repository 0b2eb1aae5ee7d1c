import { expect } from 'vitest'
import type { Fold } from '../../../src/answer/answer.ts'
import { abandoned } from '../../../src/chain/attempt.ts'
import { notAsked, skip } from '../../../src/chain/skip.ts'
import type { Candidate, Leg, Walk } from '../../../src/chain/state.ts'
import type { ClientEvent } from '../../../src/contract-events.ts'
import type { Failure } from '../../../src/contract-failures.ts'
import type { Permit } from '../../../src/health/health.ts'
import { test } from '../../helpers/vitest.ts'

const names = { provider: 'a', model: 'm', name: 'mine', targetIndex: 1, step: 1 }

function candidateOf(state: Partial<Candidate> = {}): Candidate {
  const target = { ...names, provider: { name: 'a' } }
  return { target, asked: 0, skipped: false, isOverBudget: false, spent: false, ...state } as Candidate
}

/** A call that has gone on for a second. */
function skipping(candidate: Candidate, refusals: readonly Partial<Failure>[], isHeard = true) {
  const told: ClientEvent[] = []
  const tell = isHeard ? (event: ClientEvent) => void told.push(event) : undefined
  const walk = { clock: { now: () => 1_000 }, callId: 7, trail: [], failures: [], tell } as unknown as Walk
  for (const refusal of refusals) skip(walk, candidate, refusal)
  return { told, records: walk.trail.map(({ record }) => record), failures: walk.failures }
}

test('a skip is told, listed as no request at all, and kept as a failure with what was said', () => {
  const { told, records, failures } = skipping(candidateOf(), [{ reason: 'quota', message: 'Nothing is left.', retryAfterMs: 5 }])
  expect(told).toEqual([{ type: 'target-skip', at: 1_000, callId: 7, ...names, reason: 'quota', message: 'Nothing is left.' }])
  expect(records).toEqual([
    {
      ...names,
      ...{ attempt: 0, outcome: 'skipped', reason: 'quota', message: 'Nothing is left.' },
      ...{ waitMs: 0, durationMs: 0, chunks: 0, cost: 0, costIsUpperBound: false },
    },
  ])
  expect(failures).toMatchObject([{ message: 'Nothing is left.', reason: 'quota', retryAfterMs: 5, provider: 'a', model: 'm' }])
})

test('a refusal without a reason is told and listed, but is no failure', () => {
  const { told, records, failures } = skipping(candidateOf(), [{}])
  expect(told).toMatchObject([{ reason: undefined, message: 'It cannot take this call.' }])
  expect([records.length, failures]).toEqual([1, []])
})

test('a skip is listed also where nobody listens', () => {
  expect(skipping(candidateOf(), [{ reason: 'quota' }], false).records).toHaveLength(1)
})

test.for([
  ['the same twice', {}, ['quota', 'quota'], ['quota']],
  ['two reasons', {}, ['quota', 'excluded'], ['quota']],
  ['a target that was asked', { asked: 1 }, ['quota'], []],
  ['a lack of money, also of one that was asked, once', { asked: 1 }, ['budget', 'budget'], ['budget']],
  ['a lack of money behind another reason', {}, ['quota', 'budget', 'budget'], ['quota', 'budget']],
  ['another reason behind a lack of money', {}, ['budget', 'quota'], ['budget']],
] as const)('a skip is told once in a call: %s', ([, state, reasons, expected]) => {
  const { told, records, failures } = skipping(
    candidateOf(state),
    reasons.map(reason => ({ reason })),
  )
  expect(told.map(event => 'reason' in event && event.reason)).toEqual(expected)
  expect([records.length, failures.length]).toEqual([expected.length, expected.length])
})

test('a request that is not made gives back its permit and its answer, and is a skip only where the target was refused', async ({
  clock,
}) => {
  const undone = async (thrown: Error) => {
    const ends: string[] = []
    const candidate = { target: { provider: { name: 'own' }, model: 'm' }, asked: 1 } as Candidate
    const walk = { clock, trail: [], failures: [] } as unknown as Walk
    const permit = { end: (outcome: string) => void ends.push(outcome) } as unknown as Permit
    const fold = { drop: () => void ends.push('dropped') } as unknown as Fold
    await expect(notAsked(walk, { candidate, thrown } as Leg, { permit, fold })).rejects.toBe(thrown)
    expect([ends, candidate.asked]).toEqual([['dropped', 'unused'], 0])
    return walk.trail.map(({ record }) => [record?.outcome, record?.message])
  }
  expect(await undone(abandoned)).toEqual([['skipped', 'It cannot take this call.']])
  expect(await undone(new Error('a bug'))).toEqual([])
})
