import { createClient, pool, vllm } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using first = await startServer(answer('Yes.'), { format: 'vllm' })
await using second = await startServer(answer('Yes.'), { format: 'vllm' })

const replicas = [first, second].map(({ baseURL }) => vllm('r1', { baseURL }))
await using client = createClient({ chain: [pool(replicas)] })

// each turn of a conversation goes to the replica that has its beginning in the prompt cache
for (let turn = 0; turn < 4; turn++) await client.generate({ prompt: 'And then?', tag: 'conversation 7' })

const answered = [first, second].map(({ requests }) => requests.filter(({ method }) => method === 'POST').length)
console.log(answered.toSorted((one, other) => one - other))
//=> [ 0, 4 ]
