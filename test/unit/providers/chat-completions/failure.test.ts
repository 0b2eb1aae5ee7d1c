import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ProviderError } from '../../../../src/errors.ts'
import { requestIdIn } from '../../../../src/http/post.ts'
import { failureOf, inBandFailure } from '../../../../src/providers/chat-failure/failure.ts'
import { anyText } from '../../../helpers/any-text.ts'
import { type FailureRow, failureRows } from './failure-rows.ts'
import { replayText } from './replay.ts'

const named = failureRows.map((row, at) => ({ ...row, at: at + 1, shown: row.body.replace(/\s+/g, ' ').slice(0, 90) }))

function answerTo({ status, body, headers = {}, rules = [] }: FailureRow): ProviderError {
  const { error } = replayText(body, { status, headers, rules })
  if (error === undefined) throw new Error('The reader took an error for an answer.')
  return error
}

test.each(named)('$at $source: $status $shown -> $reason', row => {
  const failure = answerTo(row)
  expect(failure).toMatchObject({
    reason: row.reason,
    status: row.status,
    contextTokens: row.contextTokens,
    requestedTokens: row.requestedTokens,
    concurrencyLimit: row.concurrencyLimit,
    retryAfterMs: row.retryAfterMs,
    requestId: row.requestId,
  })
})

test.each(named)('$at $source: $status $shown says what to do, and neither key nor prompt', row => {
  const { message, said = '' } = answerTo(row)
  expect(message).toMatch(/^[A-Z].*[.]$/s)
  expect(message).not.toMatch(/SECRET|PROMPT|sk-proj|abcd/)
  expect(said).not.toMatch(/sk-proj|abcd/)
  expect(said.length).toBeLessThanOrEqual(1_000)
})

test('there is a row for every documented error', () => {
  expect(failureRows.length).toBeGreaterThanOrEqual(100)
})

test('a 402 says what happened and what to do', () => {
  const body = JSON.stringify({
    error: { message: 'Insufficient Balance', type: 'unknown_error', code: 'invalid_request_error' },
  })
  const failure = failureOf({ status: 402, headers: {}, body })
  expect(failure.message).toBe(
    'The account has no credit or quota left (402, code invalid_request_error). Top up the account, or let the next target answer.',
  )
  expect(failure.said).toBe('Insufficient Balance (type: unknown_error, code: invalid_request_error)')
})

test('an overflow tells both numbers', () => {
  const body = JSON.stringify({
    error: { message: 'too long', type: 'exceed_context_size_error', n_prompt_tokens: 10_041, n_ctx: 2048 },
  })
  expect(failureOf({ status: 400, headers: {}, body }).message).toContain('it takes 2048 tokens, not 10041')
})

test('a redirect is about the base URL', () => {
  const failure = failureOf({ status: 308, headers: { location: 'https://elsewhere.example' }, body: '' })
  expect(failure.message).toBe(
    'The server redirects to another address (308). unbusy never follows redirects, because they would reveal the key. Correct the base URL.',
  )
})

test('the rules of a host come before everything else', () => {
  const rules = [{ status: 402, message: /weekly/, reason: 'rate-limit' as const }]
  const body = JSON.stringify({ error: { message: 'weekly allowance used', code: 'insufficient_quota' } })
  expect(failureOf({ status: 402, headers: {}, body, rules }).reason).toBe('rate-limit')
  expect(failureOf({ status: 402, headers: {}, body: '', rules }).reason).toBe('quota')
  expect(inBandFailure({ message: 'weekly', code: 402 }, { status: 200, headers: {}, rules }).reason).toBe('rate-limit')
})

test('an error inside a 200 keeps the status 200', () => {
  expect(inBandFailure({ message: 'gone', code: 502 }, { status: 200, headers: {} })).toMatchObject({
    status: 200,
    reason: 'server-error',
  })
})

test('a time in the header wins over a time in the words, and words count only where waiting helps', () => {
  const body = JSON.stringify({ error: { message: 'Please try again in 41.724s.' } })
  expect(failureOf({ status: 429, headers: {}, body }).retryAfterMs).toBe(41_724)
  expect(failureOf({ status: 429, headers: { 'retry-after': '2' }, body }).retryAfterMs).toBe(2000)
  expect(failureOf({ status: 400, headers: {}, body }).retryAfterMs).toBeUndefined()
})

test.each([
  [{ 'x-ds-trace-id': 'a', 'x-request-id': 'b' }, 'a'],
  [{ 'x-request-id': 'b', 'cf-ray': 'c' }, 'b'],
  [{ 'x-deepseek-request-id': 'd' }, 'd'],
  [{ 'request-id': 'e' }, 'e'],
  [{ 'x-generation-id': ['f', 'g'] }, 'f'],
  [{ 'cf-ray': 'h' }, 'h'],
  [{ 'x-request-id': ' ' }, undefined],
  [{}, undefined],
])('the request id of %j is %s', (headers, id) => {
  expect(requestIdIn(headers)).toBe(id)
})

test('a page is quoted by its title', () => {
  const body = '<html><head><title>504 Gateway Time-out</title></head><body>MY PAGE</body></html>'
  expect(failureOf({ status: 504, headers: {}, body })).toMatchObject({ said: '504 Gateway Time-out' })
})

test('of a failed validation that is written in Python only place and complaint are told', () => {
  const message = "[{'type': 'missing', 'loc': ('body', 'messages', 0), 'msg': 'Field required', 'input': {'prompt': 'x'}}]"
  const failure = failureOf({ status: 400, headers: {}, body: JSON.stringify({ error: { message } }) })
  expect(failure.said).toBe('body.messages.0: Field required')
})

test('a failure has the id of the header before the one of the body', () => {
  const body = '{"error":{"message":"no"},"request_id":"of-body"}'
  expect(failureOf({ status: 500, headers: { 'x-request-id': 'of-header' }, body }).requestId).toBe('of-header')
  expect(failureOf({ status: 500, headers: {}, body }).requestId).toBe('of-body')
})

test('a request id in the body comes before the one of a CDN', () => {
  const headers = { 'cf-ray': 'edge' }
  expect(failureOf({ status: 500, headers, body: '{"request_id":"r-1"}' }).requestId).toBe('r-1')
  expect(failureOf({ status: 500, headers, body: '{"error":{"message":"no","metadata":{"request_id":"r-2"}}}' }).requestId).toBe(
    'r-2',
  )
  expect(failureOf({ status: 500, headers, body: '{"error":{"message":"no (request_id: r-3abc)"}}' }).requestId).toBe('r-3abc')
  expect(failureOf({ status: 500, headers, body: 'nothing' }).requestId).toBe('edge')
})

test('whatever a body holds, there is a failure and no other error (R115)', () => {
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map(error => JSON.stringify({ error })),
    anyText(),
  )
  fc.assert(
    fc.property(fc.integer({ min: 300, max: 599 }), body, (status, text) => {
      const failure = failureOf({ status, headers: {}, body: text })
      expect(ProviderError.isInstance(failure)).toBe(true)
      expect(failure.message.length).toBeLessThan(600)
      expect((failure.said ?? '').length).toBeLessThanOrEqual(1_000)
    }),
  )
})

test('a huge error page is read in bounds', () => {
  const { error } = replayText('<p>x'.repeat(500_000), { status: 503 })
  expect(error?.reason).toBe('overloaded')
  expect(error!.message.length).toBeLessThan(600)
})

test('JSON in the text of an upstream is read only where it is as deep as answers are', () => {
  const failed = (rest: string) => {
    const raw = `{"error":{"message":"No room."},"x":${rest}}`
    return failureOf({ status: 502, headers: {}, body: JSON.stringify({ error: { message: 'Failed', metadata: { raw } } }) }).said
  }
  expect(failed('[[]]')).toBe('Failed: No room.')
  expect(failed('['.repeat(300) + ']'.repeat(300))).toContain('"message":"No room."')
})
