import { once } from 'node:events'
import { createServer } from 'node:http'

/** Answers probes on a port until the gateway takes it over. */
export type NotReady = { close(): Promise<void> }

const unready = JSON.stringify({ status: 'starting' })
const alive = JSON.stringify({ status: 'ok' })

/**
 * A config may take its time: it is a module, and may ask a store for its keys. Meanwhile the process is alive, and ready for nothing. Returns
 * undefined where this port cannot be had, which the gateway will report itself.
 */
export async function serveNotReady(host: string, port: number): Promise<NotReady | undefined> {
  const server = createServer((request, response) => {
    const isAlive = request.url === '/health'
    response.writeHead(isAlive ? 200 : 503, { 'content-type': 'application/json', connection: 'close', 'retry-after': '1' })
    response.end(isAlive ? alive : unready)
  })
  try {
    await once(server.listen(port, host), 'listening')
  } catch {
    return undefined
  }
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
