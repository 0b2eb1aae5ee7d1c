import type { Call } from '../contract.ts'
import type { Failure } from '../contract-failures.ts'
import type { Availability, Permit } from '../health/health.ts'
import { budgetRefusal } from './money.ts'
import { skip } from './skip.ts'
import type { Candidate, ChainTarget, Walk } from './state.ts'

/** The next target with its permit, and the half-open targets to probe alongside it. */
export type Choice = {
  readonly candidate: Candidate
  readonly permit: Permit
  readonly probes: readonly { readonly candidate: Candidate; readonly permit: Permit }[]
}

/** A timer may fire this much early; the remaining time is then too short for a request. */
export const timerPrecisionMs = 2

/** With less time left than this, or than a twentieth of the call's time if that is less, a call is in a hurry. */
const leastMs = 3_000

/**
 * Returns the first available target in order. Half-open targets get a probe alongside the real attempt; when no other target is
 * available, the real attempt is the probe.
 *
 * @param besides another target is already being asked, and this is its hedge
 */
export function choose(walk: Walk, besides: boolean): Choice | undefined {
  const halfOpen: Candidate[] = []
  if (contentDueAt(walk) - walk.clock.now() < timerPrecisionMs) return undefined
  for (const candidate of walk.candidates) {
    const availability = look(walk, candidate, besides)
    if (availability?.state === 'half-open') halfOpen.push(candidate)
    if (availability?.state !== 'available' || tooSlow(walk, candidate)) continue
    const permit = takePermit(candidate, besides ? 'hedge' : 'call')
    if (permit !== undefined) return { candidate, permit, probes: besides ? [] : probesBeside(walk, halfOpen) }
  }
  // a hedge only goes to a target that is known to be up
  return besides ? undefined : chooseProbe(walk, halfOpen)
}

/** Takes a permit from health. Another round also needs one retry of the target's budget. */
function takePermit(candidate: Candidate, kind: 'call' | 'hedge'): Permit | undefined {
  const permit = candidate.target.health.enter(kind, candidate.sized)
  if (permit === undefined || !candidate.isAgain || candidate.target.health.takeRetry()) return permit
  permit.end('unused')
  candidate.spent = true
  candidate.isFinal = true
  return undefined
}

/** Takes a half-open target, because no other is available: the call itself is the probe. */
function chooseProbe(walk: Walk, candidates: readonly Candidate[]): Choice | undefined {
  for (const candidate of candidates) {
    const permit = candidate.target.health.enter('probe', candidate.sized)
    if (permit !== undefined) return { candidate, permit, probes: [] }
  }
  return undefined
}

/**
 * Returns the availability of a target, and reports the skip if it cannot be asked. Undefined: it cannot take this call, or the call is in
 * a hurry and another target behind it may be asked: there is no time left for two.
 */
function look(walk: Walk, candidate: Candidate, besides: boolean): Availability | undefined {
  const refusal = refusalOf(walk, candidate)
  // the money that a running request reserves may be free again in a moment
  if (refusal !== undefined && !(besides && refusal.reason === 'budget')) skip(walk, candidate, refusal)
  if (!isCandidate(walk, candidate) || (isHurried(walk) && othersBehind(walk, candidate))) return undefined
  const availability = candidate.target.health.check(candidate.sized)
  if (availability.state === 'blocked') {
    const { reason, message, until } = availability
    skip(walk, candidate, { reason, message, retryAfterMs: until === Infinity ? undefined : until - walk.clock.now() })
  }
  return availability
}

/** Whether this call might still ask another target. */
export function othersLeft(walk: Walk, candidate: Candidate): boolean {
  return walk.candidates.some(other => other !== candidate && mightBeAsked(walk, other))
}

/** Like `othersLeft`, for targets later in the chain only. */
function othersBehind(walk: Walk, candidate: Candidate): boolean {
  return walk.candidates.slice(walk.candidates.indexOf(candidate) + 1).some(other => mightBeAsked(walk, other))
}

function mightBeAsked(walk: Walk, candidate: Candidate): boolean {
  return isCandidate(walk, candidate) && candidate.target.health.check(candidate.sized).state === 'available'
}

/** Whether the call may still ask this target: it is not spent, not being asked, and does not refuse the call. */
export function isCandidate(walk: Walk, candidate: Candidate): boolean {
  if (candidate.spent) return false
  for (const leg of walk.legs) if (leg.candidate === candidate && leg.end === undefined) return false
  return refusalOf(walk, candidate) === undefined
}

/** Returns, without a request, why a target cannot take this call now. */
export function refusalOf(walk: Walk, candidate: Candidate): Partial<Failure> | undefined {
  const refusal = lastingRefusal(walk, candidate)
  // most calls have no budget, and do not enter its file
  return refusal !== undefined || walk.accounts === undefined ? refusal : budgetRefusal(walk, candidate)
}

/** Returns a refusal that does not change during a call; it is determined once. */
function lastingRefusal(walk: Walk, candidate: Candidate): Partial<Failure> | undefined {
  const { target } = candidate
  if (target.when === undefined && target.provider.refuse === undefined) return candidate.refusal ?? undefined
  if (candidate.refusal === undefined && target.prepare !== undefined) return excludedBy(target, walk.call)
  if (candidate.refusal === undefined) candidate.refusal = findRefusal(callFor(walk, candidate), target) ?? null
  return candidate.refusal ?? undefined
}

/** Returns the call with the model of this target, before a continuation, a repair or `prepare` changes it. */
export function callFor(walk: Walk, candidate: Candidate): Call {
  candidate.call ??= { ...walk.call, model: candidate.target.model }
  return candidate.call
}

function findRefusal(call: Call, target: ChainTarget): Partial<Failure> | undefined {
  return excludedBy(target, call) ?? target.provider.refuse?.(call)
}

/** The provider of a target with `prepare` is asked to `refuse` only when an attempt begins, after `prepare` has run. */
function excludedBy({ when }: ChainTarget, call: Call): Partial<Failure> | undefined {
  return when === undefined || when(call) ? undefined : { reason: 'excluded', message: 'Its `when` does not allow this call.' }
}

function probesBeside(walk: Walk, candidates: readonly Candidate[]): Choice['probes'] {
  // a probe might answer in place of the only target that may be asked
  if (!walk.hasFallback) return []
  return candidates.flatMap(candidate => {
    const permit = candidate.target.health.enter('probe', candidate.sized)
    return permit === undefined ? [] : [{ candidate, permit }]
  })
}

/** Returns when content must have come, on the clock: the deadline of the first content while there is none, else that of the call. */
export function contentDueAt({ deadline, firstContentAt, hasContent }: Walk): number {
  return hasContent ? deadline : Math.min(deadline, firstContentAt)
}

function isHurried(walk: Walk): boolean {
  return contentDueAt(walk) - walk.clock.now() < leastLeftMs(walk)
}

/** With less time left than this a call is in a hurry: it must not wait, for it would take the place of a call that could be answered. */
export function leastLeftMs(walk: Walk): number {
  return Math.min(leastMs, (contentDueAt(walk) - walk.startedAt) / 20)
}

/** Whether the target's first token usually comes after the call's end, and another target could be quicker. */
function tooSlow(walk: Walk, candidate: Candidate): boolean {
  const usual = candidate.target.health.firstChunk()?.p50
  return usual !== undefined && usual * 1.3 > contentDueAt(walk) - walk.clock.now() && othersLeft(walk, candidate)
}
