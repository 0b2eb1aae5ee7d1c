import { createClient } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'

await using client = createClient({
  chain: [fakeTarget({ error: 'server-error' }, { name: 'first' }), fakeTarget('Hello.', { name: 'second' })],
  // a server error is not worth a second try here; an unknown model is a mistake of ours: no other target may hide it
  decide: ({ reason }) => (reason === 'server-error' ? 'next' : reason === 'not-found' ? 'stop' : undefined),
})

const { attempts } = await client.generate('Hi.')
for (const { provider, attempt, outcome } of attempts) console.log(`${provider} ${attempt} ${outcome}`)
//=> first 1 failed
//=> second 1 answered
