import { createClient, llama, ollama } from 'unbusy'
import { answer, json, startServer } from 'unbusy/testing'

const system = 'You answer questions about our terms of service. ...'

await using big = await startServer(answer('Yes.'), { format: 'llama' })
await using small = await startServer(answer('Yes.'), {
  format: 'ollama',
  routes: { 'POST /api/generate': json({ done: true }) },
})
await using client = createClient({
  chain: [
    // the prompt that all calls share stays in the cache
    llama({ baseURL: big.baseURL, keepWarm: { prompt: system, everyMs: 60_000 } }),
    // the model stays in memory
    ollama('deepseek-r1:8b', { baseURL: small.baseURL, keepWarm: { model: true } }),
  ],
  onEvent(event) {
    if (event.type === 'keep-warm') console.log(`${event.provider}: ${event.job} ${event.ok ? 'is warm' : event.reason}`)
  },
})

// before the service says that it is ready
const warmed = await client.warmUp({ timeoutMs: 60_000 })
console.log(warmed.every(({ ok }) => ok))
console.log((await client.generate({ system, prompt: 'May I cancel?' })).text)
//=> true
//=> Yes.
