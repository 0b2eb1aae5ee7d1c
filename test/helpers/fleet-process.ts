/** One process of a fleet: a client with a shared memory, asked by its parent. Started by `fleet.ts`. */

import { setTimeout as delay } from 'node:timers/promises'
import { type Client, createClient, openaiCompatible } from 'unbusy'
import { redisHealth } from 'unbusy/redis'
import type { FleetCall, FleetReport, FleetSettings, FleetTask } from './fleet.ts'
import { loadRedis, type RedisConnection } from './redis-clients.ts'

let client: Client | undefined
let connection: RedisConnection | undefined
let isRunning = false

process.on('message', (task: FleetTask) => void work(task))
process.on('disconnect', () => process.exit(0))
send({ done: 'ready' })

async function work(task: FleetTask): Promise<void> {
  if (typeof task === 'object') {
    await start(task)
    send({ done: 'started' })
  }
  if (task === 'ask') send({ calls: [await ask()] })
  if (task === 'run') send({ calls: await run() })
  if (task === 'stop') isRunning = false
  if (task === 'close') {
    isRunning = false
    await client?.close()
    connection?.disconnect()
    send({ done: 'closed' })
  }
}

async function start({ openMs, commandTimeoutMs, ...settings }: FleetSettings): Promise<void> {
  const target = (name: string, baseURL: string) => openaiCompatible('model', { name, baseURL, apiKey: 'the-key', retry: 0 })
  connection = (await loadRedis(settings.library))(settings.port)
  client = createClient({
    chain: [target('first', settings.firstURL), target('second', settings.secondURL)],
    hedge: false,
    breaker: { openMs, maxOpenMs: openMs },
    health: redisHealth(connection.client, { commandTimeoutMs }),
    onEvent(event) {
      if (event.type === 'health-store' || event.type === 'health-change') report(event.state)
      if (event.type === 'attempt-start' && event.provider === 'first') report(event.kind)
    },
  })
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
