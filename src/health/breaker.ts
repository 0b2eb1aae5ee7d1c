import type { FailureReason } from '../contract.ts'
import type { Guard, Why } from './guard.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import { createOutcomes } from './outcomes.ts'
import type { Outcomes } from './outcomes.ts'
import type { BreakerSettings } from './settings.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/**
 * Leaves a broken target alone and finds out when it is well again: by one probe at a time, which no caller waits for.
 * Outcomes are known at the first content: calls that last a minute would tell a minute late.
 */
export type Breaker = Guard & {
  /** Undefined while it is open, or while a probe is under way. */
  enter(now: number): BreakerPermit | undefined
  /** For a call that can ask nobody else: lets it through an open breaker too. */
  enterOpen(now: number): BreakerPermit
  /** Its first content came. */
  succeed(permit: BreakerPermit, now: number): void
  /** Its answer is whole. */
  finish(permit: BreakerPermit, now: number): void
  fail(permit: BreakerPermit, why: Why, now: number): void
  /** No verdict: the caller left, or another target won. The next probe may start at once. */
  abandon(permit: BreakerPermit): void
  /** No verdict: the failure says nothing about the target. The next probe rests a little (R104). */
  pass(permit: BreakerPermit, now: number): void
  state(now: number): BreakerState
  /** Opens it until a time that another process has drawn already. */
  openUntil(until: number, why: Why, now: number): void
  close(now: number): void
  /** The failures since then were on our side: they are forgotten, and an opening by them is taken back. */
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

export type BreakerChange = {
  readonly state: BreakerState
  readonly reason: FailureReason
  /** When an open breaker lets a probe in. */
  readonly until: number | undefined
  readonly now: number
}

export type BreakerOptions = {
  readonly settings: BreakerSettings
  readonly random: () => number
  readonly onChange: (change: BreakerChange) => void
}

type Memory = BreakerOptions & {
  readonly outcomes: Outcomes
  /**
   * The same of the answers that had begun: whole, or broken off. Where answers last long and overlap, there are always more new
   * beginnings than old ones that broke off, and a target that never finishes one would look well (R105).
   */
  readonly endings: Outcomes
  readonly lease: Lease
  state: BreakerState
  /** Grows with every change of state. */
  epoch: number
  until: number
  /** When it opened after it had been closed. */
  openedAt: number
  /** How often it opened without closing in between. */
  openings: number
  /** Probes that succeeded since it is half-open. */
  successes: number
  why: Why
}

const never = Number.NEGATIVE_INFINITY

export function createBreaker(options: BreakerOptions): Breaker {
  const { settings } = options
  const memory: Memory = {
    ...options,
    outcomes: createOutcomes(settings),
    endings: createOutcomes(settings),
    lease: createLease(settings.probeLeaseMs),
    state: 'closed',
    epoch: 0,
    until: never,
    openedAt: never,
    openings: 0,
    successes: 0,
    why: { reason: 'server-error', message: '' },
  }
  return {
    openAt: () => openAt(memory),
    onTrial: () => memory.state !== 'closed',
    why: () => memory.why,
    enter: now => enter(memory, now),
    enterOpen: () => ({ epoch: memory.epoch, probe: 0, success: undefined }),
    succeed: (permit, now) => succeed(memory, permit, now),
    finish: (permit, now) => finish(memory, permit, now),
    fail: (permit, why, now) => fail(memory, permit, { why, now }),
    abandon: permit => memory.lease.giveBack(permit.probe),
    pass: (permit, now) => memory.lease.giveBack(permit.probe, now + settings.openMs / 2),
    state: now => (memory.state === 'open' && now >= memory.until ? 'half-open' : memory.state),
    openUntil: (until, why, now) => openUntil(memory, until, { why, now }),
    close: now => close(memory, now),
    pardon: (since, now) => pardon(memory, since, now),
  }
}

function openAt({ state, until, lease }: Memory): number {
  if (state === 'closed') return never
  return state === 'open' ? until : lease.freeAt()
}

function enter(memory: Memory, now: number): BreakerPermit | undefined {
  if (memory.state === 'closed') return { epoch: memory.epoch, probe: 0, success: undefined }
  if (memory.state === 'open') {
    if (now < memory.until) return undefined
    turn(memory, 'half-open', now)
  }
  const probe = memory.lease.take(now)
  return probe === undefined ? undefined : { epoch: memory.epoch, probe, success: undefined }
}

function succeed(memory: Memory, permit: BreakerPermit, now: number): void {
  if (permit.epoch !== memory.epoch || permit.success !== undefined) return
  if (memory.state === 'closed') {
    permit.success = memory.outcomes.succeed(now)
    return
  }
  // A call that was let through an open breaker is as good as a probe (R136).
  if (memory.state === 'open') turn(memory, 'half-open', now)
  else if (!memory.lease.holds(permit.probe)) return
  permit.success = 0
  memory.lease.giveBack(permit.probe)
  memory.successes += 1
  if (memory.successes >= memory.settings.successesToClose) close(memory, now)
}

function fail(memory: Memory, permit: BreakerPermit, cause: Cause): void {
  if (permit.epoch !== memory.epoch || memory.state === 'open') return
  if (memory.state === 'half-open') {
    // A probe whose lease has run out is none any more; one that has succeeded still says whether its answer broke off.
    if (permit.success === undefined && !memory.lease.holds(permit.probe)) return
    open(memory, cause)
    return
  }
  const { outcomes, endings } = memory
  if (permit.success === undefined) outcomes.fail(cause.now)
  else {
    outcomes.takeBack(permit.success, cause.now)
    endings.fail(cause.now)
  }
  if (outcomes.areBroken(cause.now) || endings.areBroken(cause.now)) open(memory, cause)
}

function finish(memory: Memory, permit: BreakerPermit, now: number): void {
  if (permit.epoch === memory.epoch && permit.success !== undefined && memory.state === 'closed') memory.endings.succeed(now)
}

type Cause = { readonly why: Why; readonly now: number }

function open(memory: Memory, { why, now }: Cause): void {
  const { settings, random } = memory
  if (memory.state === 'closed') memory.openedAt = now
  const openMs = Math.min(settings.maxOpenMs, settings.openMs * 2 ** memory.openings)
  memory.openings += 1
  memory.until = now + openMs * (0.8 + 0.4 * random())
  memory.why = why
  turn(memory, 'open', now)
}

function openUntil(memory: Memory, until: number, { why, now }: Cause): void {
  if (until <= now || (memory.state === 'open' && until <= memory.until)) return
  memory.until = until
  memory.why = why
  if (memory.state !== 'open') turn(memory, 'open', now)
}

function close(memory: Memory, now: number): void {
  if (memory.state === 'closed') return
  memory.openings = 0
  turn(memory, 'closed', now)
}

function pardon(memory: Memory, since: number, now: number): void {
  if (memory.state === 'closed') clear(memory)
  else if (memory.openedAt >= since && memory.why.reason === 'network') close(memory, now)
}

function turn(memory: Memory, state: BreakerState, now: number): void {
  memory.state = state
  memory.epoch += 1
  memory.successes = 0
  clear(memory)
  // A probe of the epoch before is none any more.
  memory.lease.reset()
  memory.onChange({ state, reason: memory.why.reason, until: state === 'open' ? memory.until : undefined, now })
}

function clear({ outcomes, endings }: Memory): void {
  outcomes.clear()
  endings.clear()
}
