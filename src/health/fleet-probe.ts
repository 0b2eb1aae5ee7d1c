import type { Clock, FailureReason } from '../contract.ts'
import type { Guard } from './guard.ts'
import type { HealthStore } from './store.ts'

export type FleetProbeOptions = {
  readonly clock: Clock
  readonly store: HealthStore
  readonly key: string
  readonly leaseMs: number
  /** Whether the breaker would let a probe in. */
  mayProbe(now: number): boolean
  /** The store answered. */
  onAnswer(): void
}

export type FleetProbe = Guard & {
  /** This process could not try the target, for its own network failed: it lets another one probe, and asks again later (F93). */
  giveUp(now: number): void
}

/** How long the answer of a store is awaited, in the background, before this process goes on alone (R117). */
const patienceMs = 200

/** Of all processes of a fleet only one probes a target (R107). The lease is asked for in the background; no call waits for it. */
export function createFleetProbe({ clock, store, key, leaseMs, mayProbe, onAnswer }: FleetProbeOptions): FleetProbe {
  const why = { reason: 'overloaded' as FailureReason, message: 'Another process finds out whether it is well again.' }
  let grantedUntil = Number.NEGATIVE_INFINITY
  let deniedUntil = Number.NEGATIVE_INFINITY
  let askedAt: number | undefined

  function ask(now: number): void {
    askedAt = now
    let answer: Promise<boolean>
    try {
      answer = store.lease(key, leaseMs)
    } catch {
      answer = Promise.resolve(true)
    }
    answer.then(
      granted => settle(granted, now),
      () => settle(true, now),
    )
  }

  function settle(granted: boolean, asked: number): void {
    if (askedAt !== asked) return
    askedAt = undefined
    if (granted) grantedUntil = clock.now() + leaseMs
    else deniedUntil = clock.now() + leaseMs / 2
    onAnswer()
  }

  async function release(): Promise<void> {
    await store.release?.(key)
  }

  return {
    giveUp(now) {
      if (now >= grantedUntil) return
      grantedUntil = Number.NEGATIVE_INFINITY
      deniedUntil = now + leaseMs / 2
      // a lease that cannot be given up ends by its time
      release().catch(() => {})
    },
    openAt(now) {
      if (!mayProbe(now) || now < grantedUntil) return Number.NEGATIVE_INFINITY
      if (now < deniedUntil) return deniedUntil
      if (askedAt === undefined) ask(now)
      const aloneAt = (askedAt ?? now) + patienceMs
      if (now < aloneAt) return aloneAt
      askedAt = undefined
      grantedUntil = now + leaseMs
      return Number.NEGATIVE_INFINITY
    },
    onTrial: () => false,
    why: () => why,
  }
}
