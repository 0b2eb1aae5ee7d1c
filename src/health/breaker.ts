import type { FailureReason } from '../contract-failures.ts'
import type { Cause, Guard } from './availability.ts'
import { createFailureRate } from './failure-rate.ts'
import type { FailureRate } from './failure-rate.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import type { BreakerSettings } from './settings.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/**
 * Keeps calls away from a broken target, and finds out by one probe at a time whether the target works again. No caller waits for a probe.
 * A call counts as a success at its first content: at its end, a call of a minute would report the success a minute late.
 */
export type Breaker = Guard & {
  /** Lets one call in. Returns undefined while the breaker is open, or while a probe is running. */
  enter(now: number): BreakerPermit | undefined
  /** For a call that has no other target: lets the call through an open breaker too. */
  enterOpen(now: number): BreakerPermit
  /** Records that the first content of the call arrived. */
  succeed(permit: BreakerPermit, now: number): void
  /** Records that the answer is complete. */
  finish(permit: BreakerPermit, now: number): void
  fail(permit: BreakerPermit, cause: Cause, now: number): void
  /** Ends an attempt without a verdict, because the caller left or another target won. The next probe may start at once. */
  abandon(permit: BreakerPermit): void
  /** Ends an attempt without a verdict, because its failure says nothing about the target. The next probe waits a little (R104). */
  ignore(permit: BreakerPermit, now: number): void
  state(now: number): BreakerState
  /** Opens the breaker until a time that another process chose, jitter included. */
  openUntil(until: number, cause: Cause, now: number): void
  close(now: number): void
  /** Forgets the failures since that time, because the fault was on our side, and closes the breaker if they opened it. */
  forgive(since: number, now: number): void
}

/** The permit of one attempt. An outcome of an earlier epoch changes nothing (in Polly 8 it closes the circuit). */
export type BreakerPermit = {
  readonly epoch: number
  /** The number of the probe; 0 for an ordinary attempt. */
  readonly probe: number
  /** The number by which the success of this attempt can be taken back; undefined before the success. */
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
  /** `false`: the breaker never opens; then only the other guards block calls (R98). */
  readonly settings: BreakerSettings | false
  readonly random: () => number
  readonly onChange: (change: BreakerChange) => void
}

type Circuit = BreakerOptions & {
  readonly settings: BreakerSettings
  /** Calls whose answer began, or that failed before it began. */
  readonly beginnings: FailureRate
  /**
   * Answers that had begun and are now complete or broken off. They are counted separately: when long answers overlap, more answers begin
   * than break off, and a target that never completes an answer would look healthy (R105).
   */
  readonly endings: FailureRate
  readonly lease: Lease
  state: BreakerState
  /** Increased with every change of state. */
  epoch: number
  until: number
  /** When the breaker opened after it had been closed. */
  openedAt: number
  /** How often the breaker opened without closing in between. */
  timesOpened: number
  /** Probes that succeeded since the breaker is half-open. */
  successes: number
  cause: Cause
}

const never = Number.NEGATIVE_INFINITY

export function createBreaker(options: BreakerOptions): Breaker {
  const { settings } = options
  if (settings === false) return neverOpen()
  const circuit: Circuit = {
    ...options,
    settings,
    beginnings: createFailureRate(settings),
    endings: createFailureRate(settings),
    lease: createLease(settings.probeLeaseMs),
    state: 'closed',
    epoch: 0,
    until: never,
    openedAt: never,
    timesOpened: 0,
    successes: 0,
    cause: { reason: 'server-error', message: '' },
  }
  return {
    blockedUntil: () => blockedUntil(circuit),
    needsProbe: () => circuit.state !== 'closed',
    cause: () => circuit.cause,
    enter: now => enter(circuit, now),
    enterOpen: () => ({ epoch: circuit.epoch, probe: 0, success: undefined }),
    succeed: (permit, now) => succeed(circuit, permit, now),
    finish: (permit, now) => finish(circuit, permit, now),
    fail: (permit, cause, now) => fail(circuit, permit, { cause, now }),
    abandon: permit => circuit.lease.giveBack(permit.probe),
    ignore: (permit, now) => circuit.lease.giveBack(permit.probe, now + settings.openMs / 2),
    state: now => (circuit.state === 'open' && now >= circuit.until ? 'half-open' : circuit.state),
    openUntil: (until, cause, now) => openUntil(circuit, until, { cause, now }),
    close: now => close(circuit, now),
    forgive: (since, now) => forgive(circuit, since, now),
  }
}

function neverOpen(): Breaker {
  const permit: BreakerPermit = { epoch: 0, probe: 0, success: undefined }
  const nothing = () => {}
  return {
    blockedUntil: () => never,
    needsProbe: () => false,
    cause: () => ({ reason: 'server-error', message: '' }),
    state: () => 'closed',
    enter: () => permit,
    enterOpen: () => permit,
    succeed: nothing,
    finish: nothing,
    fail: nothing,
    abandon: nothing,
    ignore: nothing,
    openUntil: nothing,
    close: nothing,
    forgive: nothing,
  }
}

function blockedUntil({ state, until, lease }: Circuit): number {
  if (state === 'closed') return never
  return state === 'open' ? until : lease.freeAt
}

function enter(circuit: Circuit, now: number): BreakerPermit | undefined {
  if (circuit.state === 'closed') return { epoch: circuit.epoch, probe: 0, success: undefined }
  if (circuit.state === 'open') {
    if (now < circuit.until) return undefined
    changeTo(circuit, 'half-open', now)
  }
  const probe = circuit.lease.take(now)
  return probe === undefined ? undefined : { epoch: circuit.epoch, probe, success: undefined }
}

function succeed(circuit: Circuit, permit: BreakerPermit, now: number): void {
  if (permit.epoch !== circuit.epoch || permit.success !== undefined) return
  if (circuit.state === 'closed') {
    permit.success = circuit.beginnings.succeed(now)
    return
  }
  // A call that passed an open breaker as a last resort counts as a probe (R136).
  if (circuit.state === 'open') changeTo(circuit, 'half-open', now)
  else if (!circuit.lease.holds(permit.probe)) return
  permit.success = 0
  circuit.lease.giveBack(permit.probe)
  circuit.successes += 1
  if (circuit.successes >= circuit.settings.successesToClose) close(circuit, now)
}

type Failed = { readonly cause: Cause; readonly now: number }

function fail(circuit: Circuit, permit: BreakerPermit, failed: Failed): void {
  if (permit.epoch !== circuit.epoch || circuit.state === 'open') return
  if (circuit.state === 'half-open') {
    // A probe whose lease has expired does not count. If a probe has succeeded and its answer breaks off later, that still counts.
    if (permit.success === undefined && !circuit.lease.holds(permit.probe)) return
    open(circuit, failed)
    return
  }
  const { beginnings, endings } = circuit
  if (permit.success === undefined) beginnings.fail(failed.now)
  else {
    beginnings.takeBack(permit.success, failed.now)
    endings.fail(failed.now)
  }
  if (beginnings.isBroken(failed.now) || endings.isBroken(failed.now)) open(circuit, failed)
}

function finish(circuit: Circuit, permit: BreakerPermit, now: number): void {
  if (permit.epoch === circuit.epoch && permit.success !== undefined) circuit.endings.succeed(now)
}

function open(circuit: Circuit, { cause, now }: Failed): void {
  const { settings, random } = circuit
  if (circuit.state === 'closed') circuit.openedAt = now
  const openMs = Math.min(settings.maxOpenMs, settings.openMs * 2 ** circuit.timesOpened)
  circuit.timesOpened += 1
  circuit.until = now + openMs * (0.8 + 0.4 * random())
  circuit.cause = cause
  changeTo(circuit, 'open', now)
}

function openUntil(circuit: Circuit, until: number, { cause, now }: Failed): void {
  if (until <= now || (circuit.state === 'open' && until <= circuit.until)) return
  circuit.until = until
  circuit.cause = cause
  if (circuit.state !== 'open') changeTo(circuit, 'open', now)
}

function close(circuit: Circuit, now: number): void {
  if (circuit.state === 'closed') return
  circuit.timesOpened = 0
  changeTo(circuit, 'closed', now)
}

function forgive(circuit: Circuit, since: number, now: number): void {
  if (circuit.state === 'closed') clear(circuit)
  else if (circuit.openedAt >= since && circuit.cause.reason === 'network') close(circuit, now)
}

function changeTo(circuit: Circuit, state: BreakerState, now: number): void {
  circuit.state = state
  circuit.epoch += 1
  circuit.successes = 0
  clear(circuit)
  // A probe of the previous epoch no longer counts.
  circuit.lease.reset()
  circuit.onChange({ state, reason: circuit.cause.reason, until: state === 'open' ? circuit.until : undefined, now })
}

function clear({ beginnings, endings }: Circuit): void {
  beginnings.clear()
  endings.clear()
}
