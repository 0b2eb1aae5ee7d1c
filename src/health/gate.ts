import type { FailureReason } from '../contract-failures.ts'
import type { Cause, Guard, Probe } from './availability.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import { tokensOf } from './request-size.ts'
import type { Sized } from './request-size.ts'

/** How long a target is skipped after it names a time, or refuses the key or the model. `docs/health.md` lists these numbers. */
export const gateSettings = {
  /** A named time is extended by up to this share, so that a fleet does not return all at once. */
  jitterShare: 0.1,
  /** The extension may always be up to this long, in milliseconds. */
  jitterMs: 200,
  /**
   * A named time up to this, in milliseconds, is obeyed exactly. During a longer time, one call in each such period checks whether the
   * time still holds, and requests of at most half the size of the refused one are sent.
   */
  obeyedMs: 900_000,
  /** The longest wait after a 429 that names no time, in milliseconds; the shortest is half of it. */
  unnamedMs: 1_000,
  /** How long a refused key or an unknown model is skipped at first, in milliseconds; doubled while it stays refused. */
  refusedMs: 300_000,
  /** The longest time that a refused key or an unknown model is skipped, in milliseconds. */
  maxRefusedMs: 3_600_000,
  /** A key or model that answered within this time, in milliseconds, may have been refused by mistake. */
  recentMs: 60_000,
  /** After this time, in milliseconds, one call tries such a key or model again, before it is skipped for long. */
  doubtMs: 3_000,
  /** How long one call that tries a refused key or model blocks other calls, in milliseconds. */
  probeLeaseMs: 30_000,
} as const

/**
 * Blocks calls until a time that the server named. A time up to `obeyedMs` is obeyed exactly (R92). One long prompt can make a server
 * name a time of a day, for a whole deployment (F20): during such a long time, one call in each `obeyedMs` checks whether the time still
 * holds, and requests of at most half the size of the refused one are sent.
 */
export type Gate = Guard & {
  /** Returns until when calls are blocked. With `call`: a call that is much smaller than the refused one may pass during a long time. */
  blockedUntil(now: number, call?: Sized): number
  /** Blocks calls after a refusal, and returns until when. `tokens`: the size of the refused request. */
  block(refusal: Refusal, now: number, tokens?: number): number
  /** Blocks calls until a time that another process chose, jitter included. */
  blockUntil(until: number, refusal: Refusal, at: { readonly now: number; readonly tokens?: number | undefined }): number
  /** Returns a probe during a long time; undefined if there is no long time, or if the next check is not due. */
  takeProbe(now: number): Probe | undefined
  /** Ends the series of refusals, because a call was answered. */
  answered(): void
  /** Ends a long time, because it was found to hold no longer. */
  lift(): void
  /** Whether a long time holds now. */
  isLong(now: number): boolean
}

export type Refusal = {
  readonly reason: FailureReason
  readonly message: string
  /** Undefined: no time was named. */
  readonly retryAfterMs: number | undefined
  /** The longest that the refusal can last, if no time was named. */
  readonly atMostMs?: number | undefined
}

type GateState = {
  readonly random: () => number
  /** Calls are blocked until this time without exception. */
  until: number
  longUntil: number
  /** When the next call may check whether the long time still holds. */
  lookAt: number
  /** The size of the smallest request that was refused for a long time; undefined: not known. */
  tokens: number | undefined
  /** Refusals in a row that named no time. */
  unnamed: number
  cause: Cause
}

const never = Number.NEGATIVE_INFINITY
const { obeyedMs, jitterShare, jitterMs, unnamedMs, refusedMs, maxRefusedMs, doubtMs, probeLeaseMs } = gateSettings

export function createGate(random: () => number): Gate {
  const cause: Cause = { reason: 'rate-limit', message: '' }
  const gate: GateState = { random, until: never, longUntil: never, lookAt: never, tokens: undefined, unnamed: 0, cause }
  return {
    blockedUntil: (now, call) => blockedUntil(gate, now, call),
    needsProbe: now => now < gate.longUntil && now >= gate.lookAt && now >= gate.until,
    cause: () => gate.cause,
    block: (refusal, now, tokens) =>
      blockUntil(gate, now + blockedMs(gate, refusal, now), { refusal, now, tokens, isLong: isLongTime(refusal.retryAfterMs) }),
    blockUntil: (until, refusal, { now, tokens }) =>
      blockUntil(gate, until, { refusal, now, tokens, isLong: isLongTime((until - now) / (1 + jitterShare)) }),
    takeProbe: now => takeProbe(gate, now),
    answered: () => void (gate.unnamed = 0),
    lift: () => void (gate.longUntil = never),
    isLong: now => now < gate.longUntil,
  }
}

function isLongTime(namedMs: number | undefined): boolean {
  return isDuration(namedMs) && namedMs > obeyedMs
}

function blockedUntil({ until, longUntil, lookAt, tokens }: GateState, now: number, call?: Sized): number {
  if (now >= longUntil) return Math.max(until, longUntil)
  if (call !== undefined && tokens !== undefined && tokensOf(call) <= tokens / 2) return until
  return Math.max(until, Math.min(lookAt, longUntil))
}

type Block = { readonly refusal: Refusal; readonly now: number; readonly tokens: number | undefined; readonly isLong: boolean }

/** Keeps the later of two times (R99): an old answer with a short time must not open a gate that a newer answer has closed. */
function blockUntil(gate: GateState, at: number, { refusal, now, tokens, isLong }: Block): number {
  const latest = Math.max(gate.until, gate.longUntil)
  if (at > latest) gate.cause = { reason: refusal.reason, message: refusal.message }
  if (isLong) blockForLong(gate, at, { now, tokens })
  else gate.until = Math.max(gate.until, at)
  return Math.max(latest, at)
}

function blockForLong(gate: GateState, at: number, { now, tokens }: Pick<Block, 'now' | 'tokens'>): void {
  const { random, longUntil } = gate
  const isNew = now >= longUntil
  gate.tokens = isNew || gate.tokens === undefined ? tokens : Math.min(gate.tokens, tokens ?? gate.tokens)
  gate.longUntil = Math.max(longUntil, at)
  gate.lookAt = Math.max(isNew ? never : gate.lookAt, now + obeyedMs * (1 + jitterShare * random()))
}

function takeProbe(gate: GateState, now: number): Probe | undefined {
  const { longUntil, lookAt, until } = gate
  if (now >= longUntil || now < lookAt || now < until) return undefined
  const nextLookAt = now + obeyedMs
  gate.lookAt = nextLookAt
  let isOver = false
  return {
    end(verdict, at) {
      if (isOver) return
      isOver = true
      // A refusal that came in the meantime is newer than this probe.
      if (gate.lookAt !== nextLookAt) return
      if (verdict === 'good') gate.longUntil = never
      // The probe had no verdict, so the next call may check.
      else if (verdict === 'none') gate.lookAt = at
    },
  }
}

/** Returns a time never shorter than the server asked for (R92), with jitter, so that a fleet does not return all at once (R140). */
function blockedMs(gate: GateState, { retryAfterMs, atMostMs }: Refusal, now: number): number {
  const { random } = gate
  if (isDuration(retryAfterMs)) return retryAfterMs + random() * Math.max(jitterShare * retryAfterMs, jitterMs)
  // Refusals of calls that were in flight together count as one refusal.
  if (now >= gate.until) gate.unnamed += 1
  const longestMs = Math.max(unnamedMs, atMostMs ?? 0)
  return Math.min(longestMs, unnamedMs * 2 ** (gate.unnamed - 1)) * (0.5 + 0.5 * random())
}

/** Whether the value is a time that can be waited for. Anything else counts as no time. */
export function isDuration(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value >= 0
}

/**
 * The suspension of a refused key or an unknown model. Waiting rarely fixes such a refusal, so the key or model is skipped for minutes,
 * longer each time. Then one call tries it, and only the success of that call lifts the suspension.
 */
export type Suspension = Guard & {
  /** Suspends the key or model, and returns until when. `wasGood`: it answered a moment ago, so one call tries it soon (F35). */
  suspend(refusal: Refusal, now: number, wasGood?: boolean): number
  /** Suspends the key or model until a time that another process chose, jitter included. `isNamed`: the server named that time. */
  suspendUntil(until: number, refusal: Refusal, at: { readonly now: number; readonly isNamed?: boolean | undefined }): number
  /** Ends the suspension, because the key or model works again. */
  lift(): void
  /** Returns a probe; undefined if nothing is suspended, or while another call probes. */
  takeProbe(now: number): Probe | undefined
  /** Whether the suspension lasts only until one call tries again soon. Other processes need not know about such a suspension. */
  isBrief(): boolean
  /** Returns the end of the time that the server itself named. Before it not even a last resort may call. */
  namedUntil(): number
}

type SuspensionState = {
  readonly random: () => number
  readonly lease: Lease
  until: number
  namedUntil: number
  refusalsInARow: number
  isBrief: boolean
  cause: Cause
}

export function createSuspension(random: () => number): Suspension {
  const suspension: SuspensionState = {
    random,
    lease: createLease(probeLeaseMs),
    until: never,
    namedUntil: never,
    refusalsInARow: 0,
    isBrief: false,
    cause: { reason: 'authentication', message: '' },
  }
  return {
    blockedUntil: () => Math.max(suspension.until, suspension.lease.freeAt),
    needsProbe: () => suspension.refusalsInARow > 0,
    cause: () => suspension.cause,
    namedUntil: () => suspension.namedUntil,
    isBrief: () => suspension.isBrief,
    suspend: (refusal, now, wasGood = false) => suspend(suspension, refusal, { now, wasGood }),
    suspendUntil: (until, refusal, at) => suspendUntil(suspension, until, { refusal, ...at }),
    lift: () => liftSuspension(suspension),
    takeProbe: now => probeOf(suspension, suspension.refusalsInARow > 0 ? suspension.lease.take(now) : undefined),
  }
}

type Suspended = { readonly refusal: Refusal; readonly now: number; readonly isNamed?: boolean | undefined }

function suspendUntil(suspension: SuspensionState, at: number, { refusal, now, isNamed = false }: Suspended): number {
  // After this time a call checks again, even if the server named a longer time (F20).
  if (isNamed) suspension.namedUntil = Math.max(suspension.namedUntil, Math.min(at, now + obeyedMs * (1 + jitterShare)))
  suspension.refusalsInARow = Math.max(1, suspension.refusalsInARow)
  if (at > suspension.until) {
    suspension.until = at
    suspension.cause = { reason: refusal.reason, message: refusal.message }
  }
  return suspension.until
}

function suspend(
  suspension: SuspensionState,
  refusal: Refusal,
  { now, wasGood }: { readonly now: number; readonly wasGood: boolean },
): number {
  const namedMs = isDuration(refusal.retryAfterMs) ? Math.min(refusal.retryAfterMs, obeyedMs) : 0
  // Refusals of calls that were in flight together count as one refusal.
  if (now < suspension.until && namedMs === 0) return suspension.until
  if (now >= suspension.until) countRefusal(suspension, wasGood && namedMs === 0)
  if (namedMs > 0) suspension.namedUntil = Math.max(suspension.namedUntil, now + namedMs)
  const isNamedAlone = isLongTime(refusal.retryAfterMs) || now < suspension.until
  const lastsMs = isNamedAlone ? namedMs : Math.max(namedMs, guessedMs(suspension, refusal))
  return suspendUntil(suspension, now + lastsMs * (1 + jitterShare * suspension.random()), { refusal, now })
}

function countRefusal(suspension: SuspensionState, isDoubted: boolean): void {
  // The probe after a doubted refusal failed, so that refusal was right and counts as the first one.
  suspension.refusalsInARow = suspension.isBrief ? 1 : suspension.refusalsInARow + 1
  suspension.isBrief = isDoubted && suspension.refusalsInARow === 1 && !suspension.isBrief
}

/** Returns a time that grows with each refusal, up to the longest that it can last; short if the refusal may have been a mistake. */
function guessedMs({ refusalsInARow, isBrief }: SuspensionState, { atMostMs = Infinity }: Refusal): number {
  const longMs = Math.min(maxRefusedMs, refusedMs * 2 ** (refusalsInARow - 1))
  return Math.min(isBrief ? doubtMs : longMs, atMostMs)
}

function liftSuspension(suspension: SuspensionState): void {
  suspension.refusalsInARow = 0
  suspension.isBrief = false
  // A time that the server has named still holds, even if it was named to another call meanwhile.
  suspension.until = suspension.namedUntil
}

function probeOf(suspension: SuspensionState, id: number | undefined): Probe | undefined {
  if (id === undefined) return undefined
  const { lease } = suspension
  return {
    end(verdict) {
      if (verdict === 'good' && lease.holds(id)) liftSuspension(suspension)
      lease.giveBack(id)
    },
  }
}
