import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer, status } from 'unbusy/testing'

await using cloud = await startServer(status(500))
await using local = await startServer(answer('From here.'), { format: 'llama' })

await using client = createClient({
  chain: [
    deepseek({ name: 'cloud', baseURL: cloud.baseURL, apiKey: 'test', retry: 5, price: { input: 0.3, output: 1.2 } }),
    llama({ name: 'local', baseURL: local.baseURL }), // costs nothing, so that no budget keeps it away
  ],
  budget: { dollars: 10, perMs: 86_400_000 }, // all calls together, in any 24 hours
})

// a 500 may be billed, so each counts with its maximum cost: three requests are sent, not six
const { text, attempts } = await client.generate({ prompt: 'Hi.', maxOutputTokens: 1_000, maxCost: 0.004 })
console.log(text)
for (const { name, reason, message } of attempts) console.log(name, reason, message)
//=> From here.
//=> cloud server-error …
//=> cloud server-error …
//=> cloud server-error …
//=> cloud budget It may cost up to $0.0012, but only $0.000399 of the `maxCost` of the call is left.
//=> local undefined undefined
