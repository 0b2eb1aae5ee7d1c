import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer, status } from 'unbusy/testing'

await using busy = await startServer(status(503))
await using local = await startServer(answer('Hello.'), { format: 'llama' })

await using client = createClient({
  chain: [deepseek({ baseURL: busy.baseURL, apiKey: 'test' }), llama({ baseURL: local.baseURL })],
  onEvent: event => console.log('provider' in event ? `${event.type} ${event.provider}` : event.type),
})
await client.generate({ prompt: 'Hi.', metadata: { user: 'u-17' } }) // metadata is part of call-start, and is not sent
//=> call-start
//=> attempt-start deepseek
//=> attempt-end deepseek
//=> wait deepseek
//=> attempt-start deepseek
//=> attempt-end deepseek
//=> attempt-start llama
//=> attempt-end llama
//=> commit llama
//=> call-end llama
