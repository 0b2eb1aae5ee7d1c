import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer, status } from 'unbusy/testing'

await using busy = await startServer(status(503))
await using small = await startServer(answer('Rayleigh scattering.'), { format: 'llama' })

await using client = createClient({
  chain: [
    deepseek({ baseURL: busy.baseURL, apiKey: 'test', retry: 0 }),
    // a small model needs a plainer instruction, a lower temperature and a shorter conversation
    llama({
      baseURL: small.baseURL,
      prepare: ({ messages }) => ({
        temperature: 0.2,
        maxOutputTokens: 300,
        messages: [{ role: 'system', content: 'Answer in one short sentence.' }, ...messages.slice(-6)],
      }),
    }),
  ],
})

const { text } = await client.generate({ prompt: 'Why is the sky blue?', temperature: 0.8 })
console.log(text)
console.log(small.requests[0]?.body)
//=> Rayleigh scattering.
//=> …"content":"Answer in one short sentence."…"temperature":0.2…
