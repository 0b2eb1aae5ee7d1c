import { createClient, deepseek } from 'unbusy'
import { serve } from 'unbusy/gateway'
import { answer, startServer, status } from 'unbusy/testing'

await using busy = await startServer(status(503))
await using server = await startServer(answer('Because of Rayleigh scattering.'))
const [first, second] = [busy, server].map(({ baseURL }) => deepseek({ baseURL, apiKey: 'test' }))

await using gateway = await serve({
  routes: {
    chat: { chain: [first, second].filter(target => target !== undefined) },
    fast: createClient({ chain: [deepseek()] }),
  },
  keys: ['the-key-of-the-shop'],
  port: 0,
})

const response = await fetch(`${gateway.url}/v1/chat/completions`, {
  method: 'POST',
  headers: { authorization: 'Bearer the-key-of-the-shop' },
  body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Why is the sky blue?' }] }),
})
const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
console.log(choices[0]?.message.content)
console.log(`target ${response.headers.get('x-unbusy-target')}, ${response.headers.get('x-unbusy-attempts')} requests`)
//=> Because of Rayleigh scattering.
//=> target 1, 3 requests
