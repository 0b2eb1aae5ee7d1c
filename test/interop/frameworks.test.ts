import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createClient } from 'unbusy'
import { chatFetch, chatHandler } from 'unbusy/openai'
import { fakeTarget } from 'unbusy/testing'
import { describe, expect, test } from 'vitest'
import { peers } from '../helpers/peers.ts'

const group = peers('web')
// their types are beside the packages, which are not installed everywhere
type Context = { readonly req: { readonly raw: Request } }
type Hono = {
  readonly Hono: new () => { all(path: string, handler: (context: Context) => unknown): void; readonly fetch: unknown }
}
type NodeServer = { serve(options: object, listening: () => void): Server }
type Handler = (...args: never[]) => unknown
type App = {
  use(handler: Handler): void
  get(path: string, handler: (request: unknown, response: { send(text: string): void }) => void): void
  listen(port: number, host: string): Server
}
type Express = { readonly default: (() => App) & { json(): Handler } }

/** Each opens a server around the same chain. */
const servers: Readonly<Record<string, (client: Parameters<typeof chatFetch>[0]) => Promise<Server>>> = {
  async Hono(client) {
    const { Hono } = await group.load<Hono>('hono')
    const { serve } = await group.load<NodeServer>('@hono/node-server')
    const chat = chatFetch(client)
    const app = new Hono()
    app.all('/v1/*', context => chat(context.req.raw))
    return serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => {})
  },
  async Express(client) {
    const { default: express } = await group.load<Express>('express')
    const app = express()
    app.use(chatHandler(client))
    return app.listen(0, '127.0.0.1')
  },
  async 'Express, behind its own JSON parser'(client) {
    const { default: express } = await group.load<Express>('express')
    const app = express()
    app.use(express.json())
    app.use(chatHandler(client))
    app.get('/tea', (_, response) => response.send('tea'))
    return app.listen(0, '127.0.0.1')
  },
}

describe.skipIf(group.isMissing).each(Object.entries(servers))(`%s${group.suffix}`, (name, open) => {
  test('answers whole, in a stream, and ends the request of a client that leaves', async ({ onTestFinished }) => {
    const target = fakeTarget(['Hello.', 'Hello.', { text: ['One', 'two'], hangAfterChunks: 1 }])
    const client = createClient({ chain: [target] })
    const server = await open(client)
    onTestFinished(async () => {
      server.closeAllConnections()
      server.close()
      await client.close()
    })
    if (!server.listening) await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const ask = (stream: boolean, signal?: AbortSignal) =>
      fetch(`${origin}/v1/chat/completions`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' }, signal: signal ?? null },
        body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream }),
      })
    expect(await (await ask(false)).json()).toMatchObject({ choices: [{ message: { content: 'Hello.' } }] })
    expect(await (await ask(true)).text()).toContain('data: [DONE]')
    if (name.includes('parser')) expect(await (await fetch(`${origin}/tea`)).text()).toBe('tea')
    const leaving = new AbortController()
    const { body } = await ask(true, leaving.signal)
    await body?.getReader().read()
    leaving.abort()
    await expect.poll(() => target.provider.calls[2]?.outcome, { timeout: 5_000 }).toBe('aborted')
  })
})
