import { expect, test } from 'vitest'
import { chargeOf, decide, policy } from '../../../src/chain/policy.ts'
import type { FailureReason } from '../../../src/contract.ts'
import { ProviderError } from '../../../src/errors.ts'

const of = (reason: FailureReason, retryAfterMs?: number) => new ProviderError('no', { reason, retryAfterMs })
const settings = { waitForMs: 2_500, decide: undefined }

test('the table alone decides where no time was named (R18)', () => {
  for (const [reason, rule] of Object.entries(policy) as [FailureReason, (typeof policy)[FailureReason]][]) {
    expect([reason, decide(of(reason), settings), chargeOf(of(reason))]).toEqual([reason, rule.decision, rule.charged])
  }
})

test('a short time that a server named is waited out, a long one sends the call on, and neither changes what is final', () => {
  for (const reason of ['overloaded', 'rate-limit'] as const) {
    expect([decide(of(reason, 0), settings), decide(of(reason, 2_500), settings), decide(of(reason, 2_501), settings)]).toEqual([
      ...['retry', 'retry', 'next'],
    ])
  }
  expect(decide(of('quota', 1), settings)).toBe('next')
  expect(decide(of('content-filter', 1), settings)).toBe('stop')
})

test("the caller's hook comes first, and undefined leaves it to the table", () => {
  expect(decide(of('content-filter'), { waitForMs: 0, decide: () => 'next' })).toBe('next')
  expect(decide(of('content-filter'), { waitForMs: 0, decide: () => undefined })).toBe('stop')
})
