import { expect, test } from 'vitest'
import { chargeOf } from '../../../../src/chain/policy.ts'
import { ProviderError } from '../../../../src/errors.ts'
import { failureLines } from './failure-lines.ts'
import { replayText } from './replay.ts'

const named = failureLines.map(([from, status, said, reason, charged, more = {}]) => {
  const body = typeof said === 'string' ? said : JSON.stringify(said)
  return { from, status, body, shown: body.slice(0, 80), reason, charged, more }
})

test.each(named)('$from: $status $shown -> $reason, $charged', ({ status, body, reason, charged, more }) => {
  const { headers = {}, message = /./ } = more
  const failure = replayText(body, { status, headers }).error
  if (!ProviderError.isInstance(failure)) throw new Error('The reader took an error for an answer.')
  expect({ reason: failure.reason, charged: chargeOf(failure) }).toEqual({ reason, charged })
  if ('retryAfterMs' in more) expect(failure.retryAfterMs).toBe(more.retryAfterMs)
  expect(failure.atMostMs).toBe(more.atMostMs)
  expect(failure.text).toBe(more.text)
  expect(failure.message).toMatch(message)
})

test('what was met in the field has its lines above (F11, F16, F18, F28, F29)', () => {
  for (const number of ['F11', 'F16', 'F18', 'F28', 'F29']) {
    expect(failureLines.filter(([from]) => from.startsWith(`${number} `)).length, number).toBeGreaterThanOrEqual(3)
  }
})
