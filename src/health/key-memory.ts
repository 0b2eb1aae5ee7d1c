import type { Refusal } from './gate.ts'
import { createSuspension } from './suspension.ts'
import type { HealthFact } from './store.ts'
import type { Suspension } from './suspension.ts'
import type { GateSettings } from './settings.ts'

/** What all targets of one credential at one origin share: whether the key is refused. */
export type KeyMemory = {
  readonly suspension: Suspension
  join(member: KeyMember): void
  /** Whether another target answered with this key not long ago: then the key is good, and only a model is forbidden (R103). */
  worksElsewhere(member: KeyMember, now: number): boolean
  /** Answers until when the key is left alone. */
  refuse(refusal: Refusal, now: number): number
  /** Another process was refused, or found that the key is good again. */
  learn(fact: HealthFact, now: number): void
  /** A trial succeeded: all may go on. */
  lift(): void
}

/** One target that uses the key. */
export type KeyMember = {
  answeredAt(): number
  onGated(refusal: Refusal, until: number, now: number): void
  onLifted(): void
}

export function createKeyMemory(settings: GateSettings, random: () => number): KeyMemory {
  const suspension = createSuspension(settings, random)
  const members = new Set<KeyMember>()

  function tell(refusal: Refusal, until: number, now: number): number {
    for (const member of members) member.onGated(refusal, until, now)
    return until
  }

  function lift(): void {
    for (const member of members) member.onLifted()
  }

  function wasGood(now: number): boolean {
    for (const member of members) if (now - member.answeredAt() <= settings.recentMs) return true
    return false
  }

  return {
    suspension,
    join: member => void members.add(member),
    worksElsewhere(member, now) {
      for (const other of members) if (other !== member && now - other.answeredAt() <= settings.refusedMs) return true
      return false
    },
    refuse: (refusal, now) => tell(refusal, suspension.suspend(refusal, now, wasGood(now)), now),
    learn({ kind, reason, forMs }, now) {
      const refusal = { reason, message: 'Another process was refused.', retryAfterMs: undefined }
      if (kind === 'refused' || kind === 'gate')
        tell(refusal, suspension.suspendUntil(now + forMs, refusal, { now, isNamed: kind === 'gate' }), now)
      if (kind !== 'closed') return
      suspension.lift()
      lift()
    },
    lift,
  }
}
