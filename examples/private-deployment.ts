import { createClient, pool, textGeneration, vllm } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using gpu1 = await startServer(answer('From replica 1.'), { format: 'vllm' })
await using gpu2 = await startServer(answer('From replica 2.'), { format: 'vllm' })
await using plain = await startServer(answer('From POST /generate.'), { format: 'text-generation' })

await using client = createClient({
  chain: [
    // two replicas as one step: the less busy one is asked first, the other one when it fails
    pool([vllm('r1', { baseURL: gpu1.baseURL }), vllm('r1', { baseURL: gpu2.baseURL })]),
    textGeneration({ baseURL: plain.baseURL }), // POST /generate { prompt } -> { response }
  ],
})

await gpu1.down()
console.log((await client.generate('Who are you?')).text)
await gpu2.down()
console.log((await client.generate('Who are you?')).text)
//=> From replica 2.
//=> From POST /generate.
