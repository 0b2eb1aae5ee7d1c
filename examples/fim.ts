import { deepseekFim } from 'unbusy'
import { json, startServer } from 'unbusy/testing'

await using server = await startServer(json({ choices: [{ text: '    total = a + b', finish_reason: 'stop' }] }))

const { text, finishReason } = await deepseekFim({
  prompt: 'def add(a, b):\n',
  suffix: '\n    return total',
  maxOutputTokens: 64,
  apiKey: 'test', // DEEPSEEK_API_KEY when it is not given
  baseURL: server.url,
})
console.log(JSON.stringify(text), finishReason, server.requests[0]?.path)
//=> "    total = a + b" stop /beta/completions
