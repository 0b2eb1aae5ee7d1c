import { createClient, deepseek } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

const reply = answer(['Once ', 'upon ', 'a ', 'time.'], { reasoning: ['A ', 'story.'], keepAlives: 2 })
await using server = await startServer(reply)
await using client = createClient({ chain: [deepseek({ baseURL: server.baseURL, apiKey: 'test' })] })

const stream = await client.stream('Tell me a story.')
for await (const event of stream) {
  if (event.type === 'reasoning-delta') console.log(`thinks: ${event.text}`)
  if (event.type === 'text-delta') console.log(`says: ${event.text}`)
  if (event.type === 'finish') console.log(`ends: ${event.finishReason}`)
}
const { usage } = await stream.result()
console.log(`${usage.outputTokens} tokens`)
//=> thinks: A
//=> thinks: story.
//=> says: Once
//=> says: upon
//=> says: a
//=> says: time.
//=> ends: stop
//=> 6 tokens
