import { OpenAI } from '@llamaindex/openai'
import { createClient, deepseek, llama } from 'unbusy'
import { openaiOptions } from 'unbusy/openai'

const client = createClient({ chain: [deepseek({ baseURL: process.env['MODEL_URL'] }), llama()] })
const { fetch, ...options } = openaiOptions(client)
const llm = new OpenAI({ model: 'gpt-4o', ...options, additionalSessionOptions: { fetch } })

const { message } = await llm.chat({ messages: [{ role: 'user', content: 'Why is the sky blue?' }] })
process.stdout.write(String(message.content))
await client.close()
