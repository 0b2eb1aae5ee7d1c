import express from 'express'
import { ChainExhaustedError, createClient, deepseek } from 'unbusy'

const client = createClient({ chain: [deepseek({ baseURL: process.env['MODEL_URL'] })] })
const app = express()

app.post('/chat', express.json(), async (request, response) => {
  const { prompt } = request.body as { prompt: string }
  const leaving = new AbortController()
  response.on('close', () => leaving.abort()) // the tab was closed, perhaps before the first word
  try {
    const stream = await client.stream({ prompt, signal: leaving.signal })
    await stream.pipe(response, { keepAliveMs: 15_000 })
  } catch (error) {
    if (leaving.signal.aborted) return
    if (!ChainExhaustedError.isInstance(error)) throw error
    const { status, message, retryAfterMs = 5_000 } = error
    response
      .status(status)
      .set('retry-after', String(Math.ceil(retryAfterMs / 1_000)))
      .json({ error: message })
  }
})

app.listen(Number(process.env['PORT'] ?? 3000))
