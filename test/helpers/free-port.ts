import { once } from 'node:events'
import { createServer } from 'node:net'

/** For a program that cannot choose a port by itself. */
export async function freePort(): Promise<number> {
  return portOf(0)
}

/**
 * For one that needs minutes until it listens: of those that the system hands out to everybody, somebody else might have it by then, and
 * answer in its place.
 */
export async function quietPort(): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  return portOf(port).catch(async () => quietPort())
}

async function portOf(port: number): Promise<number> {
  const probe = createServer().listen(port, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
