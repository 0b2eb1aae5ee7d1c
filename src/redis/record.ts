import type { FailureReason } from '../contract.ts'
import type { HealthFact } from '../health/store.ts'

/** What is written to Redis: a fact, and which process learned it. Durations only, for the clocks of machines differ. */
export type FactRecord = { readonly from: string; readonly fact: HealthFact }

/** No fact holds longer, whatever a server names: it is learned anew after a day. */
export const longestFactMs = 86_400_000

type Fields = { readonly [name: string]: unknown }

/** Grows when the fields change their meaning: processes of two versions may share one Redis during a deployment. */
const version = 2
/** Ours have a few hundred characters. Whatever is longer is not read at all. */
const mostCharacters = 4_096

export function writeRecord({ from, fact }: FactRecord): string {
  const { key, kind, reason, forMs, limit, tokens } = fact
  return JSON.stringify({ unbusy: version, from, key, kind, reason, forMs: Math.min(forMs, longestFactMs), limit, tokens })
}

/** Undefined for anything that is not ours: the Redis may be full of foreign data. */
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

/** Where a fact is kept; a later one of the same slot takes its place. */
export function slotOf({ kind, key }: Pick<HealthFact, 'kind' | 'key'>): string {
  return `${kind} ${key}`
}

/** The slots that are empty once a target or a key is well again. */
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
