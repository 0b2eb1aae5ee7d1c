import type { FailureReason } from '../contract.ts'
import { isDuration } from './gate.ts'
import type { Refusal } from './gate.ts'
import type { Guard, Trial } from './guard.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import type { GateSettings } from './settings.ts'

/**
 * A key that was refused, or a model that is unknown. Waiting rarely mends it, so it is left alone for minutes, longer each time;
 * then one call tries. Only its success lifts the suspension.
 */
export type Suspension = Guard & {
  /** Answers until when it is shut now. `wasGood`: it answered seconds ago, so one call tries soon (F35). */
  suspend(refusal: Refusal, now: number, wasGood?: boolean): number
  /** Suspends it until a time that somebody else has drawn already. */
  suspendUntil(until: number, refusal: Refusal, learned: Learned): number
  /** Somebody else found that it is over. */
  lift(): void
  /** The one call that tries; undefined when there is nothing to try, or when another one does. */
  take(now: number): Trial | undefined
  /** It is left alone only until one call has tried soon: nothing that others must learn. */
  isBrief(): boolean
  /** When the time that the server itself named is over. Before it not even a last resort may call. */
  namedUntil(): number
}

export type Learned = { readonly now: number; /** The server named the time. */ readonly isNamed?: boolean | undefined }

export function createSuspension(settings: GateSettings, random: () => number): Suspension {
  const lease = createLease(settings.trialLeaseMs)
  let until = Number.NEGATIVE_INFINITY
  let named = Number.NEGATIVE_INFINITY
  let inARow = 0
  let isBrief = false
  let why = { reason: 'authentication' as FailureReason, message: '' }
  const isSuspended = () => inARow > 0

  function suspendUntil(at: number, refusal: Refusal, { now, isNamed = false }: Learned): number {
    // beyond this a time is looked at again, also one that was named (F20)
    if (isNamed) named = Math.max(named, Math.min(at, now + settings.obeyedMs * (1 + settings.jitterShare)))
    inARow = Math.max(1, inARow)
    if (at > until) {
      until = at
      why = { reason: refusal.reason, message: refusal.message }
    }
    return until
  }

  function suspend(refusal: Refusal, now: number, wasGood = false): number {
    const namedMs = isDuration(refusal.retryAfterMs) ? Math.min(refusal.retryAfterMs, settings.obeyedMs) : 0
    // Refusals of calls that were under way together are one refusal.
    if (now < until && namedMs === 0) return until
    if (now >= until) begin(wasGood && namedMs === 0)
    if (namedMs > 0) named = Math.max(named, now + namedMs)
    const isLong = isDuration(refusal.retryAfterMs) && refusal.retryAfterMs > settings.obeyedMs
    const closedMs = isLong || now < until ? namedMs : Math.max(namedMs, guessedMs({ settings, inARow, isBrief }, refusal))
    return suspendUntil(now + closedMs * (1 + settings.jitterShare * random()), refusal, { now })
  }

  function begin(isDoubted: boolean): void {
    // The trial of a doubted refusal failed: that was the first refusal after all.
    inARow = isBrief ? 1 : inARow + 1
    isBrief = isDoubted && inARow === 1 && !isBrief
  }

  function lift(): void {
    inARow = 0
    isBrief = false
    // What the server has named, perhaps to another call meanwhile, stays.
    until = named
  }

  return {
    openAt: () => Math.max(until, lease.freeAt()),
    onTrial: isSuspended,
    why: () => why,
    namedUntil: () => named,
    isBrief: () => isBrief,
    suspend,
    suspendUntil,
    lift,
    take: now => trialOf(lease, isSuspended() ? lease.take(now) : undefined, lift),
  }
}

type Refused = { readonly settings: GateSettings; readonly inARow: number; readonly isBrief: boolean }

/** Longer each time, but no longer than such a refusal can last; soon where it may have been a mistake. */
function guessedMs({ settings, inARow, isBrief }: Refused, { atMostMs = Infinity }: Refusal): number {
  const longMs = Math.min(settings.maxRefusedMs, settings.refusedMs * 2 ** (inARow - 1))
  return Math.min(isBrief ? settings.doubtMs : longMs, atMostMs)
}

function trialOf(lease: Lease, id: number | undefined, lift: () => void): Trial | undefined {
  if (id === undefined) return undefined
  return {
    end(verdict) {
      if (verdict === 'good' && lease.holds(id)) lift()
      lease.giveBack(id)
    },
  }
}
