import { ChainExhaustedError, createClient } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

await using client = createClient({
  chain: [
    fakeTarget({ error: 'rate-limit', retryAfterMs: 40_000 }, { name: 'first' }),
    fakeTarget({ error: 'rate-limit', retryAfterMs: 20_000 }, { name: 'second' }),
  ],
  timeout: { totalMs: 5_000 },
})

try {
  await client.generate('Hi.')
} catch (error) {
  if (!ChainExhaustedError.isInstance(error)) throw error
  console.log(error.status, error.reason, error.retryAfterMs) // fit for your own answer: 429 and Retry-After
  for (const { provider, status, reason } of error.failures) console.log(provider, status, reason)
}
//=> 429 rate-limit 20000
//=> first 429 rate-limit
//=> second 429 rate-limit
