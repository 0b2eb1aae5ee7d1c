import { expect, test } from 'vitest'
import { concurrencyLimitIn, contextNumbers, retryHintMs } from '../../../../src/providers/chat-completions/error-hints.ts'

test.each([
  ['Please try again in 41.724s.', 41_724],
  ['Please try again in 300ms', 300],
  ['Please try again in 6m0s.', 360_000],
  ['Please try again in 1h2m3s', 3_723_000],
  ['Please retry after 30 seconds.', 30_000],
  ['Retry in 2 minutes', 120_000],
  ['Wait 1.5 s and try again', 1500],
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

test.each([
  ['maximum context length is 1,048,576 tokens. However, you requested 1,060,000 tokens', 1_048_576, 1_060_000],
  [
    "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only 4096 tokens",
    4096,
    5100,
  ],
  ['prompt is too long: 208310 tokens > 200000 maximum', 200_000, 208_310],
  ["This model's maximum prompt length is 131072 but the request contains 537812 tokens", 131_072, 537_812],
  ['The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)', 1_048_575, 1_196_265],
  ['Your input exceeds the context window of this model', undefined, undefined],
])('%s', (text, contextTokens, requestedTokens) => {
  expect(contextNumbers(text)).toEqual({ contextTokens, requestedTokens })
})
