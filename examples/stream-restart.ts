import { createClient, deepseek, openai } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using cut = await startServer(answer(['The ', 'sky ', 'is '], { cutAfterChunks: 2, cutBy: 'rst' }))
await using whole = await startServer(answer(['Rayleigh ', 'scattering.']), { format: 'openai' })

await using client = createClient({
  chain: [deepseek({ baseURL: cut.baseURL, apiKey: 'test', retry: 0 }), openai({ baseURL: whole.baseURL, apiKey: 'test' })],
  afterFirstToken: 'restart',
})

let shown = ''
for await (const event of await client.stream('Why is the sky blue?')) {
  if (event.type === 'text-delta') shown += event.text
  if (event.type === 'restart') {
    console.log(`${event.reason}: void is "${shown}", ${event.provider} begins anew`)
    shown = ''
  }
}
console.log(shown)
//=> …: void is "The sky ", openai begins anew
//=> Rayleigh scattering.
