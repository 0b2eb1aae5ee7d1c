import type { FailureReason } from '../contract.ts'
import type { Guard } from './guard.ts'
import type { GateSettings } from './settings.ts'

/** Keeps calls away until a time that the server named, however far away it is. */
export type Gate = Guard & {
  /** Answers until when it is shut now. */
  shut(refusal: Refusal, now: number): number
  /** Shuts it until a time that somebody else has drawn already. */
  shutUntil(until: number, refusal: Refusal): number
}

export type Refusal = {
  readonly reason: FailureReason
  readonly message: string
  /** Undefined: no time was named. */
  readonly retryAfterMs: number | undefined
}

export function createGate(settings: GateSettings, random: () => number): Gate {
  let until = Number.NEGATIVE_INFINITY
  let why = { reason: 'rate-limit' as FailureReason, message: '' }

  function shutUntil(at: number, refusal: Refusal): number {
    // The later of two gates stays (R99): an old answer with a short time must not open what a newer one has shut.
    if (at > until) {
      until = at
      why = { reason: refusal.reason, message: refusal.message }
    }
    return until
  }

  return {
    openAt: () => until,
    onTrial: () => false,
    why: () => why,
    shut: (refusal, now) => shutUntil(now + closedMs(refusal.retryAfterMs, settings, random()), refusal),
    shutUntil,
  }
}

/** Never shorter than what the server asked for (R92), and spread, so that a fleet does not come back in one moment (R140). */
function closedMs(retryAfterMs: number | undefined, settings: GateSettings, draw: number): number {
  if (!isDuration(retryAfterMs)) return settings.unnamedMs * (0.5 + 0.5 * draw)
  return retryAfterMs + draw * Math.max(settings.jitterShare * retryAfterMs, settings.jitterMs)
}

/** A time that can be waited for: garbage counts as no time at all. */
export function isDuration(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value >= 0
}
