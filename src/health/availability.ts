import type { FailureReason } from '../contract-failures.ts'
import type { Limiter } from './limiter.ts'
import type { Sized } from './request-size.ts'

/**
 * One thing that can keep calls away from a target. Every guard is asked before every attempt, so a guard only compares numbers.
 * The caller passes `now`: no guard reads a clock.
 */
export type Guard = {
  /** Returns until when calls are blocked; a time not after `now` means that calls may pass. */
  blockedUntil(now: number, call?: Sized): number
  /** Whether calls may pass only one at a time, because it is not known yet whether the target works again. */
  needsProbe(now: number): boolean
  /** Returns why calls are blocked. */
  cause(): Cause
}

export type Cause = { readonly reason: FailureReason; readonly message: string }

/** A call that finds out whether the target works again. It succeeds, fails, or ends without a verdict. */
export type Probe = { end(verdict: 'good' | 'bad' | 'none', now: number): void }

/** Whether a target may be asked now. */
export type Availability =
  | { readonly state: 'available' }
  /**
   * The target was down and has had no request since: send a probe beside a real attempt at another target. If no other target is
   * available, the call itself is the probe.
   */
  | { readonly state: 'half-open' }
  | {
      readonly state: 'blocked'
      readonly reason: FailureReason
      readonly message: string
      /** When the target may become available, on the clock. `Infinity`: when a request in flight ends. */
      readonly until: number
      /** Waiting is pointless for this call: the queue is full, or the call alone is larger than a limit. */
      readonly isInVain?: true
    }

const available: Availability = { state: 'available' }
const halfOpen: Availability = { state: 'half-open' }

/** The time of a check, and the call that it is for, if there is one. */
export type Moment = { readonly now: number; readonly call?: Sized | undefined }

/** Checks the guards first and the limiter last: a blocked call must not take the only place of a probe. */
export function availabilityOf(guards: readonly Guard[], limiter: Limiter, { now, call }: Moment): Availability {
  let until = now
  let blockedBy: Guard | undefined
  let needsProbe = false
  for (const guard of guards) {
    const guardUntil = guard.blockedUntil(now, call)
    if (guardUntil > until) {
      until = guardUntil
      blockedBy = guard
    } else if (guard.needsProbe(now)) needsProbe = true
  }
  if (blockedBy !== undefined) {
    const { reason, message } = blockedBy.cause()
    return { state: 'blocked', reason, message, until }
  }
  // Only one probe runs at a time anyway, so a limit that the outage has lowered must not block it.
  if (needsProbe) return halfOpen
  return limiter.hasRoom(now) ? available : full(limiter)
}

function full(limiter: Limiter): Availability {
  return {
    state: 'blocked',
    reason: 'overloaded',
    message: `${limiter.inFlight()} requests are in flight, and it has refused more than that before.`,
    until: Infinity,
  }
}
