import { createClient } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

const clock = fakeClock()
const small = fakeTarget({ text: 'From the small one.', firstChunkAfterMs: 2_000 }, { name: 'small', limits: { concurrency: 1 } })
const paid = fakeTarget('From the paid one.', { name: 'paid', limits: { requestsPerMinute: 1 } })
const client = createClient({ chain: [small, paid], clock })

const calls = ['one', 'two', 'three'].map(async prompt => {
  const { provider, attempts } = await client.generate(prompt)
  console.log(`${prompt}: ${provider} after ${clock.now()} ms`)
  return attempts
})
const [, second] = await clock.until(Promise.all(calls))
console.log(second?.[0]?.message)
console.log(client.health()[1]?.limits?.requestsPerMinute)
//=> two: paid after 0 ms
//=> one: small after 2000 ms
//=> three: small after 4000 ms
//=> 1 of 1 requests are in flight (limits.concurrency).
//=> { limit: 1, used: 1 }
