import type { Clock } from '../contract.ts'
import type { FailureReason } from '../contract-failures.ts'
import { longestFactMs } from '../health/store.ts'
import type { HealthFact } from '../health/store.ts'

/** What is written to Redis: a fact, and which process learned it. It holds only durations, because the clocks of machines differ. */
export type FactRecord = { readonly from: string; readonly fact: HealthFact }

type Fields = { readonly [name: string]: unknown }

/** Increased when the meaning of a field changes: processes of two versions may share one Redis during a deployment. */
const version = 2
/** Our records have a few hundred characters. A text longer than this is ignored. */
const mostCharacters = 4_096

export function writeRecord({ from, fact }: FactRecord): string {
  const { key, kind, reason, forMs, limit, tokens } = fact
  return JSON.stringify({ unbusy: version, from, key, kind, reason, forMs: Math.min(forMs, longestFactMs), limit, tokens })
}

/** Returns undefined for anything that is not our record: the Redis may be full of foreign data. */
export function readRecord(text: unknown): FactRecord | undefined {
  if (typeof text !== 'string' || text.length > mostCharacters) return undefined
  const value = parse(text)
  if (value?.['unbusy'] !== version || typeof value['from'] !== 'string') return undefined
  const fact = readFact(value)
  return fact === undefined ? undefined : { from: value['from'], fact }
}

function readFact({ key, kind, reason, forMs, limit, tokens }: Fields): HealthFact | undefined {
  if (typeof key !== 'string' || !isOneOf(kinds, kind) || !isOneOf(reasons, reason)) return undefined
  if (typeof forMs !== 'number' || !(forMs >= 0 && forMs <= longestFactMs)) return undefined
  if (kind !== 'limit') return { key, kind, reason, forMs, ...sizeOf(kind, tokens) }
  return typeof limit === 'number' && limit >= 1 ? { key, kind, reason, forMs, limit } : undefined
}

function sizeOf(kind: HealthFact['kind'], tokens: unknown): Pick<HealthFact, 'tokens'> {
  return kind === 'gate' && typeof tokens === 'number' && tokens >= 1 ? { tokens } : {}
}

/** Returns the slot of a fact; a later fact in the same slot replaces it. */
export function slotOf({ kind, key }: Pick<HealthFact, 'kind' | 'key'>): string {
  return `${kind} ${key}`
}

/** Returns the slots that a fact empties, because a target or a key works again. */
export function slotsEndedBy({ key, kind, forMs }: HealthFact): readonly string[] {
  if (kind === 'gate' && forMs === 0) return [slotOf({ kind, key })]
  if (kind !== 'closed') return []
  return [slotOf({ kind: 'open', key }), slotOf({ kind: 'refused', key })]
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined
  } catch {
    return undefined
  }
}

function isOneOf<Word extends string>(words: { readonly [word in Word]: true }, value: unknown): value is Word {
  return typeof value === 'string' && Object.hasOwn(words, value)
}

const kinds = { gate: true, refused: true, open: true, closed: true, limit: true } as const satisfies {
  readonly [kind in HealthFact['kind']]: true
}

const reasons = {
  ...{ network: true, overloaded: true, 'server-error': true, truncated: true, 'malformed-response': true, timeout: true },
  ...{ loading: true, 'rate-limit': true, quota: true, authentication: true, permission: true, 'not-found': true },
  ...{ 'context-length': true, 'invalid-request': true, empty: true, 'invalid-output': true, 'content-filter': true },
  ...{ excluded: true, budget: true },
} as const satisfies { readonly [reason in FailureReason]: true }

/** The facts that this process has published or received. They prevent publishing a fact twice, and can fill a flushed Redis again. */
export type FactCache = {
  /** Whether the other processes know this fact already. */
  covers(fact: HealthFact): boolean
  keep(fact: HealthFact, isOwn: boolean): void
  /** Returns the facts that this process published and that still hold, with the time that is left. */
  own(): readonly HealthFact[]
  limits(): readonly HealthFact[]
}

type Entry = { readonly fact: HealthFact; readonly until: number; readonly isOwn: boolean }

/** How long a limit is kept, in milliseconds. A limit has no end of its own, but health raises it by a tenth every minute. */
const limitMs = 600_000
/** The same limit is not published again within this time, in milliseconds. */
const sameLimitMs = 10_000
/** The most facts in the cache: a Redis full of foreign data must not fill the memory of this process. */
const mostEntries = 2_000

export function createFactCache(clock: Clock): FactCache {
  const entries = new Map<string, Entry>()

  function covers(fact: HealthFact): boolean {
    const known = entries.get(slotOf(fact))
    if (known === undefined || fact.kind === 'open' || fact.kind === 'closed') return false
    const until = clock.now() + lifetimeOf(fact)
    if (fact.kind === 'limit') return known.fact.limit === fact.limit && until - known.until < sameLimitMs
    return known.until >= until
  }

  function keep(fact: HealthFact, isOwn: boolean): void {
    if (fact.kind === 'closed') {
      for (const slot of slotsEndedBy(fact)) entries.delete(slot)
      return
    }
    const slot = slotOf(fact)
    const until = clock.now() + lifetimeOf(fact)
    const known = entries.get(slot)
    if (known !== undefined && fact.kind !== 'limit' && known.until > until) return
    if (entries.size >= mostEntries) prune()
    if (entries.size < mostEntries) entries.set(slot, { fact, until, isOwn })
  }

  function prune(): void {
    const now = clock.now()
    for (const [slot, { until }] of entries) if (until <= now) entries.delete(slot)
  }

  function left({ fact, until }: Entry): HealthFact {
    return fact.kind === 'limit' ? fact : { ...fact, forMs: until - clock.now() }
  }

  function valid(): readonly Entry[] {
    prune()
    return [...entries.values()]
  }

  return {
    covers,
    keep,
    own: () =>
      valid()
        .filter(({ isOwn }) => isOwn)
        .map(left),
    limits: () =>
      valid()
        .map(({ fact }) => fact)
        .filter(({ kind }) => kind === 'limit'),
  }
}

/** Returns how long a fact holds, in milliseconds. */
export function lifetimeOf({ kind, forMs }: HealthFact): number {
  return kind === 'limit' ? limitMs : Math.min(forMs, longestFactMs)
}
