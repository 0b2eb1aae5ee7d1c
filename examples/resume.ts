import { createClient, deepseek, StreamInterruptedError } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using server = await startServer([
  answer(['The ', 'sky '], { cutAfterChunks: 2, cutBy: 'rst' }),
  answer(['is ', 'blue.']), // what a model answers that continues "The sky "
])
await using client = createClient({ chain: [deepseek({ baseURL: server.baseURL, apiKey: 'test' })] })

const stream = await client.stream({ prompt: 'Why is the sky blue?', reasoning: 'off' })
try {
  for await (const event of stream) if (event.type === 'text-delta') console.log(event.text)
} catch (error) {
  if (!StreamInterruptedError.isInstance(error)) throw error
  console.log(`broke off (${error.failure?.reason}), kept: "${error.text}"`)
  const rest = await stream.resume() // now, or when the user presses a button
  console.log(await rest.text())
}
//=> The
//=> sky
//=> broke off (…), kept: "The sky "
//=> The sky is blue.
