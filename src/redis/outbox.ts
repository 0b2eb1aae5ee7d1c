import type { Clock } from '../contract.ts'
import type { HealthFact } from '../health/store.ts'

/** The first fact goes out at once; what comes right after it is gathered, of one slot only the latest. */
export type Outbox = {
  put(fact: HealthFact): void
  close(): void
}

/** A thousand calls that are refused together are one fact, not a thousand messages to every process. */
const gatherMs = 50

export function createOutbox(clock: Clock, deliver: (fact: HealthFact) => void): Outbox {
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
      // An opening and the closing after it are about one breaker: only the last of them is true.
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
