import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { ChainExhaustedError, createClient, deepseek } from 'unbusy'

const client = createClient({ chain: [deepseek({ baseURL: process.env['MODEL_URL'] })] })
const app = new Hono()

app.post('/chat', async context => {
  const { prompt } = await context.req.json<{ prompt: string }>()
  const { signal } = context.req.raw // fires when the tab is closed, perhaps before the first word
  try {
    const stream = await client.stream({ prompt, signal })
    return stream.toResponse({ keepAliveMs: 15_000 })
  } catch (error) {
    if (signal.aborted) return new Response(null, { status: 499 }) // nobody reads it
    if (!ChainExhaustedError.isInstance(error)) throw error
    const { status, message, retryAfterMs = 5_000 } = error
    return Response.json({ error: message }, { status, headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) } })
  }
})

serve({ fetch: app.fetch, port: Number(process.env['PORT'] ?? 3000) })
