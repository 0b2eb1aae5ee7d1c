import { createClient, deepseek, openai } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using cut = await startServer(answer(['The ', 'sky ', 'is '], { cutAfterChunks: 2, cutBy: 'rst' }))
await using whole = await startServer(answer(['Rayleigh ', 'scattering.']), { format: 'openai' })

await using client = createClient({
  chain: [deepseek({ baseURL: cut.baseURL, apiKey: 'test', retry: 0 }), openai({ baseURL: whole.baseURL, apiKey: 'test' })],
  afterFirstToken: 'restart',
})

let shown = ''
const stream = await client.stream('Why is the sky blue?')
console.log(`${stream.answeredBy.provider} begins`)
for await (const event of stream) {
  if (event.type === 'text-delta') shown += event.text
  if (event.type === 'restart') {
    console.log(`${event.reason}: discard "${shown}", ${event.provider} starts again`)
    shown = ''
  }
}
console.log(shown)
console.log(stream.answeredBy)
//=> deepseek begins
//=> …: discard "The sky ", openai starts again
//=> Rayleigh scattering.
//=> {
//=> provider: 'openai',
//=> …
//=> targetIndex: 1,
//=> step: 1,
//=> attempt: 1
//=> }
