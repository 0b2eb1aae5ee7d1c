import type { HealthFact } from '../health/store.ts'
import type { Ask } from './bounded.ts'
import { limitMs } from './ledger.ts'
import { longestFactMs, readRecord, type FactRecord, slotOf, slotsEndedBy, writeRecord } from './record.ts'
import type { RedisTime } from './redis-time.ts'

/** What a process that starts late must know: every fact is kept in Redis until its time is over. */
export type Archive = {
  /** Finds out what this Redis lets us do; before anything is written. */
  prepare(ask: Ask): Promise<void>
  write(ask: Ask, record: FactRecord): Promise<unknown>
  read(ask: Ask): Promise<readonly FactRecord[]>
  /** What `prepare` found out. */
  mayRunScripts(): boolean
}

/**
 * The index is a sorted set by the time at which a fact ends, on the clock of Redis; beside it stands one value for each fact. Keys are
 * never searched for: a Redis of millions of foreign keys is as fast as an empty one.
 */
export type ArchiveOptions = { readonly index: string; readonly prefix: string; readonly time: RedisTime }

/** An open breaker is remembered for a while after its time: who starts then must ask for the probe lease instead of running in. */
const probationMs = 30_000
const mostRecords = 1_000

/**
 * The later end stays, whoever comes first: a short gate must not open what a long one has shut (R99). Index and value change together, for
 * two processes may write in one moment (F88).
 */
const writeLater = `
local known = redis.call('ZSCORE', KEYS[1], ARGV[2])
if known and tonumber(known) > tonumber(ARGV[1]) and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1`

export function createArchive({ index, prefix, time }: ArchiveOptions): Archive {
  const nameOf = (slot: string) => `${prefix}${slot}`
  let mayRunScripts = true

  async function prepare(ask: Ask): Promise<void> {
    try {
      await ask('EVAL', 'return 1', '0')
      mayRunScripts = true
    } catch (error) {
      if (!isRefusal(error)) throw error
      mayRunScripts = false
    }
  }

  async function write(ask: Ask, record: FactRecord): Promise<unknown> {
    const { fact } = record
    const slots = slotsEndedBy(fact)
    if (slots.length > 0) {
      return Promise.all([ask('ZREM', index, ...slots), ask('DEL', ...slots.map(nameOf))])
    }
    const keptMs = Math.ceil(keptFor(fact))
    const slot = slotOf(fact)
    const [end, text, valueMs, indexMs] = [
      String(time.latest() + keptMs),
      writeRecord(record),
      String(keptMs + 1_000),
      String(2 * longestFactMs),
    ]
    if (mayRunScripts) return ask('EVAL', writeLater, '2', index, nameOf(slot), end, slot, text, valueMs, indexMs)
    // a user who may not run scripts: of two that write in one moment the later one may win
    return Promise.all([
      ask('SET', nameOf(slot), text, 'PX', valueMs),
      ask('ZADD', index, 'GT', end, slot),
      ask('PEXPIRE', index, indexMs),
    ])
  }

  async function read(ask: Ask): Promise<readonly FactRecord[]> {
    const now = time.earliest()
    await ask('ZREMRANGEBYSCORE', index, '-inf', String(now - probationMs))
    const reply = await ask('ZRANGEBYSCORE', index, String(now), '+inf', 'WITHSCORES', 'LIMIT', '0', String(mostRecords))
    const ends = pairs(reply)
    if (ends.length === 0) return []
    const texts = await ask('MGET', ...ends.map(([slot]) => nameOf(slot)))
    if (!Array.isArray(texts)) return []
    return ends.flatMap(([slot, end], place) => {
      const record = readRecord(texts[place])
      if (record === undefined || slotOf(record.fact) !== slot) return []
      return [{ ...record, fact: asOfNow(record.fact, end - now) }]
    })
  }

  return { prepare, write, read, mayRunScripts: () => mayRunScripts }
}

/** Redis answered, and does not let this user run scripts, or knows none. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^(?:NOPERM|ERR)\b/.test(error.message)
}

function keptFor({ kind, forMs }: HealthFact): number {
  if (kind === 'limit') return limitMs
  return Math.min(forMs, longestFactMs) + (kind === 'open' ? probationMs : 0)
}

function asOfNow(fact: HealthFact, leftMs: number): HealthFact {
  if (fact.kind === 'limit') return fact
  return { ...fact, forMs: Math.max(1, fact.kind === 'open' ? leftMs - probationMs : leftMs) }
}

/** Members and scores: one list in RESP 2, a list of pairs in RESP 3. */
function pairs(reply: unknown): readonly (readonly [string, number])[] {
  const flat: readonly unknown[] = Array.isArray(reply) ? reply.flat() : []
  const found: [string, number][] = []
  for (let place = 0; place + 1 < flat.length; place += 2) {
    const end = Number(flat[place + 1])
    if (Number.isFinite(end)) found.push([String(flat[place]), end])
  }
  return found
}
