import type { FailureReason, TargetState } from '../contract.ts'
import type { Rooms } from './rooms.ts'

/** How a target is called wherever something is said of it. */
export type TargetNames = {
  readonly provider: string
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
}

/** The state of a target, why, and when it will change by itself; Infinity: not known. */
export type Condition = { readonly state: TargetState; readonly reason: FailureReason | undefined; readonly until: number }

/** What the last of those says that keep calls away, else the breaker. */
export function conditionOf({ gate, key, model, watch, breaker }: Rooms, now: number): Condition {
  const guards = [gate, key.suspension, model, watch].filter(guard => guard.openAt(now) > now)
  const [last] = guards.toSorted((one, other) => other.openAt(now) - one.openAt(now))
  if (last !== undefined) return { state: 'gated', reason: last.why().reason, until: last.openAt(now) }
  const state = breaker.state(now)
  if (state === 'closed') return { state, reason: undefined, until: Infinity }
  return { state, reason: breaker.why().reason, until: state === 'open' ? breaker.openAt(now) : Infinity }
}
