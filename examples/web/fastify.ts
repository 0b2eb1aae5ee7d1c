import fastify from 'fastify'
import { ChainExhaustedError, createClient, deepseek } from 'unbusy'

const client = createClient({ chain: [deepseek({ baseURL: process.env['MODEL_URL'] })] })
const app = fastify()

app.post('/chat', async (request, reply) => {
  const { prompt } = request.body as { prompt: string }
  const leaving = new AbortController()
  reply.raw.on('close', () => leaving.abort()) // the tab was closed, perhaps before the first word
  try {
    const stream = await client.stream({ prompt, signal: leaving.signal })
    reply.hijack() // from here on the response is ours; headers that plugins set are in reply.getHeaders()
    await stream.pipe(reply.raw, { keepAliveMs: 15_000 })
  } catch (error) {
    if (leaving.signal.aborted) return reply.hijack()
    if (!ChainExhaustedError.isInstance(error)) throw error
    const { status, message, retryAfterMs = 5_000 } = error
    return reply
      .code(status)
      .header('retry-after', Math.ceil(retryAfterMs / 1_000))
      .send({ error: message })
  }
})

await app.listen({ port: Number(process.env['PORT'] ?? 3000) })
