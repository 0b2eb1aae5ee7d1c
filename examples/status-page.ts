import { createServer } from 'node:http'
import { createClient } from 'unbusy'
import { statusFetch, statusHandler } from 'unbusy/status'
import { fakeTarget } from 'unbusy/testing'

await using chat = createClient({ chain: [fakeTarget('Hello.')] })
await using search = createClient({ chain: [fakeTarget('Hello.')] })

const server = createServer(statusHandler({ chat, search })) // Express and Fastify: app.get('/status', statusHandler(chat))
const handler = statusFetch(chat) // Hono: app.get('/status', statusFetch(chat)); Next.js: export const GET = statusFetch(chat)

await chat.generate('Hi.')
const { verdict } = (await handler(new Request('http://localhost/status')).json()) as { verdict: { title: string } }
console.log(verdict.title)
server.close()
//=> Every call gets an answer
