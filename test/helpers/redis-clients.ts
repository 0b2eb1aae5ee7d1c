import type { Redis as IoRedis } from 'ioredis'
import type { createClient } from 'redis'
import type { RedisClient } from 'unbusy/redis'
import { peers } from './peers.ts'

/** The packages that `unbusy/redis` takes, with the major before the one that is developed with. */
export const redisLibraries = ['redis', 'ioredis', 'redis-5', 'ioredis-5'] as const
export type RedisLibrary = (typeof redisLibraries)[number]

export type RedisConnection = {
  readonly client: RedisClient
  command(name: string, ...values: string[]): Promise<unknown>
  disconnect(): void
}

type NodeRedisModule = { readonly createClient: typeof createClient }
type IoRedisModule = { readonly Redis: typeof IoRedis }

/** Loads one of them. What it gives connects to a Redis on this machine, and stays silent when it cannot. */
export async function loadRedis(library: RedisLibrary): Promise<(port: number) => RedisConnection> {
  if (library === 'redis' || library === 'redis-5') {
    const module: NodeRedisModule = library === 'redis' ? await import('redis') : await peers('redis-5').load(library)
    return port => connectNodeRedis(module, port)
  }
  const module: IoRedisModule = library === 'ioredis' ? await import('ioredis') : await peers('redis-5').load(library)
  return port => connectIoRedis(module, port)
}

function connectNodeRedis({ createClient: create }: NodeRedisModule, port: number): RedisConnection {
  const client = create({ url: `redis://127.0.0.1:${port}` })
  client.on('error', () => {})
  client.connect().catch(() => {})
  return {
    client,
    command: async (name, ...values) => client.sendCommand([name, ...values]),
    disconnect() {
      if (client.isOpen) client.destroy()
    },
  }
}

function connectIoRedis({ Redis }: IoRedisModule, port: number): RedisConnection {
  const client = new Redis(port, '127.0.0.1').on('error', () => {})
  return { client, command: async (name, ...values) => client.call(name, ...values), disconnect: () => client.disconnect() }
}
