import { abandonAttempt } from './attempt.ts'
import { dealingsWith } from './dealings.ts'
import { stopLateTimer } from './hedge.ts'
import type { Leg, Walk } from './state.ts'

/** The first content of a leg is here: is it the one whose answer the caller gets? Then all others that race it end. */
export function claim<Answer>(walk: Walk<Answer>, leg: Leg<Answer>): boolean {
  if (walk.over || (walk.winner !== undefined && walk.winner !== leg)) return false
  // it began when the caller had another text, or none: what it says now does not fit behind what the caller has since
  if (leg.kind === 'probe' && walk.committed) return false
  if (walk.winner === undefined) {
    walk.winner = leg
    stopLateTimer(walk, leg)
    for (const other of walk.legs) if (other !== leg && other.kind !== 'probe') lose(walk, other)
  }
  return true
}

/** What this leg has received becomes the caller's. Told once a call. */
export function commit<Answer>(walk: Walk<Answer>, leg: Leg<Answer>): void {
  if (walk.committed) return
  walk.committed = true
  if (walk.tell === undefined) return
  const { provider, model, targetIndex } = leg.target
  const at = walk.clock.now()
  const of = { callId: walk.callId, provider: provider.name, model, targetIndex, attempt: dealingsWith(walk, leg.target).asked }
  walk.tell({ type: 'commit', at, ...of, durationMs: at - walk.startedAt })
}

/** Ends a leg at once, in whatever it is doing. */
export function abandonLeg<Answer>(leg: Leg<Answer>, reason: unknown): void {
  leg.end ??= { type: 'abandoned' }
  if (leg.running !== undefined) abandonAttempt(leg.running, reason)
  leg.waiting?.cancel()
}

function lose<Answer>(walk: Walk<Answer>, leg: Leg<Answer>): void {
  if (leg.end === undefined) walk.hedge?.lost(walk.call, leg.target)
  abandonLeg(leg, undefined)
}
