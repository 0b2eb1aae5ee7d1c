import { convertToModelMessages, stepCountIs, streamText, tool, type UIMessage } from 'ai'
import { createClient, deepseek } from 'unbusy'
import { unbusy } from 'unbusy/ai-sdk'
import { answer, startServer, status } from 'unbusy/testing'
import { z } from 'zod'

await using busy = await startServer(status(503))
await using server = await startServer([
  answer('', { reasoning: 'I look it up.', toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] }),
  answer(['It is ', 'cold.']),
])
const urls = [busy.baseURL, server.baseURL]

// #region route
const client = createClient({ chain: urls.map(baseURL => deepseek({ baseURL, apiKey: 'test' })) })

/** The chat route of a Next.js application. */
async function POST(request: Request): Promise<Response> {
  const { messages } = (await request.json()) as { messages: UIMessage[] }
  const result = streamText({
    model: unbusy(client),
    messages: await convertToModelMessages(messages),
    tools: { weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `${city}: -3 degrees` }) },
    stopWhen: stepCountIs(5),
    abortSignal: request.signal,
  })
  return result.toUIMessageStreamResponse({
    messageMetadata: ({ part }) => (part.type === 'finish-step' ? part.providerMetadata?.['unbusy'] : undefined),
  })
}
// #endregion

const messages = [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'Is it cold in Oslo?' }] }]
const response = await POST(new Request('http://localhost/api/chat', { method: 'POST', body: JSON.stringify({ messages }) }))
const lines = (await response.text()).split('\n').filter(line => line.startsWith('data: {'))
const parts = lines.map(line => JSON.parse(line.slice(6)) as { type: string; delta?: string; output?: string })
console.log(parts.map(({ output = '' }) => output).join(''))
console.log(parts.map(({ type, delta = '' }) => (type === 'text-delta' ? delta : '')).join(''))
await client.close()
//=> Oslo: -3 degrees
//=> It is cold.
