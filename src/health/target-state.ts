import type { Clock } from '../contract.ts'
import type { TargetState as StateName } from '../contract-events.ts'
import type { FailureReason } from '../contract-failures.ts'
import type { TargetLimits } from '../contract-targets.ts'
import { createBreaker } from './breaker.ts'
import type { Breaker, BreakerOptions } from './breaker.ts'
import { createGate, createSuspension } from './gate.ts'
import type { Gate, Suspension } from './gate.ts'
import type { KeyState } from './key.ts'
import { createLatency } from './latency.ts'
import type { Latency } from './latency.ts'
import { createLimiter } from './limiter.ts'
import type { Limiter } from './limiter.ts'
import { createLimits } from './limits.ts'
import type { Limits } from './limits.ts'
import type { OriginNetwork } from './local-fault.ts'
import { createRetryBudget } from './retry-budget.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { HealthSettings } from './settings.ts'

/** All that is remembered of one target, which is one origin, model and key (R103). */
export type TargetState = {
  /** Blocks calls until a time that the server named. */
  readonly gate: Gate
  /** Whether the model is unknown, or forbidden for this key. */
  readonly model: Suspension
  /** Shared by all targets of the credential at this origin. */
  readonly key: KeyState
  /** Shared by all targets of this origin. */
  readonly network: OriginNetwork
  readonly breaker: Breaker
  readonly limiter: Limiter
  /** Undefined if no limits are configured. */
  readonly limits: Limits | undefined
  readonly budget: RetryBudget
  readonly latency: Latency
}

export type TargetStateOptions = {
  readonly clock: Clock
  readonly settings: HealthSettings
  readonly random: () => number
  readonly key: KeyState
  readonly network: OriginNetwork
  readonly limits: TargetLimits | undefined
  /** Called when a configured limit allows another request. */
  readonly onLimitFree: () => void
  readonly onBreakerChange: BreakerOptions['onChange']
}

export function createTargetState(options: TargetStateOptions): TargetState {
  const { clock, settings, random, key, network, limits, onLimitFree, onBreakerChange } = options
  const limiter = createLimiter()
  let wasClosed = true

  const breaker = createBreaker({
    settings: settings.breaker,
    random,
    onChange(change) {
      // Only the peak before the outage counts: between two failed probes the target was not at its best.
      if (wasClosed) limiter.stop()
      wasClosed = change.state === 'closed'
      if (wasClosed) limiter.startSlowly(change.now)
      onBreakerChange(change)
    },
  })

  return {
    gate: createGate(random),
    model: createSuspension(random),
    key,
    network,
    breaker,
    limiter,
    limits: limits === undefined ? undefined : createLimits(limits, { clock, onFree: onLimitFree }),
    budget: createRetryBudget(settings.budget),
    latency: createLatency(),
  }
}

/** How events and `health()` name a target. */
export type TargetNames = {
  readonly provider: string
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
}

/** The public state of a target, the reason for it, and when it will change by itself; Infinity: not known. */
export type Condition = { readonly state: StateName; readonly reason: FailureReason | undefined; readonly until: number }

/** Returns the condition by the guard that blocks calls for the longest time; if no guard blocks, by the breaker. */
export function conditionOf({ gate, key, model, network, breaker }: TargetState, now: number): Condition {
  const guards = [gate, key.suspension, model, network].filter(guard => guard.blockedUntil(now) > now)
  const [last] = guards.toSorted((one, other) => other.blockedUntil(now) - one.blockedUntil(now))
  if (last !== undefined) return { state: 'gated', reason: last.cause().reason, until: last.blockedUntil(now) }
  const state = breaker.state(now)
  if (state === 'closed') return { state, reason: undefined, until: Infinity }
  return { state, reason: breaker.cause().reason, until: state === 'open' ? breaker.blockedUntil(now) : Infinity }
}
