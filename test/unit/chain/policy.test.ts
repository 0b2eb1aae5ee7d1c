import { expect, test } from 'vitest'
import { chargeOf, decide, policy } from '../../../src/chain/policy.ts'
import type { FailureReason } from '../../../src/contract.ts'
import { ProviderError } from '../../../src/errors.ts'

const of = (reason: FailureReason, retryAfterMs?: number) => new ProviderError('no', { reason, retryAfterMs })

test('the table alone decides where no time was named (R18)', () => {
  for (const [reason, rule] of Object.entries(policy) as [FailureReason, (typeof policy)[FailureReason]][]) {
    expect([reason, decide(of(reason)), chargeOf(of(reason))]).toEqual([reason, rule.decision, rule.charged])
  }
})

test('a short time that a server named is waited out, a long one sends the call on, and neither changes what is final', () => {
  for (const reason of ['overloaded', 'rate-limit'] as const) {
    expect([decide(of(reason, 0)), decide(of(reason, 2_500)), decide(of(reason, 2_501))]).toEqual([...['retry', 'retry', 'next']])
  }
  expect(decide(of('quota', 1))).toBe('next')
  expect(decide(of('content-filter', 1))).toBe('stop')
})

test("the caller's own waitForMs replaces the default", () => {
  expect([decide(of('rate-limit', 60_000), 60_000), decide(of('rate-limit', 1), 0), decide(of('rate-limit', 0), 0)]).toEqual([
    ...['retry', 'next', 'retry'],
  ])
})

test('only what may pass by itself is asked again in another round (F79)', () => {
  const again = Object.entries(policy).flatMap(([reason, rule]) => (rule.again === 'no' ? [] : `${reason} ${rule.again}`))
  expect(again.toSorted()).toEqual([
    ...['loading yes', 'network yes', 'overloaded yes', 'rate-limit yes', 'server-error yes', 'timeout last', 'truncated yes'],
  ])
})
