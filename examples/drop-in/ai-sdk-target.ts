import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { createClient, deepseek } from 'unbusy'
import { aiSdk } from 'unbusy/ai-sdk'

const provider = createOpenAICompatible({ name: 'mine', baseURL: process.env['MODEL_URL'] ?? '', includeUsage: true })
const client = createClient({
  chain: [aiSdk(provider('my-model'), { price: { input: 0.1, output: 0.4 } }), deepseek()],
})
const { text } = await client.generate('Why is the sky blue?')
process.stdout.write(text)
await client.close()
