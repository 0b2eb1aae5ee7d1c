import { subscribe } from 'node:diagnostics_channel'
import { createClient } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

// needs no access to the client; each event has a clientId, as call ids count per client
subscribe('unbusy:call', event => {
  if (typeof event === 'object' && event !== null && 'type' in event) console.log(event.type)
})

await using client = createClient({
  chain: [fakeTarget('Hello.')],
  telemetry: [
    {
      // the promise of run() rejects if the request fails; a rejection of what you return is ignored
      around: ({ provider, attempt }, run) => run().finally(() => console.log(`${provider} ${attempt} is over`)),
      headers: () => ({ 'x-team': 'search' }),
    },
  ],
})
await client.generate('Hi.')
//=> call-start
//=> fake 1 is over
//=> commit
//=> call-end
