import { expect, test } from 'vitest'
import { againAfter, chargeOf, decide, checkedDecision, policy } from '../../../src/chain/policy.ts'
import type { Charged, FailureReason } from '../../../src/contract-failures.ts'
import { ProviderError } from '../../../src/errors.ts'

const of = (reason: FailureReason, retryAfterMs?: number) => new ProviderError('no', { reason, retryAfterMs })

test('where no time was named, every reason leads to this, and is charged to this (R18)', () => {
  const reasons = Object.keys(policy) as FailureReason[]
  expect(Object.fromEntries(reasons.map(reason => [reason, `${decide(of(reason))} ${chargeOf(of(reason))}`]))).toEqual({
    network: 'retry target',
    overloaded: 'retry target',
    'server-error': 'retry target',
    truncated: 'retry target',
    'malformed-response': 'retry target',
    timeout: 'next target',
    loading: 'next nobody',
    'rate-limit': 'next gate',
    quota: 'next key',
    authentication: 'next key',
    permission: 'next key',
    'not-found': 'next model',
    'context-length': 'next request',
    'invalid-request': 'next nobody',
    empty: 'next nobody',
    'invalid-output': 'next nobody',
    'content-filter': 'stop nobody',
    excluded: 'next nobody',
    budget: 'next nobody',
  })
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
    ...['loading yes', 'network yes', 'overloaded yes', 'rate-limit yes', 'server-error yes', 'timeout once', 'truncated yes'],
  ])
})

test('what a provider charges to the request, the model or the key is neither retried nor asked again in another round', () => {
  const failure = (charged: Charged, retryAfterMs?: number) =>
    new ProviderError('no', { reason: 'overloaded', charged, retryAfterMs })
  for (const charged of ['request', 'model', 'key'] as const) {
    expect([decide(failure(charged)), decide(failure(charged, 1)), againAfter(failure(charged))]).toEqual(['next', 'next', 'no'])
    expect(chargeOf(failure(charged))).toBe(charged)
  }
  for (const charged of ['target', 'gate', 'nobody'] as const) {
    expect([decide(failure(charged)), againAfter(failure(charged)), chargeOf(failure(charged))]).toEqual([
      'retry',
      'yes',
      charged,
    ])
  }
  // what is final stays so
  expect(decide(new ProviderError('no', { reason: 'content-filter', charged: 'request' }))).toBe('stop')
  expect([againAfter(of('timeout')), againAfter(of('quota'))]).toEqual(['once', 'no'])
})

test("the caller's decide returns one of three words or nothing, and whatever else is a mistake that is told", () => {
  expect([undefined, 'retry', 'next', 'stop'].map(checkedDecision)).toEqual([undefined, 'retry', 'next', 'stop'])
  for (const said of ['again', null, true, 0, {}, Promise.resolve('next'), Promise.reject(new Error('too late'))]) {
    expect(() => checkedDecision(said)).toThrow("decide must return 'retry', 'next', 'stop' or undefined")
  }
})
