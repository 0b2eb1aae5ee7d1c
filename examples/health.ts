import { createClient } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

await using client = createClient({
  chain: [fakeTarget({ error: 'rate-limit', retryAfterMs: 30_000 }, { name: 'limited' }), fakeTarget('Hi.', { name: 'up' })],
})
await client.generate('Hi.')
await client.generate('Hi.') // asks only the second one: the first is gated for 30 s, for every call of this client

for (const { provider, state, reason, retriesLeft } of client.health()) console.log(provider, state, reason, retriesLeft)
//=> limited gated rate-limit 5
//=> up closed undefined 5
