import { randomUUID } from 'node:crypto'
import type { Clock } from '../contract.ts'
import type { HealthFact, HealthStore, StoreMessage } from '../health/store.ts'
import { createConnection } from './connection.ts'
import type { Connection, Send } from './connection.ts'
import { createFactStore, createRedisTime } from './fact-store.ts'
import type { FactStore } from './fact-store.ts'
import { createFactCache, readRecord, writeRecord } from './facts.ts'
import type { FactCache } from './facts.ts'
import { createMembership, heartbeatMs, releaseProbeLease, takeProbeLease } from './membership.ts'
import type { Membership } from './membership.ts'
import { type Redis, type RedisClient, redisOf } from './redis-client.ts'

/** Options of `redisHealth()`. */
export type RedisHealthOptions = {
  /**
   * The prefix of all keys and of the channel of this fleet. Clients with the same prefix share one memory, so give each environment its
   * own prefix (all databases of a Redis share its channels). @default 'unbusy'
   */
  readonly prefix?: string | undefined
  /**
   * How long one command may take, from 1 to 60_000 milliseconds, before Redis counts as lost and this process continues alone. No call waits
   * for a command.
   * @default 500
   */
  readonly commandTimeoutMs?: number | undefined
  /** Monotonic time and timers, for tests. @default performance.now and the global timers */
  readonly clock?: Clock | undefined
}

const optionNames = ['prefix', 'commandTimeoutMs', 'clock']

function checkNames(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError("redisHealth: options must be an object like { prefix: 'shop' }.")
  const unknown = Object.keys(options).find(name => !optionNames.includes(name))
  if (unknown === undefined) return
  throw new TypeError(`redisHealth: there is no option '${unknown}'. Write one of ${optionNames.join(', ')}.`)
}

/**
 * Returns a memory for all processes of a fleet. Gates, open breakers, refused keys and probe leases are shared; limits that a server named
 * and the `limits` of targets are divided among the live processes. Every process decides from its own memory; Redis is read and written in
 * the background.
 *
 * The Redis client stays yours: connect it, give it an `error` listener, and close it yourself. A second connection is opened for the
 * subscription.
 *
 * @example
 * const redis = await createRedis().on('error', log).connect()
 * const client = createClient({ chain: [deepseek(), openai()], health: redisHealth(redis) })
 *
 * @throws {TypeError} The client is not one of `redis` or `ioredis`, or an option is wrong.
 */
export function redisHealth(client: RedisClient, options: RedisHealthOptions = {}): HealthStore {
  checkNames(options)
  const { prefix = 'unbusy', commandTimeoutMs = 500, clock = systemClock } = options
  if (typeof prefix !== 'string' || prefix === '')
    throw new TypeError("redisHealth: prefix must be a non-empty string, for example 'shop'.")
  if (!(commandTimeoutMs >= 1 && commandTimeoutMs <= 60_000)) {
    throw new TypeError('redisHealth: commandTimeoutMs must be a number of milliseconds from 1 to 60_000, for example 500.')
  }
  const redis = redisOf(client)
  const leaseOf = (key: string) => `${prefix}:lease:${key}`
  let member: Member | undefined

  return {
    publish(fact) {
      if (member !== undefined) publish(member, fact)
    },
    subscribe(listener) {
      if (member !== undefined)
        throw new TypeError('redisHealth: a store belongs to one client. Call redisHealth() for each client.')
      const joined = join({ redis, prefix, clock, timeoutMs: commandTimeoutMs, listener })
      member = joined
      return () => {
        if (member === joined) member = undefined
        leave(joined)
      }
    },
    async lease(key, forMs) {
      if (member?.connection.isUp() !== true) return true
      const { connection, id } = member
      return takeProbeLease({ send: connection.send, name: leaseOf(key), id, forMs })
    },
    async release(key) {
      if (member?.connection.isUp() !== true) return
      const { connection, id, store } = member
      await releaseProbeLease({ send: connection.send, name: leaseOf(key), id, mayRunScripts: store.mayRunScripts() })
    },
  }
}

/** Timers that do not keep the process alive: it should end when its work is done, even while it belongs to a fleet. */
const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (listener, delayMs) => setTimeout(listener, delayMs).unref(),
  clearTimeout: handle => clearTimeout(handle as NodeJS.Timeout),
}

/** This process as a member of the fleet, from `subscribe` until the subscription ends. */
type Member = {
  readonly id: string
  readonly redis: Redis
  readonly clock: Clock
  readonly channel: string
  readonly listener: (message: StoreMessage) => void
  readonly connection: Connection
  readonly cache: FactCache
  readonly queue: PublishQueue
  readonly store: FactStore
  readonly membership: Membership
  heartbeatTimer: unknown
}

type JoinOptions = Pick<Member, 'redis' | 'clock' | 'listener'> & { readonly prefix: string; readonly timeoutMs: number }

function join({ redis, prefix, clock, timeoutMs, listener }: JoinOptions): Member {
  const id = randomUUID()
  const channel = `${prefix}:news`
  const time = createRedisTime(clock)
  const cache = createFactCache(clock)
  const store = createFactStore({ index: `${prefix}:facts`, prefix: `${prefix}:fact:`, time })
  const membership = createMembership({
    ...{ id, key: `${prefix}:processes`, clock, time },
    onChange: () => divide(member),
    onForgotten: () => publishOwn(member),
  })
  const connection = createConnection({
    ...{ redis, channel, clock, timeoutMs },
    report: listener,
    onText: text => receive(member, text),
    resync: send => resync(member, send),
    onUp: () => publishOwn(member),
  })
  const queue = createPublishQueue(clock, fact => void sendFact(member, fact))
  const member: Member = {
    id,
    redis,
    clock,
    channel,
    listener,
    connection,
    cache,
    queue,
    store,
    membership,
    heartbeatTimer: undefined,
  }
  member.heartbeatTimer = clock.setTimeout(() => void heartbeat(member), heartbeatMs)
  return member
}

function leave({ clock, heartbeatTimer, queue, connection, membership }: Member): void {
  clock.clearTimeout(heartbeatTimer)
  queue.close()
  if (connection.isUp()) membership.leave(connection.send).catch(() => {})
  connection.close()
}

async function heartbeat(member: Member): Promise<void> {
  const { clock, connection, membership } = member
  member.heartbeatTimer = clock.setTimeout(() => void heartbeat(member), heartbeatMs)
  if (connection.isUp()) await membership.heartbeat(connection.send).catch(() => {})
}

function publish(member: Member, fact: HealthFact): void {
  const { cache, queue } = member
  const isNews = !cache.covers(fact)
  if (isNews) {
    cache.keep(fact, true)
    queue.put(fact)
  }
  // This process has just applied the limit of the whole account. Its share follows in a microtask, not while an attempt is ending.
  if (fact.kind === 'limit') queueMicrotask(() => passOn(member, fact))
}

async function sendFact({ id, channel, connection, store }: Member, fact: HealthFact): Promise<void> {
  if (!connection.isUp()) return
  const record = { from: id, fact }
  try {
    await Promise.all([connection.send('PUBLISH', channel, writeRecord(record)), store.write(connection.send, record)])
  } catch {
    // The connection has reported the loss. Facts that still hold are sent again when Redis is back.
  }
}

function receive(member: Member, text: string): void {
  const record = readRecord(text)
  if (record === undefined || record.from === member.id) return
  learn(member, record.fact)
}

function learn(member: Member, fact: HealthFact): void {
  member.cache.keep(fact, false)
  passOn(member, fact)
}

function passOn({ listener, membership }: Member, fact: HealthFact): void {
  if (fact.kind !== 'limit') return listener(fact)
  listener({ ...fact, forMs: 0, limit: Math.max(1, Math.floor((fact.limit ?? 1) / membership.count())) })
}

function divide(member: Member): void {
  member.listener({ kind: 'processes', count: member.membership.count() })
  for (const fact of member.cache.limits()) passOn(member, fact)
}

async function resync(member: Member, send: Send): Promise<void> {
  const { store, membership, id } = member
  await membership.heartbeat(send)
  await store.prepare(send)
  for (const { from, fact } of await store.read(send)) if (from !== id) learn(member, doubted(fact))
}

/** Turns an outage that another process recorded into half-open: the fault may be that process's own, so one probe finds out (F93). */
function doubted(fact: HealthFact): HealthFact {
  return fact.kind === 'open' && fact.reason === 'network' ? { ...fact, forMs: Math.min(1, fact.forMs) } : fact
}

/** Fills a Redis that was lost, flushed or restarted without its data with what this process knows. */
function publishOwn({ cache, queue }: Member): void {
  for (const fact of cache.own()) queue.put(fact)
}

/** Sends the first fact at once and collects the facts right after it; for each slot only the latest fact is sent. */
type PublishQueue = {
  put(fact: HealthFact): void
  close(): void
}

/** How long facts are collected, in milliseconds: a thousand calls that are refused together make one message, not a thousand. */
const gatherMs = 50

function createPublishQueue(clock: Clock, deliver: (fact: HealthFact) => void): PublishQueue {
  const waiting = new Map<string, HealthFact>()
  let timer: unknown

  function flush(): void {
    timer = undefined
    if (waiting.size === 0) return
    timer = clock.setTimeout(flush, gatherMs)
    const facts = [...waiting.values()]
    waiting.clear()
    for (const fact of facts) deliver(fact)
  }

  return {
    put(fact) {
      // `open` and `closed` share a slot, because they are about one breaker: only the last of them is true.
      const slot = JSON.stringify([fact.kind === 'closed' ? 'open' : fact.kind, fact.key])
      waiting.delete(slot)
      waiting.set(slot, fact)
      if (timer === undefined) flush()
    },
    close() {
      if (timer !== undefined) clock.clearTimeout(timer)
      waiting.clear()
      timer = undefined
    },
  }
}
