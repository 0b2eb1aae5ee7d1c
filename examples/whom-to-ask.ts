import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer, status } from 'unbusy/testing'

await using cloud = await startServer([answer('From the cloud.'), status(401)])
await using local = await startServer(answer('From here.'), { format: 'llama' })

await using client = createClient({
  chain: [deepseek({ name: 'cloud', baseURL: cloud.baseURL, apiKey: 'test' }), llama({ name: 'local', baseURL: local.baseURL })],
})

const { text } = await client.generate('Hi.')
console.log(text)
// this one must stay on this machine
const { text: here } = await client.generate({ prompt: 'My diary: …', targets: ['local'] })
console.log(here)
// an evaluation compares models: an answer of another model would be worse than none
await client.generate({ prompt: 'Hi.', fallback: false }).catch((error: Error) => console.log(error.message))
//=> From the cloud.
//=> From here.
//=> No target answered (authentication).…
