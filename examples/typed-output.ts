import { z } from 'zod'
import { createClient, deepseek, openai } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

const recipe = z.object({ name: z.string(), minutes: z.number() })

const wrong = answer('Sure: {"name": "Lasagna", "minutes": "ninety"}')
await using chatty = await startServer(wrong, { format: 'deepseek' })
await using exact = await startServer(answer('{"name":"Lasagna","minutes":90}'), { format: 'openai' })

await using client = createClient({
  chain: [deepseek({ baseURL: chatty.baseURL, apiKey: 'test' }), openai({ baseURL: exact.baseURL, apiKey: 'test' })],
})

const { output, attempts } = await client.generate({ prompt: 'A recipe.', output: recipe })

console.log(`${output.name}: ${output.minutes + 15} minutes with the oven`)
for (const { provider, reason = 'answered' } of attempts) console.log(`${provider}: ${reason}`)
//=> Lasagna: 105 minutes with the oven
//=> deepseek: invalid-output
//=> openai: answered
