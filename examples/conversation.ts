import { createClient, type Message, openaiCompatible } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'
import { z } from 'zod'

// Gemini signs its tool calls, and answers 400 to a conversation in which a signature is missing
const extra = { extra_content: { google: { thought_signature: 'c2lnbmVk' } } }
await using server = await startServer(
  [answer('', { toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' }, extra }] }), answer('Yes, it is -3 °C in Oslo.')],
  { format: 'openai' },
)
await using client = createClient({
  chain: [openaiCompatible('gemini-3-flash', { name: 'gemini', baseURL: server.baseURL, apiKey: 'test' })],
})

const messages: Message[] = [{ role: 'user', content: 'Is it cold in Oslo?' }]
const tools = { weather: { inputSchema: z.object({ city: z.string() }) } }
const asked = await client.generate({ messages, tools })
messages.push(asked.message)
for (const { toolCallId, toolName } of asked.toolCalls) {
  messages.push({ role: 'tool', toolCallId, toolName, content: '-3' })
}
const { text } = await client.generate({ messages, tools })

console.log(text)
console.log('signature sent back:', server.requests[1]?.body.includes('c2lnbmVk'))
//=> Yes, it is -3 °C in Oslo.
//=> signature sent back: true
