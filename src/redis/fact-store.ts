import type { Clock } from '../contract.ts'
import { longestFactMs } from '../health/store.ts'
import type { HealthFact } from '../health/store.ts'
import type { Send } from './connection.ts'
import { type FactRecord, lifetimeOf, readRecord, slotOf, slotsEndedBy, writeRecord } from './facts.ts'

/** Keeps every fact in Redis until its time is over, so that a process that starts later can read it. */
export type FactStore = {
  /** Finds out what this Redis permits, before anything is written. */
  prepare(send: Send): Promise<void>
  write(send: Send, record: FactRecord): Promise<unknown>
  read(send: Send): Promise<readonly FactRecord[]>
  /** Whether this Redis permits scripts, as `prepare` found out. */
  mayRunScripts(): boolean
}

/**
 * The index is a sorted set of facts by the time at which they end, on the clock of Redis. Each fact also has a key with its value. Keys
 * are never scanned, so a Redis with millions of foreign keys is as fast as an empty one.
 */
export type FactStoreOptions = { readonly index: string; readonly prefix: string; readonly time: RedisTime }

/**
 * How long the fact of an open breaker is kept after its time, in milliseconds: a process that starts then must request the probe lease
 * before it sends calls.
 */
const halfOpenMs = 30_000
const mostRecords = 1_000

/**
 * Keeps the fact that ends later, whichever is written first: a short gate must not open what a longer one blocks (R99). The script changes
 * index and value together, because two processes may write at the same moment (F88).
 */
const writeLater = `
local known = redis.call('ZSCORE', KEYS[1], ARGV[2])
if known and tonumber(known) > tonumber(ARGV[1]) and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1`

export function createFactStore({ index, prefix, time }: FactStoreOptions): FactStore {
  const nameOf = (slot: string) => `${prefix}${slot}`
  let mayRunScripts = true

  async function prepare(send: Send): Promise<void> {
    try {
      await send('EVAL', 'return 1', '0')
      mayRunScripts = true
    } catch (error) {
      if (!isRefusal(error)) throw error
      mayRunScripts = false
    }
  }

  async function write(send: Send, record: FactRecord): Promise<unknown> {
    const { fact } = record
    const slots = slotsEndedBy(fact)
    if (slots.length > 0) {
      return Promise.all([send('ZREM', index, ...slots), send('DEL', ...slots.map(nameOf))])
    }
    const keptMs = Math.ceil(keptFor(fact))
    const slot = slotOf(fact)
    const [end, text, valueMs, indexMs] = [
      String(time.latest() + keptMs),
      writeRecord(record),
      String(keptMs + 1_000),
      String(2 * longestFactMs),
    ]
    if (mayRunScripts) return send('EVAL', writeLater, '2', index, nameOf(slot), end, slot, text, valueMs, indexMs)
    // Without permission for scripts, the last of two writes at the same moment may win, even if its fact ends sooner.
    return Promise.all([
      send('SET', nameOf(slot), text, 'PX', valueMs),
      send('ZADD', index, 'GT', end, slot),
      send('PEXPIRE', index, indexMs),
    ])
  }

  async function read(send: Send): Promise<readonly FactRecord[]> {
    const now = time.earliest()
    await send('ZREMRANGEBYSCORE', index, '-inf', String(now - halfOpenMs))
    const reply = await send('ZRANGEBYSCORE', index, String(now), '+inf', 'WITHSCORES', 'LIMIT', '0', String(mostRecords))
    const ends = pairs(reply)
    if (ends.length === 0) return []
    const texts = await send('MGET', ...ends.map(([slot]) => nameOf(slot)))
    if (!Array.isArray(texts)) return []
    return ends.flatMap(([slot, end], place) => {
      const record = readRecord(texts[place])
      if (record === undefined || slotOf(record.fact) !== slot) return []
      return [{ ...record, fact: asOfNow(record.fact, end - now) }]
    })
  }

  return { prepare, write, read, mayRunScripts: () => mayRunScripts }
}

/** Whether Redis answered that this user may not run scripts, or that it has none. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^(?:NOPERM|ERR)\b/.test(error.message)
}

function keptFor(fact: HealthFact): number {
  return lifetimeOf(fact) + (fact.kind === 'open' ? halfOpenMs : 0)
}

function asOfNow(fact: HealthFact, leftMs: number): HealthFact {
  if (fact.kind === 'limit') return fact
  return { ...fact, forMs: Math.max(1, fact.kind === 'open' ? leftMs - halfOpenMs : leftMs) }
}

/** Reads members and scores: RESP 2 sends one list, RESP 3 a list of pairs. */
function pairs(reply: unknown): readonly (readonly [string, number])[] {
  const flat: readonly unknown[] = Array.isArray(reply) ? reply.flat() : []
  const found: [string, number][] = []
  for (let place = 0; place + 1 < flat.length; place += 2) {
    const end = Number(flat[place + 1])
    if (Number.isFinite(end)) found.push([String(flat[place]), end])
  }
  return found
}

/**
 * The time of the Redis server, in milliseconds: the one clock that all processes share. It is known to within one round trip, and the
 * careful bound is used: a time that a server named must not end early in any process.
 */
export type RedisTime = {
  read(send: Send): Promise<void>
  /** Returns the lower bound of the time. */
  earliest(): number
  /** Returns the upper bound of the time. */
  latest(): number
}

export function createRedisTime(clock: Clock): RedisTime {
  let behind = 0
  let ahead = 0
  return {
    async read(send) {
      const sentAt = clock.now()
      const reply = await send('TIME')
      const [seconds, microseconds] = Array.isArray(reply) ? reply.map(Number) : []
      const redisMs = (seconds ?? Number.NaN) * 1_000 + (microseconds ?? Number.NaN) / 1_000
      if (!Number.isFinite(redisMs)) throw new Error('Redis answered TIME without a time')
      behind = redisMs - clock.now()
      ahead = redisMs - sentAt
    },
    earliest: () => Math.floor(clock.now() + behind),
    latest: () => Math.ceil(clock.now() + ahead),
  }
}
