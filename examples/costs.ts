import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

const usage = { inputTokens: 1_000, outputTokens: 500 }
await using breaking = await startServer(answer(['Hel', 'lo.'], { cutAfterChunks: 1 }))
await using local = await startServer(answer('Hello.', { usage }), { format: 'llama' })

await using client = createClient({
  chain: [
    deepseek({ baseURL: breaking.baseURL, apiKey: 'test', retry: 0, price: { input: 0.3, output: 1.2 } }),
    llama({ baseURL: local.baseURL, price: { input: 0.1, output: 0.4 } }), // your estimate of what your own machine costs
  ],
})

const { cost, costs, attempts } = await client.generate({ prompt: 'Hi.', maxOutputTokens: 1_000 })
console.log(cost, costs)
for (const { provider, outcome, cost: dollars, worstCost } of attempts) console.log(provider, outcome, dollars, worstCost)
//=> 0.0003 {
//=> answered: 0.0003,
//=> wasted: 0,
//=> unknownAttempts: 1,
//=> estimated: 0.00120…
//=> }
//=> deepseek failed undefined 0.00120…
//=> llama answered 0.0003 undefined
