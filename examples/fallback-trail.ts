import { createClient, deepseek, llama, openai } from 'unbusy'
import { answer, startServer, status } from 'unbusy/testing'

await using busy = await startServer(status(503), { format: 'deepseek' })
await using limited = await startServer(status(429, undefined, { 'retry-after': '30' }), { format: 'openai' })
await using local = await startServer(answer('Because of Rayleigh scattering.'), { format: 'llama' })

await using client = createClient({
  chain: [
    deepseek({ baseURL: busy.baseURL, apiKey: 'test' }),
    openai({ baseURL: limited.baseURL, apiKey: 'test' }),
    llama({ baseURL: local.baseURL }),
  ],
})

const result = await client.generate('Why is the sky blue?')

console.log(result.text)
for (const { provider, attempt, outcome, status: code, reason } of result.attempts) {
  console.log(`${provider} attempt ${attempt}: ${outcome}${reason === undefined ? '' : `, ${code} ${reason}`}`)
}
//=> Because of Rayleigh scattering.
//=> deepseek attempt 1: failed, 503 overloaded
//=> deepseek attempt 2: failed, 503 overloaded
//=> openai attempt 1: failed, 429 rate-limit
//=> llama attempt 1: answered
