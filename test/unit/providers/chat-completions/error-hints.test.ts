import { expect, test } from 'vitest'
import { concurrencyLimitIn, retryHintMs } from '../../../../src/providers/chat-failure/error-hints.ts'

test.each([
  ['Please try again in 41.724s.', 41_724],
  ['Please try again in 300ms', 300],
  ['Please try again in 6m0s.', 360_000],
  ['Please try again in 1h2m3s', 3_723_000],
  ['Please retry after 30 seconds.', 30_000],
  ['Retry in 2 minutes', 120_000],
  ['Wait 1.5 s and try again', 1500],
  ['Please try again in 1,500 ms.', 1500],
  ['Please try again in one minute.', 60_000],
  ['Please wait a minute before retrying.', 60_000],
  ['Next request allowed in 15s', 15_000],
  ['Please back off for 15 seconds', 15_000],
  ['At most 30 s of audio are allowed, 5 m in all', undefined],
  ['Only 100 requests are allowed in 1 day', undefined],
  ['Please retry in a few seconds.', undefined],
  ['The limit resets once a day.', undefined],
  ['Please try again later', undefined],
  ['Please try again in 5 parsecs', undefined],
  ['Try again with at most 3 tools', undefined],
  ['The limit of 30s is reached', undefined],
])('%s -> %s ms', (text, ms) => {
  expect(retryHintMs(text)).toBe(ms)
})

test.each([
  ['exceeds your concurrency limit of 25 based on your remaining balance', 25],
  ['Concurrent request limit is 8', 8],
  ['over the limit of 39 concurrent requests', 39],
  ['Your concurrency is 26', undefined],
])('%s -> %s at once', (text, limit) => {
  expect(concurrencyLimitIn(text)).toBe(limit)
})
