import { createClient, deepseek } from 'unbusy'
import { hang, startServer } from 'unbusy/testing'

await using silent = await startServer(hang())
await using client = createClient({ chain: [deepseek({ baseURL: silent.baseURL, apiKey: 'test' })] })

const controller = new AbortController()
const call = client.generate({ prompt: 'Hi.', signal: controller.signal })
await silent.untilRequests(1)
controller.abort(new Error('The user went home.'))

await call.catch((error: unknown) => console.log(`rejected with the very reason: ${error === controller.signal.reason}`))
await silent.requests[0]?.closed
console.log(`the request was closed: ${silent.requests[0]?.aborted}`)
//=> rejected with the very reason: true
//=> the request was closed: true
