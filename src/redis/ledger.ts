import type { Clock } from '../contract.ts'
import type { HealthFact } from '../health/store.ts'
import { longestFactMs, slotOf, slotsEndedBy } from './record.ts'

/** What the fleet knows, as far as this process has told or heard it. Nothing is told twice, and a flushed Redis can be filled again. */
export type Ledger = {
  /** The others know already as much. */
  covers(fact: HealthFact): boolean
  keep(fact: HealthFact, isOwn: boolean): void
  /** What this process told and what still holds, with the time that is left. */
  own(): readonly HealthFact[]
  limits(): readonly HealthFact[]
}

type Entry = { readonly fact: HealthFact; readonly until: number; readonly isOwn: boolean }

/** A limit has no end of its own. Health relaxes it by a tenth every minute: after this time it says little. */
export const limitMs = 600_000
/** The same limit is not told again within this time. */
const sameLimitMs = 10_000
/** A Redis full of foreign data must not fill the memory of this process. */
const mostEntries = 2_000

export function createLedger(clock: Clock): Ledger {
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

function lifetimeOf({ kind, forMs }: HealthFact): number {
  return kind === 'limit' ? limitMs : Math.min(forMs, longestFactMs)
}
