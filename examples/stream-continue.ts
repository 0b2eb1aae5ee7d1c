import { createClient, deepseek } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using server = await startServer([
  answer(['The ', 'sky ', 'is '], { cutAfterChunks: 2, cutBy: 'rst' }),
  answer(['is ', 'blue.']), // what a model answers that continues "The sky "
])
await using client = createClient({
  chain: [deepseek({ baseURL: server.baseURL, apiKey: 'test' })],
  afterFirstToken: 'continue',
})

const stream = await client.stream({ prompt: 'Why is the sky blue?', reasoning: 'off' })
for await (const event of stream) {
  if (event.type === 'text-delta') console.log(event.text)
  if (event.type === 'continue') console.log(`(continues after ${event.characters} characters)`)
}
console.log(await stream.text())
console.log(server.requests[1]?.path)
//=> The
//=> sky
//=> (continues after 8 characters)
//=> is
//=> blue.
//=> The sky is blue.
//=> /beta/chat/completions
