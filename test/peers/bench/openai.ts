import OpenAI from 'openai'
import { model, prompt } from '../../bench/clients/client.ts'
import type { BenchClient } from '../../bench/clients/client.ts'

const messages = [{ role: 'user' as const, content: prompt }]
const clientFor = (baseURL: string): OpenAI => new OpenAI({ baseURL, apiKey: 'x', maxRetries: 0 })

const send = async (client: OpenAI): Promise<string> => {
  const completion = await client.chat.completions.create({ model, messages })
  return completion.choices[0]?.message.content ?? ''
}

const readStream = async (client: OpenAI, onFirst?: () => void): Promise<string> => {
  let text = ''
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    const content = chunk.choices[0]?.delta.content ?? ''
    if (content !== '' && text === '') onFirst?.()
    text += content
  }
  return text
}

export const openai: BenchClient = {
  name: 'openai',
  call(baseURL) {
    const client = clientFor(baseURL)
    return () => send(client)
  },
  stream(baseURL) {
    const client = clientFor(baseURL)
    return (onFirst) => readStream(client, onFirst)
  },
  fallback(busyURL, baseURL) {
    const busy = clientFor(busyURL)
    const client = clientFor(baseURL)
    return () => send(busy).catch(() => send(client))
  },
}
