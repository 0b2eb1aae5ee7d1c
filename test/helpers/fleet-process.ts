/** One process of a fleet: a client with a shared memory, asked by its parent. Started by `fleet.ts`. */

import { setTimeout as delay } from 'node:timers/promises'
import { createClient as createNodeRedis } from 'redis'
import { Redis as IoRedis } from 'ioredis'
import { type Client, createClient, openaiCompatible } from 'unbusy'
import { redisHealth, type RedisClient } from 'unbusy/redis'
import type { FleetCall, FleetReport, FleetSettings, FleetTask } from './fleet.ts'

let client: Client | undefined
let disconnect = (): void => {}
let isRunning = false

process.on('message', (task: FleetTask) => void work(task))
process.on('disconnect', () => process.exit(0))
send({ done: 'ready' })

async function work(task: FleetTask): Promise<void> {
  if (typeof task === 'object') {
    start(task)
    send({ done: 'started' })
  }
  if (task === 'ask') send({ calls: [await ask()] })
  if (task === 'run') send({ calls: await run() })
  if (task === 'stop') isRunning = false
  if (task === 'close') {
    isRunning = false
    await client?.close()
    disconnect()
    send({ done: 'closed' })
  }
}

function start(settings: FleetSettings): void {
  const { openMs, commandTimeoutMs } = settings
  const target = (name: string, baseURL: string) => openaiCompatible('model', { name, baseURL, apiKey: 'the-key', retry: 0 })
  client = createClient({
    chain: [target('first', settings.firstURL), target('second', settings.secondURL)],
    hedge: false,
    breaker: { openMs, maxOpenMs: openMs },
    health: redisHealth(connect(settings), { commandTimeoutMs }),
    onEvent(event) {
      if (event.type === 'health-store' || event.type === 'health-change') report(event.state)
      if (event.type === 'attempt-start' && event.provider === 'first') report(event.kind)
    },
  })
}

function connect({ port, library }: FleetSettings): RedisClient {
  if (library === 'ioredis') {
    const redis = new IoRedis(port, '127.0.0.1').on('error', () => {})
    disconnect = () => redis.disconnect()
    return redis
  }
  const redis = createNodeRedis({ url: `redis://127.0.0.1:${port}` })
  redis.on('error', () => {})
  redis.connect().catch(() => {})
  disconnect = () => redis.destroy()
  return redis
}

async function run(): Promise<readonly FleetCall[]> {
  isRunning = true
  const calls: FleetCall[] = []
  while (isRunning) {
    calls.push(await ask())
    await delay(15)
  }
  return calls
}

async function ask(): Promise<FleetCall> {
  const startedAt = performance.now()
  const answer = await client?.generate('Hi').catch((error: unknown) => ({ provider: `none: ${String(error)}` }))
  return { provider: answer?.provider ?? 'none', durationMs: performance.now() - startedAt }
}

function report(type: string): void {
  // all processes take the time of one machine
  send({ event: { type, at: Date.now() } })
}

function send(message: FleetReport): void {
  if (process.connected) process.send?.(message)
}
