import type { Clock } from '../contract.ts'
import type { HealthEvent } from './herald.ts'
import type { KeyMemory } from './key-memory.ts'
import type { HealthFact, StoreMessage } from './store.ts'
import type { TargetMemory } from './target-memory.ts'

export type HearingOptions = {
  readonly clock: Clock
  readonly emit: (event: HealthEvent) => void
  targetNamed(name: string): TargetMemory | undefined
  keyNamed(name: string): KeyMemory | undefined
}

/** No fact holds longer than a day, whatever a store says: it may be full of foreign data. */
const longestFactMs = 86_400_000

/** Takes in what other processes learned. */
export function hearing({ clock, emit, targetNamed, keyNamed }: HearingOptions): (message: StoreMessage) => void {
  return message => {
    if ('message' in message) {
      emit({ type: 'health-store', at: clock.now(), state: message.kind, message: message.message })
      return
    }
    if (!isCredible(message)) return
    const key = message.kind === 'refused' ? keyNamed(message.key) : undefined
    if (key === undefined) {
      targetNamed(message.key)?.learn(message)
      return
    }
    const now = clock.now()
    const refusal = { reason: message.reason, message: 'Another process was refused.', retryAfterMs: undefined }
    key.refuseUntil(now + message.forMs, refusal, now)
  }
}

function isCredible({ forMs, limit }: HealthFact): boolean {
  return forMs >= 0 && forMs <= longestFactMs && (limit === undefined || limit >= 1)
}
