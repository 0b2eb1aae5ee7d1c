import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

// DeepSeek breaks off after two words
await using cut = await startServer(answer('Once upon a time.', { cutAfterChunks: 2 }))
await using local = await startServer(answer('Es war einmal.'), { format: 'llama' })

await using client = createClient({
  chain: [deepseek({ baseURL: cut.baseURL, apiKey: 'test', retry: { maxRetries: 0 } }), llama({ baseURL: local.baseURL })],
})

// nothing is shown before the whole answer is there: a break can still be healed by another target
const stream = await client.stream({ prompt: 'Tell me a story.', holdBackChars: Infinity })
let text = ''
for await (const event of stream) if (event.type === 'text-delta') text += event.text
console.log(`${stream.answeredBy.provider}: ${text}`)
//=> llama: Es war einmal.
