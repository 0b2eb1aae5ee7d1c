import type { FailureReason } from '../contract.ts'
import type { Guard } from './guard.ts'
import type { Limiter } from './limiter.ts'
import type { Sized } from './size.ts'

/** Whether a target may be asked now. */
export type Standing =
  | { readonly state: 'ready' }
  /**
   * It was down, and nobody has asked since: send a shadow probe beside a real attempt elsewhere. When nobody else can be asked,
   * the real call itself is the probe.
   */
  | { readonly state: 'probation' }
  | {
      readonly state: 'shut'
      readonly reason: FailureReason
      readonly message: string
      /** When it may open, on the clock. `Infinity`: when a place gets free. */
      readonly openAt: number
      /** So many wait already that one more would not be woken: to wait here is in vain. */
      readonly crowded?: true
    }

const ready: Standing = { state: 'ready' }
const probation: Standing = { state: 'probation' }

/** When, and for which call where one is at hand. */
export type Moment = { readonly now: number; readonly call?: Sized | undefined }

/** Asks gate, key and model, then breaker, then limiter: a gated call must not take the one place of a probe. */
export function standingOf(guards: readonly Guard[], limiter: Limiter, { now, call }: Moment): Standing {
  let openAt = now
  let shutBy: Guard | undefined
  let isTrial = false
  for (const guard of guards) {
    const guardOpensAt = guard.openAt(now, call)
    if (guardOpensAt > openAt) {
      openAt = guardOpensAt
      shutBy = guard
    } else if (guard.onTrial(now)) isTrial = true
  }
  if (shutBy !== undefined) {
    const { reason, message } = shutBy.why()
    return { state: 'shut', reason, message, openAt }
  }
  // A probe is one at a time anyhow; a limit that the outage has lowered must not keep it away.
  if (isTrial) return probation
  return limiter.hasRoom(now) ? ready : full(limiter)
}

function full(limiter: Limiter): Standing {
  return {
    state: 'shut',
    reason: 'overloaded',
    message: `${limiter.inFlight()} requests are in flight, and it has refused more than that.`,
    openAt: Infinity,
  }
}
