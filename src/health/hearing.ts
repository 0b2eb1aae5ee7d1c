import type { Clock } from '../contract.ts'
import type { HealthEvent } from './herald.ts'
import { longestFactMs } from './store.ts'
import type { HealthFact, StoreMessage } from './store.ts'

/** Takes in what other processes learned, and hands each fact to the one it is about. */
export type Hearing = {
  hear(message: StoreMessage): void
  /** From now on facts about `name` are handed over; those that came before too, with the time that is left of them. */
  attach(name: string, learn: (fact: HealthFact) => void): void
}

/** Facts about targets that this process has not used yet; a store of a thousand others must not fill its memory. */
const mostEarlyFacts = 1_000

/** A breaker that another process opened is half-open for so long after its time: who meets the target then asks for the probe first. */
const probationMs = 30_000

type Early = { readonly fact: HealthFact; readonly at: number }

export function createHearing({ clock, emit }: { readonly clock: Clock; readonly emit: (event: HealthEvent) => void }): Hearing {
  const learners = new Map<string, (fact: HealthFact) => void>()
  const early = new Map<string, Early>()

  return {
    hear(message) {
      const at = clock.now()
      if ('message' in message) {
        emit({ type: 'health-store', at, state: message.kind, message: message.message })
        return
      }
      if (!isCredible(message)) return
      const learn = learners.get(message.key)
      if (learn !== undefined) learn(message)
      else if (early.size < mostEarlyFacts) early.set(`${message.kind} ${message.key}`, { fact: message, at })
    },
    attach(name, learn) {
      learners.set(name, learn)
      for (const [place, { fact, at }] of early) {
        if (fact.key !== name) continue
        early.delete(place)
        const endedMs = clock.now() - at - fact.forMs
        const leftMs = fact.kind === 'open' && endedMs < probationMs ? Math.max(1, -endedMs) : -endedMs
        if (fact.forMs === 0 || leftMs > 0) learn({ ...fact, forMs: Math.max(0, leftMs) })
      }
    },
  }
}

function isCredible({ forMs, limit }: HealthFact): boolean {
  return forMs >= 0 && forMs <= longestFactMs && (limit === undefined || limit >= 1)
}
