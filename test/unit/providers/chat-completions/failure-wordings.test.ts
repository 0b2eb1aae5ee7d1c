import { expect, test } from 'vitest'
import { chargeOf } from '../../../../src/chain/policy.ts'
import { ProviderError } from '../../../../src/errors.ts'
import { exactRows } from '../../../../src/providers/chat-completions/failure-codes.ts'
import { pageRows } from '../../../../src/providers/chat-completions/failure-pages.ts'
import { failureOf } from '../../../../src/providers/chat-completions/failure.ts'
import { wordingRows } from '../../../../src/providers/chat-completions/failure-wordings.ts'
import { leastMs } from '../../../helpers/least-ms.ts'
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

/** The words that stand in a row's expression: whatever makes it slow is made of them. */
function wordsOf({ source }: RegExp): readonly string[] {
  return [...new Set(source.match(/[a-z]{2,} ?|[\u3400-\u9fff]+|\d/gi))]
}

test('no body takes long to be understood, also when it is made of the words of the rows alone (F72)', () => {
  for (const { words, statuses } of [...exactRows, ...pageRows, ...wordingRows]) {
    for (const word of words === undefined ? [] : wordsOf(words)) {
      const body = JSON.stringify({ error: { message: word.repeat(16_384 / word.length) } })
      expect(
        leastMs(() => failureOf({ status: statuses?.[0] ?? 400, headers: {}, body }), 50),
        word,
      ).toBeLessThan(50)
    }
  }
})

test.each([
  '"',
  '"x',
  '<',
  '<a',
  '[',
  '{"error":',
  ': x\n',
  'data:',
  "{'loc': (",
  '*',
  'sk-a',
  'eyJaaaaaaaaaa.',
  'ı',
  '🦙',
  'Limit 1, ',
])('a body that is nothing but %j is understood at once, whatever carries it (F72)', piece => {
  const text = piece.repeat(65_536 / piece.length)
  for (const body of [
    text,
    JSON.stringify({ message: text, code: text }),
    JSON.stringify({ error: { metadata: { raw: text } } }),
  ]) {
    const failure = () => failureOf({ status: 429, headers: { 'x-request-id': text, 'retry-after': text }, body })
    expect(leastMs(failure, 50)).toBeLessThan(50)
  }
})
