import { createClient } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

const clock = fakeClock()
const slow = fakeTarget({ text: 'Late.', firstChunkAfterMs: 12_000 }, { name: 'slow' })
const quick = fakeTarget({ text: 'In time.', firstChunkAfterMs: 500 }, { name: 'quick' })
const client = createClient({
  chain: [slow, quick],
  hedge: { budget: 0.02 }, // about one call in fifty may ask twice
  clock,
})

const { text, attempts } = await clock.until(client.generate('Hi.'))
console.log(text)
for (const { provider, outcome, durationMs } of attempts) console.log(`${provider} ${outcome} after ${durationMs} ms`)
//=> In time.
//=> slow abandoned after 4500 ms
//=> quick answered after 500 ms
