import { createClient, deepseek } from 'unbusy'
import { startServer, status } from 'unbusy/testing'

await using busy = await startServer(status(503))

await using client = createClient({
  chain: [deepseek({ baseURL: busy.baseURL, apiKey: 'test' })],
  defaultResponse: failures => `Please try again in a minute (${failures.length} attempts failed).`,
})

const { text, degraded, provider } = await client.generate('Why is the sky blue?')
console.log(text)
console.log({ degraded, provider })
//=> Please try again in a minute (2 attempts failed).
//=> { degraded: true, provider: 'default' }
