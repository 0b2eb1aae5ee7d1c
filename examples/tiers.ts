import { type Call, createClient, deepseek, llama, openai, vllm } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using internet = await startServer(answer('From outside.'), { format: 'deepseek' })
await using dataCentre = await startServer(answer('From our data centre.'), { format: 'vllm' })
await using machine = await startServer(answer('From this machine.'), { format: 'llama' })

const isPublic = (call: Call) => call.metadata['confidential'] !== true

await using client = createClient({
  chain: [
    deepseek({ baseURL: internet.baseURL, apiKey: 'test', when: isPublic }),
    openai({ baseURL: internet.baseURL, apiKey: 'test', when: isPublic }),
    vllm('r1', { baseURL: dataCentre.baseURL }),
    llama({ baseURL: machine.baseURL }),
  ],
})

console.log((await client.generate('What is new?')).text)
const { text, attempts } = await client.generate({ prompt: 'Summarise the contract.', metadata: { confidential: true } })
console.log(text)
console.log(attempts.map(({ provider, outcome }) => `${provider} ${outcome}`).join(', '))
console.log(`${internet.requests.length} request left our network`)
//=> From outside.
//=> From our data centre.
//=> deepseek skipped, openai skipped, vllm answered
//=> 1 request left our network
