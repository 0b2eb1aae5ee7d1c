import { z } from 'zod'
import { array, createClient, llama } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using server = await startServer(answer('{"elements": [{"name": "Minka"}, {"name": "Tiger"}]}'), { format: 'llama' })
await using client = createClient({ chain: [llama({ baseURL: server.baseURL })] })

const stream = await client.stream({ prompt: 'Two names for a cat.', output: array(z.object({ name: z.string() })) })

for await (const event of stream) {
  if (event.type === 'element') console.log(`${event.index + 1}. ${event.element.name}`)
}
const { output } = await stream.result()
console.log(`${output.length} names in all`)
//=> 1. Minka
//=> 2. Tiger
//=> 2 names in all
