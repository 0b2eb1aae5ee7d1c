import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A model that talks until it has sent `bytes`, as fast as whoever reads lets it, and what is seen of it. */
export type EndlessModel = {
  readonly baseURL: string
  /** Bytes handed to the socket. */
  sent(): number
  /** Resolves when the request has ended, by whatever: how many bytes were sent until then. */
  readonly over: Promise<number>
  [Symbol.asyncDispose](): Promise<void>
}

const delta = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'word '.repeat(2_000) } }] })}\n\n`

export async function startEndlessModel(bytes: number): Promise<EndlessModel> {
  const over = Promise.withResolvers<number>()
  let sent = 0
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const write = () => {
      for (let more = true; more && sent < bytes && !response.destroyed; sent += delta.length) more = response.write(delta)
      if (sent >= bytes) response.end('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    }
    response.on('drain', write)
    response.on('close', () => over.resolve(sent))
    write()
  })
  const baseURL = await listen(server)
  return { baseURL, sent: () => sent, over: over.promise, [Symbol.asyncDispose]: () => close(server) }
}

/** Starts a server of node:http on a free port of this machine; returns its origin. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>(resolve => void server.close(() => resolve()))
}
