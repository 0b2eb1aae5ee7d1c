import { ChatOpenAI } from '@langchain/openai'
import { createClient, deepseek, llama } from 'unbusy'
import { openaiOptions } from 'unbusy/openai'

const client = createClient({ chain: [deepseek({ baseURL: process.env['MODEL_URL'] }), llama()] })
// its own six retries would ask the whole chain again, each time
const model = new ChatOpenAI({ model: 'any', apiKey: '-', maxRetries: 0, configuration: openaiOptions(client) })

for await (const { content } of await model.stream('Why is the sky blue?')) process.stdout.write(String(content))
await client.close()
