import { pino } from 'pino'
import { createClient, deepseek, llama } from 'unbusy'
import { answer, startServer, status } from 'unbusy/testing'

await using busy = await startServer(status(503))
await using local = await startServer(answer('Hello.'), { format: 'llama' })

await using client = createClient({
  chain: [deepseek({ baseURL: busy.baseURL, apiKey: 'test', retry: 0 }), llama({ baseURL: local.baseURL })],
  logger: pino(), // a line for each failed attempt, each call, each change of health; no prompt, no answer, no key
})
await client.generate('This text is in no line.')
//=> {"level":40,…"provider":"deepseek",…"reason":"overloaded",…"status":503,…"msg":"attempt failed"}
//=> {"level":30,…"outcome":"answered","provider":"llama",…"msg":"call answered"}
