import type { FailureReason } from '../contract.ts'
import type { Guard, Why } from './guard.ts'
import { createLease } from './lease.ts'
import { createOutcomes } from './outcomes.ts'
import type { BreakerSettings } from './settings.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/**
 * Leaves a broken target alone and finds out when it is well again: by one probe at a time, which no caller waits for.
 * Outcomes are known at the first content: calls that last a minute would tell a minute late.
 */
export type Breaker = Guard & {
  /** Undefined while it is open, or while a probe is under way. */
  enter(now: number): BreakerPermit | undefined
  /** For the last target that a call can ask: enters an open breaker too. */
  enterOpen(now: number): BreakerPermit
  succeed(permit: BreakerPermit, now: number): void
  fail(permit: BreakerPermit, why: Why, now: number): void
  /** No verdict: the caller left, or another target won. The next probe may start at once. */
  abandon(permit: BreakerPermit): void
  /** No verdict: the failure says nothing about the target. The next probe rests a little (R104). */
  pass(permit: BreakerPermit, now: number): void
  state(now: number): BreakerState
  /** Opens it until a time that somebody else has learned. */
  openUntil(until: number, why: Why, now: number): void
  close(now: number): void
  /** How the failure went since then is forgotten: it was on our side. */
  pardon(since: number, now: number): void
}

/** What one attempt carries: an outcome of an earlier epoch changes nothing (in Polly 8 it closes the circuit). */
export type BreakerPermit = {
  readonly epoch: number
  /** The number of the probe; 0 for an ordinary attempt. */
  readonly probe: number
  /** By which its success can be taken back; undefined before there is one. */
  success: number | undefined
}

export type BreakerOptions = {
  readonly settings: BreakerSettings
  readonly random: () => number
  /** Told after every change. `until` is when an open breaker lets a probe in. */
  onChange(change: {
    readonly state: BreakerState
    readonly reason: FailureReason
    readonly until: number | undefined
    readonly now: number
  }): void
}

export function createBreaker({ settings, random, onChange }: BreakerOptions): Breaker {
  const outcomes = createOutcomes(settings)
  const lease = createLease(settings.probeLeaseMs)
  let state: BreakerState = 'closed'
  let epoch = 0
  let until = Number.NEGATIVE_INFINITY
  let openedAt = Number.NEGATIVE_INFINITY
  /** How often it opened without closing in between. */
  let openings = 0
  let successes = 0
  let why: Why = { reason: 'server-error', message: '' }

  function turn(next: BreakerState, now: number): void {
    state = next
    epoch += 1
    successes = 0
    outcomes.clear()
    onChange({ state, reason: why.reason, until: next === 'open' ? until : undefined, now })
  }

  function open(cause: Why, now: number): void {
    why = cause
    if (openings === 0) openedAt = now
    const openMs = Math.min(settings.maxOpenMs, settings.openMs * 2 ** openings)
    openings += 1
    until = now + openMs * (0.8 + 0.4 * random())
    turn('open', now)
  }

  function close(now: number): void {
    if (state === 'closed') return
    openings = 0
    turn('closed', now)
  }

  function countProbe(now: number): void {
    successes += 1
    if (successes >= settings.successesToClose) close(now)
  }

  return {
    openAt: () => (state === 'closed' ? Number.NEGATIVE_INFINITY : state === 'open' ? until : lease.freeAt()),
    onTrial: () => state !== 'closed',
    why: () => why,
    state: now => (state === 'open' && now >= until ? 'half-open' : state),
    enter(now) {
      if (state === 'closed') return { epoch, probe: 0, success: undefined }
      if (state === 'open' && now < until) return undefined
      if (state === 'open') turn('half-open', now)
      const probe = lease.take(now)
      return probe === undefined ? undefined : { epoch, probe, success: undefined }
    },
    enterOpen: () => ({ epoch, probe: 0, success: undefined }),
    succeed(permit, now) {
      if (permit.epoch !== epoch || permit.success !== undefined) return
      if (state === 'closed') {
        permit.success = outcomes.succeed(now)
        return
      }
      // A call that was let through an open breaker is as good as a probe (R136).
      if (state === 'open') turn('half-open', now)
      else if (!lease.holds(permit.probe)) return
      permit.success = 0
      lease.giveBack(permit.probe)
      countProbe(now)
    },
    fail(permit, cause, now) {
      if (permit.epoch !== epoch || state === 'open') return
      if (state === 'half-open') {
        if (permit.success === undefined && !lease.holds(permit.probe)) return
        lease.giveBack(permit.probe)
        open(cause, now)
        return
      }
      if (permit.success === undefined) outcomes.fail(now)
      else outcomes.takeBack(permit.success, now)
      if (outcomes.areBroken(now)) open(cause, now)
    },
    abandon(permit) {
      if (permit.epoch === epoch) lease.giveBack(permit.probe)
    },
    pass(permit, now) {
      if (permit.epoch === epoch) lease.giveBack(permit.probe, now + settings.openMs / 2)
    },
    openUntil(at, cause, now) {
      if (at <= now || (state === 'open' && at <= until)) return
      why = cause
      until = at
      if (state !== 'open') turn('open', now)
    },
    close,
    pardon(since, now) {
      if (state === 'closed') outcomes.clear()
      else if (openedAt >= since && why.reason === 'network') close(now)
    },
  }
}
