import { createClient } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

// One target asked six times: before retry n a random wait of up to 1, 2, 4, 8, 16, ... s, never above 30 s.
const clock = fakeClock()
const target = fakeTarget({ error: 'overloaded' })
const client = createClient({
  chain: [target],
  retry: { maxRetries: 5, baseDelayMs: 1_000, maxDelayMs: 30_000, rounds: 1 },
  breaker: false, // it would leave the target alone after three failures in a row
  clock, // virtual time: this program ends at once
  random: () => 1 - Number.EPSILON, // the longest wait of each range; without this line: full jitter
  onEvent: event => {
    if (event.type === 'wait') console.log(`wait ${Math.round(event.waitMs)} ms`)
  },
})

await clock.until(client.generate('Hi.')).catch(() => {})
console.log(`${target.provider.calls.length} attempts`)
//=> wait 1000 ms
//=> wait 2000 ms
//=> wait 4000 ms
//=> wait 8000 ms
//=> wait 16000 ms
//=> 6 attempts
