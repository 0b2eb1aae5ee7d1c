import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Client } from '../index.ts'
import { statusHandler } from '../status/index.ts'

/** Serves a client's status page on a free port of 127.0.0.1. */
export async function serveStatus(client: Client): Promise<{ readonly url: string; close(): void }> {
  const server = createServer(statusHandler(client)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Resolves after this time. Rejects with the signal's reason if the signal fires first. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
  })
}
