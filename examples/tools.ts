import { z } from 'zod'
import { createClient, deepseek, runTools } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using server = await startServer(
  [answer('', { toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] }), answer('Yes, it is -3 °C in Oslo.')],
  { format: 'deepseek' },
)
await using client = createClient({ chain: [deepseek({ baseURL: server.baseURL, apiKey: 'test' })] })

const { text, steps } = await runTools(client, 'Is it cold in Oslo?', {
  tools: {
    weather: {
      description: 'The temperature in a city, in degrees Celsius.',
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => (city === 'Oslo' ? -3 : 18),
    },
  },
})

console.log(text)
for (const { toolName, input, result } of steps.flatMap(step => step.toolResults)) console.log(toolName, input, result)
//=> Yes, it is -3 °C in Oslo.
//=> weather { city: 'Oslo' } -3
