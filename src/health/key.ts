import { createSuspension, gateSettings } from './gate.ts'
import type { Refusal, Suspension } from './gate.ts'
import type { HealthFact } from './store.ts'

/** The state that all targets of one credential at one origin share: whether the key is refused. */
export type KeyState = {
  readonly suspension: Suspension
  join(member: KeyMember): void
  /** Whether another target answered with this key recently: then the key is good, and only the model is forbidden (R103). */
  worksElsewhere(member: KeyMember, now: number): boolean
  /** Records that the key was refused. Returns until when the key is skipped. */
  refuse(refusal: Refusal, now: number): number
  /** Records that another process was refused, or found that the key works again. */
  learn(fact: HealthFact, now: number): void
  /** Makes all targets of the key available again, because a probe succeeded. */
  lift(): void
}

/** One target that uses the key. */
export type KeyMember = {
  answeredAt(): number
  onBlocked(refusal: Refusal, now: number): void
  onLifted(): void
}

export function createKeyState(random: () => number): KeyState {
  const suspension = createSuspension(random)
  const members = new Set<KeyMember>()

  function block(refusal: Refusal, until: number, now: number): number {
    for (const member of members) member.onBlocked(refusal, now)
    return until
  }

  function lift(): void {
    for (const member of members) member.onLifted()
  }

  function wasGood(now: number): boolean {
    for (const member of members) if (now - member.answeredAt() <= gateSettings.recentMs) return true
    return false
  }

  return {
    suspension,
    join: member => void members.add(member),
    worksElsewhere(member, now) {
      for (const other of members) if (other !== member && now - other.answeredAt() <= gateSettings.refusedMs) return true
      return false
    },
    refuse: (refusal, now) => block(refusal, suspension.suspend(refusal, now, wasGood(now)), now),
    learn({ kind, reason, forMs }, now) {
      const refusal = { reason, message: 'It refused another process.', retryAfterMs: undefined }
      if (kind === 'refused' || kind === 'gate')
        block(refusal, suspension.suspendUntil(now + forMs, refusal, { now, isNamed: kind === 'gate' }), now)
      if (kind !== 'closed') return
      suspension.lift()
      lift()
    },
    lift,
  }
}
