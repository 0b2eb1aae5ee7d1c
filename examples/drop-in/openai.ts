import OpenAI from 'openai'
import { createClient, deepseek, llama } from 'unbusy'
import { openaiOptions } from 'unbusy/openai'

const client = createClient({ chain: [deepseek({ baseURL: process.env['MODEL_URL'] }), llama()] })
const openai = new OpenAI(openaiOptions(client))

const stream = await openai.chat.completions.create({
  model: 'any', // the chain decides
  messages: [{ role: 'user', content: 'Why is the sky blue?' }],
  stream: true,
})
for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? '')
await client.close()
