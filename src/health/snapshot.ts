import type { FailureReason } from '../contract.ts'
import type { TargetMemory } from './target-memory.ts'

/** What is thought of one target now. Plain data: JSON keeps all of it. */
export type TargetSnapshot = {
  readonly provider: string
  readonly model: string
  readonly targetIndex: number
  /** `gated`: the server, or a refused key or model, keeps calls away. `open`, `half-open`: it was down and is probed. */
  readonly state: 'closed' | 'open' | 'half-open' | 'gated'
  /** Why it is not closed. */
  readonly reason: FailureReason | undefined
  /** How long it stays so, in milliseconds from now; undefined = not known. */
  readonly untilMs: number | undefined
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

export type SnapshotName = Pick<TargetSnapshot, 'provider' | 'model' | 'targetIndex'>

export function snapshotOf(name: SnapshotName, { rooms, waiting }: TargetMemory, now: number): TargetSnapshot {
  const { limiter, latency, budget } = rooms
  const limit = limiter.limit(now)
  const quantiles = latency.quantiles()
  return {
    ...name,
    ...conditionOf(rooms, now),
    inFlight: limiter.inFlight(),
    limit: limit === Infinity ? undefined : limit,
    waiting: waiting(),
    firstChunkMs: quantiles === undefined ? undefined : { p50: quantiles.p50, p98: quantiles.p98 },
    retriesLeft: Math.floor(budget.tokens() + 1e-9),
  }
}

function conditionOf(
  { gate, key, model, watch, breaker }: TargetMemory['rooms'],
  now: number,
): Pick<TargetSnapshot, 'state' | 'reason' | 'untilMs'> {
  const gates = [gate, key.suspension, model, watch].filter(guard => guard.openAt(now) > now)
  const last = gates.reduce<(typeof gates)[number] | undefined>(
    (a, b) => (a === undefined || b.openAt(now) > a.openAt(now) ? b : a),
    undefined,
  )
  if (last !== undefined) return { state: 'gated', reason: last.why().reason, untilMs: last.openAt(now) - now }
  const state = breaker.state(now)
  if (state === 'closed') return { state, reason: undefined, untilMs: undefined }
  return { state, reason: breaker.why().reason, untilMs: state === 'open' ? breaker.openAt(now) - now : undefined }
}
