import assert from 'node:assert/strict'
import { type Client, createClient } from 'unbusy'
import { fakeClock, fakeTarget, recordEvents } from 'unbusy/testing'

/** Your code. It takes the client, so that a test can pass a client with fake targets. */
async function summarise(client: Client, text: string): Promise<string> {
  const { text: summary, degraded } = await client.generate(`Summarise in one sentence: ${text}`)
  return degraded ? 'There is no summary today.' : summary
}

// The first target is silent for ever: after 15 s without headers the second one answers. The test takes no time.
const clock = fakeClock()
const events = recordEvents()
const silent = fakeTarget({ hang: true }, { name: 'silent' })
const good = fakeTarget('Short.', { name: 'good' })
const client = createClient({ chain: [silent, good], clock, hedge: false, onEvent: events.listener })

assert.equal(await clock.until(summarise(client, 'A long text.')), 'Short.')
assert.deepEqual(
  events.attempts().map(({ provider, reason, clock: name }) => [provider, reason, name]),
  [
    ['silent', 'timeout', 'headers'],
    ['good', undefined, undefined],
  ],
)
assert.equal(good.provider.calls[0]?.call.messages[0]?.content, 'Summarise in one sentence: A long text.')
events.assertPaired()
console.log(`good after ${clock.now()} virtual milliseconds`)
//=> good after 15000 virtual milliseconds
