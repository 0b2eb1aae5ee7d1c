import { randomUUID } from 'node:crypto'
import type { Clock } from '../contract.ts'
import type { HealthFact, HealthStore, StoreMessage } from '../health/store.ts'
import { createArchive } from './archive.ts'
import type { Archive } from './archive.ts'
import type { Ask } from './bounded.ts'
import { beatMs, createCensus } from './census.ts'
import type { Census } from './census.ts'
import { createLedger } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { createLink } from './link.ts'
import type { Link } from './link.ts'
import { createOutbox } from './outbox.ts'
import type { Outbox } from './outbox.ts'
import { releaseProbeLease, takeProbeLease } from './probe-lease.ts'
import { readRecord, writeRecord } from './record.ts'
import { type Redis, type RedisClient, redisOf } from './redis-client.ts'
import { createRedisTime } from './redis-time.ts'

export type RedisHealthOptions = {
  /**
   * What the keys and the channel of this fleet begin with. Clients of one prefix share one memory: give each environment its own
   * (a channel is heard in all databases of a Redis). @default 'unbusy'
   */
  readonly prefix?: string | undefined
  /**
   * How long one command may take, in milliseconds, before Redis counts as lost and this process goes on alone. No call waits for it.
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
  throw new TypeError(`redisHealth: there is no option '${unknown}'. Known are: ${optionNames.join(', ')}.`)
}

/**
 * One memory for all processes of a fleet: gates, open breakers, refused keys and probe leases are shared, limits that a server named are
 * divided among the processes that live. Every process decides from its own memory; Redis is read and written in the background.
 *
 * The client stays yours: it needs a connection, an `error` listener, and is not closed. A second connection is made for listening.
 *
 * @example
 * const redis = await createRedis().on('error', log).connect()
 * const client = createClient({ chain: [deepseek(), openai()], health: redisHealth(redis) })
 *
 * @throws {TypeError} It is no client of `redis` or `ioredis`.
 */
export function redisHealth(client: RedisClient, options: RedisHealthOptions = {}): HealthStore {
  checkNames(options)
  const { prefix = 'unbusy', commandTimeoutMs = 500, clock = systemClock } = options
  if (typeof prefix !== 'string' || prefix === '') throw new TypeError("redisHealth: prefix must be a text, for example 'shop'.")
  if (!(commandTimeoutMs > 0 && commandTimeoutMs < 60_000)) {
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
        throw new TypeError('redisHealth: one belongs to one client. Call redisHealth() for each of them.')
      const joined = join({ redis, prefix, clock, timeoutMs: commandTimeoutMs, listener })
      member = joined
      return () => {
        if (member === joined) member = undefined
        leave(joined)
      }
    },
    async lease(key, forMs) {
      if (member?.link.isUp() !== true) return true
      const { link, id } = member
      return takeProbeLease({ ask: link.ask, name: leaseOf(key), id, forMs })
    },
    async release(key) {
      if (member?.link.isUp() !== true) return
      const { link, id, archive } = member
      await releaseProbeLease({ ask: link.ask, name: leaseOf(key), id, mayRunScripts: archive.mayRunScripts() })
    },
  }
}

/** A process of a service ends when its work does: the memory of a fleet must not keep it. */
const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (listener, delayMs) => setTimeout(listener, delayMs).unref(),
  clearTimeout: handle => clearTimeout(handle as NodeJS.Timeout),
}

/** This process as one of the fleet, from `subscribe` to its end. */
type Member = {
  readonly id: string
  readonly redis: Redis
  readonly clock: Clock
  readonly channel: string
  readonly listener: (message: StoreMessage) => void
  readonly link: Link
  readonly ledger: Ledger
  readonly outbox: Outbox
  readonly archive: Archive
  readonly census: Census
  heart: unknown
}

type JoinOptions = Pick<Member, 'redis' | 'clock' | 'listener'> & { readonly prefix: string; readonly timeoutMs: number }

function join({ redis, prefix, clock, timeoutMs, listener }: JoinOptions): Member {
  const id = randomUUID()
  const channel = `${prefix}:news`
  const time = createRedisTime(clock)
  const ledger = createLedger(clock)
  const archive = createArchive({ index: `${prefix}:facts`, prefix: `${prefix}:fact:`, time })
  const census = createCensus({
    ...{ id, key: `${prefix}:processes`, clock, time },
    onChange: () => divideLimits(member),
    onForgotten: () => remind(member),
  })
  const link = createLink({
    ...{ redis, channel, clock, timeoutMs },
    tell: listener,
    onText: text => hear(member, text),
    resync: ask => resync(member, ask),
    onUp: () => remind(member),
  })
  const outbox = createOutbox(clock, fact => void deliver(member, fact))
  const member: Member = { id, redis, clock, channel, listener, link, ledger, outbox, archive, census, heart: undefined }
  member.heart = clock.setTimeout(() => void beat(member), beatMs)
  return member
}

function leave({ clock, heart, outbox, link, census }: Member): void {
  clock.clearTimeout(heart)
  outbox.close()
  if (link.isUp()) census.leave(link.ask).catch(() => {})
  link.close()
}

async function beat(member: Member): Promise<void> {
  const { clock, link, census } = member
  member.heart = clock.setTimeout(() => void beat(member), beatMs)
  if (link.isUp()) await census.beat(link.ask).catch(() => {})
}

function publish(member: Member, fact: HealthFact): void {
  const { ledger, outbox } = member
  const isNews = !ledger.covers(fact)
  if (isNews) {
    ledger.keep(fact, true)
    outbox.put(fact)
  }
  // What was named is the account's, and this process has just taken it for its own. Told later, not amid the end of an attempt.
  if (fact.kind === 'limit') queueMicrotask(() => pass(member, fact))
}

async function deliver({ id, channel, link, archive }: Member, fact: HealthFact): Promise<void> {
  if (!link.isUp()) return
  const record = { from: id, fact }
  try {
    await Promise.all([link.ask('PUBLISH', channel, writeRecord(record)), archive.write(link.ask, record)])
  } catch {
    // The link has told of it. What still holds is sent again when Redis is back.
  }
}

function hear(member: Member, text: string): void {
  const record = readRecord(text)
  if (record === undefined || record.from === member.id) return
  learn(member, record.fact)
}

function learn(member: Member, fact: HealthFact): void {
  member.ledger.keep(fact, false)
  pass(member, fact)
}

function pass({ listener, census }: Member, fact: HealthFact): void {
  if (fact.kind !== 'limit') return listener(fact)
  listener({ ...fact, forMs: 0, limit: Math.max(1, Math.floor((fact.limit ?? 1) / census.count())) })
}

function divideLimits(member: Member): void {
  for (const fact of member.ledger.limits()) pass(member, fact)
}

async function resync(member: Member, ask: Ask): Promise<void> {
  const { archive, census, id } = member
  await census.beat(ask)
  await archive.prepare(ask)
  for (const { from, fact } of await archive.read(ask)) if (from !== id) learn(member, doubted(fact))
}

/** The record of an outage is one process's word, and the fault may be its own: half-open, so that one probe finds out (F93). */
function doubted(fact: HealthFact): HealthFact {
  return fact.kind === 'open' && fact.reason === 'network' ? { ...fact, forMs: Math.min(1, fact.forMs) } : fact
}

/** A Redis that was away, flushed or started anew learns again what this process knows. */
function remind({ ledger, outbox }: Member): void {
  for (const fact of ledger.own()) outbox.put(fact)
}
