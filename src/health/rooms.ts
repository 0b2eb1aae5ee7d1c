import type { Breaker, BreakerOptions } from './breaker.ts'
import { breakerOf } from './breaker-of.ts'
import { createBudget } from './budget.ts'
import type { Budget } from './budget.ts'
import { createGate } from './gate.ts'
import type { Gate } from './gate.ts'
import type { KeyMemory } from './key-memory.ts'
import { createLatency } from './latency.ts'
import type { Latency } from './latency.ts'
import { createLimiter } from './limiter.ts'
import type { Limiter } from './limiter.ts'
import type { OriginWatch } from './local-fault.ts'
import type { HealthSettings } from './settings.ts'
import { createSuspension } from './suspension.ts'
import type { Suspension } from './suspension.ts'

/** All that is remembered of one target: origin, model and key (R103). */
export type Rooms = {
  /** A time that the server named. */
  readonly gate: Gate
  /** Whether the model is unknown, or forbidden for this key. */
  readonly model: Suspension
  /** Shared by all targets of the credential at this origin. */
  readonly key: KeyMemory
  /** Shared by all targets of this origin. */
  readonly watch: OriginWatch
  readonly breaker: Breaker
  readonly limiter: Limiter
  readonly budget: Budget
  readonly latency: Latency
}

export type RoomsOptions = {
  readonly settings: HealthSettings
  readonly random: () => number
  readonly key: KeyMemory
  readonly watch: OriginWatch
  readonly onBreakerChange: BreakerOptions['onChange']
}

export function createRooms({ settings, random, key, watch, onBreakerChange }: RoomsOptions): Rooms {
  const limiter = createLimiter(settings.limiter)
  let wasClosed = true

  const breaker = breakerOf(settings.breaker, {
    random,
    onChange(change) {
      // A target that failed its probe was not at its best in between.
      if (change.state === 'open' && wasClosed) limiter.stop()
      if (change.state === 'closed') limiter.startSlowly(change.now)
      if (change.state !== 'half-open') wasClosed = change.state === 'closed'
      onBreakerChange(change)
    },
  })

  return {
    gate: createGate(settings.gate, random),
    model: createSuspension(settings.gate, random),
    key,
    watch,
    breaker,
    limiter,
    budget: createBudget(settings.budget),
    latency: createLatency(),
  }
}
