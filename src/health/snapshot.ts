import type { FailureReason, TargetState } from '../contract.ts'
import type { TargetNames } from './condition.ts'
import type { TargetMemory } from './target-memory.ts'

/** What is thought of one target now. Plain data: JSON keeps all of it. */
export type TargetSnapshot = {
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  readonly targetIndex: number
  /** Its place in the chain, from 0; a pool is one step. */
  readonly step: number
  readonly state: TargetState
  /** Why it is not closed. */
  readonly reason: FailureReason | undefined
  /** How long it stays so, in milliseconds from now; undefined = not known. */
  readonly untilMs: number | undefined
  /** How long it has been so, in milliseconds. */
  readonly sinceMs: number
  readonly inFlight: number
  /** How many requests may be in flight; undefined = not limited. */
  readonly limit: number | undefined
  /** Calls that wait for an opening. */
  readonly waiting: number
  /** Time to the first content, in milliseconds. */
  readonly firstChunkMs: { readonly p50: number; readonly p98: number } | undefined
  /** Retries that it may be sent now. */
  readonly retriesLeft: number
}

export function snapshotOf(names: TargetNames, { rooms, waiting, look }: TargetMemory, now: number): TargetSnapshot {
  const { limiter, latency, budget } = rooms
  const limit = limiter.limit(now)
  const quantiles = latency.quantiles()
  const { state, reason, until, since } = look(now)
  return {
    ...names,
    ...{ state, reason, untilMs: until === Infinity ? undefined : until - now, sinceMs: now - since },
    inFlight: limiter.inFlight(),
    limit: limit === Infinity ? undefined : limit,
    waiting: waiting(),
    firstChunkMs: quantiles === undefined ? undefined : { p50: quantiles.p50, p98: quantiles.p98 },
    retriesLeft: Math.floor(budget.tokens() + 1e-9),
  }
}
