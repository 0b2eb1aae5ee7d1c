import { expect, test } from 'vitest'
import { createKeyState } from '../../../src/health/key.ts'
import type { FailureReason } from '../../../src/contract-failures.ts'

const refusal = { reason: 'quota' as FailureReason, message: 'No balance.', retryAfterMs: undefined }
const fact = { key: 'k', reason: 'quota' as FailureReason, forMs: 10_000 }

/** A key with targets that answered at these times. */
function keyOf(...answeredAts: readonly number[]) {
  const key = createKeyState(() => 0)
  const told: string[] = []
  const members = answeredAts.map((answeredAt, index) => ({
    answeredAt: () => answeredAt,
    onBlocked: ({ reason }: { readonly reason: string }, now: number) => void told.push(`${index} ${reason} ${now}`),
    onLifted: () => void told.push(`${index} lifted`),
  }))
  for (const member of members) key.join(member)
  return { key, told, members }
}

test('a refused key is told to all its targets, and so is that it works again', () => {
  const { key, told } = keyOf(-Infinity, -Infinity)
  expect(key.refuse(refusal, 1_000)).toBe(301_000)
  key.lift()
  expect(told).toEqual(['0 quota 1000', '1 quota 1000', '0 lifted', '1 lifted'])
})

test('F35: a key that answered one of its targets within a minute is doubted first, for three seconds', () => {
  const recent = keyOf(-Infinity, 40_000)
  expect([recent.key.refuse(refusal, 100_000), recent.key.suspension.isBrief()]).toEqual([103_000, true])
  const old = keyOf(-Infinity, 39_999)
  expect([old.key.refuse(refusal, 100_000), old.key.suspension.isBrief()]).toEqual([400_000, false])
})

test('a key works elsewhere if another target answered within five minutes (R103)', () => {
  const works = (own: number, other: number) => {
    const { key, members } = keyOf(own, other)
    return key.worksElsewhere(members[0]!, 300_000)
  }
  expect([works(300_000, -1), works(-1, 0), works(-1, -1)]).toEqual([false, true, false])
})

test('what another process learned of a key holds here: a refusal, a named time, and that it works again', () => {
  const refused = keyOf(-Infinity)
  refused.key.learn({ ...fact, kind: 'refused' }, 1_000)
  expect(refused.key.suspension.blockedUntil(1_000)).toBe(11_000)
  expect(refused.key.suspension.namedUntil(), 'a guess').toBe(-Infinity)
  refused.key.learn({ ...fact, kind: 'closed', forMs: 0 }, 2_000)
  expect(refused.key.suspension.blockedUntil(2_000)).toBeLessThan(2_000)
  expect(refused.told).toEqual(['0 quota 1000', '0 lifted'])
  const named = keyOf(-Infinity)
  named.key.learn({ ...fact, kind: 'gate' }, 1_000)
  expect(named.key.suspension.namedUntil()).toBe(11_000)
  named.key.learn({ ...fact, kind: 'closed', forMs: 0 }, 2_000)
  expect(named.key.suspension.blockedUntil(2_000), 'the server has named it').toBe(11_000)
  const other = keyOf(-Infinity)
  other.key.learn({ ...fact, kind: 'open' }, 1_000)
  expect([other.key.suspension.blockedUntil(1_000), other.told]).toEqual([-Infinity, []])
})
