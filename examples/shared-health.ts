import { createClient, deepseek, sharedHealth } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using server = await startServer(answer('Hello.', { headersAfterMs: 100 }), { format: 'deepseek' })

const health = sharedHealth() // in a fleet: sharedHealth({ store: redisHealth(redis) })
const target = () => deepseek({ baseURL: server.baseURL, apiKey: 'test', limits: { concurrency: 2 } })
await using chat = createClient({ chain: [target()], health })
await using search = createClient({ chain: [target()], timeout: { totalMs: 10_000 }, health })

const calls = [chat, search, chat, search].map(async client => client.generate('Hi.'))
await server.untilRequests(2)
const { inFlight, limit, waiting } = search.health()[0] ?? {}
console.log({ inFlight, limit, waiting })
await Promise.all(calls)
//=> { inFlight: 2, limit: 2, waiting: 2 }
