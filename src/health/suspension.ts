import type { FailureReason } from '../contract.ts'
import { isDuration } from './gate.ts'
import type { Refusal } from './gate.ts'
import type { Guard, Trial } from './guard.ts'
import { createLease } from './lease.ts'
import type { GateSettings } from './settings.ts'

/**
 * A key that was refused, or a model that is unknown. Waiting rarely mends it, so it is left alone for minutes, longer each time;
 * then one call tries. Only its success lifts the suspension.
 */
export type Suspension = Guard & {
  /** Answers until when it is shut now. */
  suspend(refusal: Refusal, now: number): number
  /** Suspends it until a time that somebody else has drawn already. `isNamed`: the server named it. */
  suspendUntil(until: number, refusal: Refusal, isNamed?: boolean): number
  /** Somebody else found that it is over. */
  lift(): void
  /** The one call that tries; undefined when there is nothing to try, or when another one does. */
  take(now: number): Trial | undefined
  /** When the time that the server itself named is over. Before it not even a last resort may call. */
  namedUntil(): number
}

export function createSuspension(settings: GateSettings, random: () => number): Suspension {
  const lease = createLease(settings.trialLeaseMs)
  let until = Number.NEGATIVE_INFINITY
  let named = Number.NEGATIVE_INFINITY
  let inARow = 0
  let why = { reason: 'authentication' as FailureReason, message: '' }
  const isSuspended = () => inARow > 0

  function suspendUntil(at: number, refusal: Refusal, isNamed = false): number {
    if (isNamed) named = Math.max(named, at)
    inARow = Math.max(1, inARow)
    if (at > until) {
      until = at
      why = { reason: refusal.reason, message: refusal.message }
    }
    return until
  }

  function suspend(refusal: Refusal, now: number): number {
    // Refusals of calls that were under way together are one refusal.
    if (now >= until) inARow += 1
    const longMs = Math.min(settings.maxRefusedMs, settings.refusedMs * 2 ** (inARow - 1))
    const namedMs = isDuration(refusal.retryAfterMs) ? refusal.retryAfterMs : 0
    if (namedMs > 0) named = Math.max(named, now + namedMs)
    const closedMs = Math.max(namedMs, now >= until ? longMs : 0)
    return suspendUntil(now + closedMs * (1 + settings.jitterShare * random()), refusal)
  }

  function lift(): void {
    inARow = 0
    // What the server has named, perhaps to another call meanwhile, stays.
    until = named
  }

  return {
    openAt: () => Math.max(until, lease.freeAt()),
    onTrial: isSuspended,
    why: () => why,
    namedUntil: () => named,
    suspend,
    suspendUntil,
    lift,
    take(now) {
      const id = isSuspended() ? lease.take(now) : undefined
      if (id === undefined) return undefined
      return {
        end(verdict) {
          if (verdict === 'good' && lease.holds(id)) lift()
          lease.giveBack(id)
        },
      }
    },
  }
}
