import type { AttemptRecord, Call, Failure, FailureReason } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { namesOf } from './attempt-record.ts'
import { longestTimerMs } from './clocks.ts'
import type { Permit, Standing } from '../health/health.ts'
import type { Candidate, ChainTarget, Walk } from './state.ts'
import type { Opener } from './wait.ts'

/** The next target with its permit, and the half-open targets to probe beside it. */
export type Choice = {
  readonly candidate: Candidate
  readonly permit: Permit
  readonly probes: readonly { readonly candidate: Candidate; readonly permit: Permit }[]
}

/** A timer may fire a little early: what is left then is no time to ask anybody in. */
const timerPrecisionMs = 2

/** With less time left than this, or a twentieth of the call's time where that is less, only the last target is asked. */
const leastMs = 3_000

/**
 * The first target in order that may be asked now. Targets on probation get a shadow probe beside the real attempt; when nobody else
 * can be asked, the real attempt is the probe.
 *
 * @param besides somebody is being asked already, and this is to be a second one
 */
export function choose(walk: Walk, besides: boolean): Choice | undefined {
  const onProbation: Candidate[] = []
  if (limitOf(walk) - walk.clock.now() < timerPrecisionMs) return undefined
  for (const candidate of walk.candidates) {
    const standing = look(walk, candidate)
    if (standing?.state === 'probation') onProbation.push(candidate)
    if (standing?.state !== 'ready' || tooSlow(walk, candidate)) continue
    const permit = enter(walk, { candidate, kind: besides ? 'hedge' : 'call' })
    if (permit !== undefined) return { candidate, permit, probes: besides ? [] : probes(walk, onProbation) }
  }
  // a hedge is only for those who are surely up
  return besides ? undefined : tryOut(walk, onProbation)
}

/** Another round asks a target again only within its retry budget. */
function enter(
  walk: Walk,
  { candidate, kind }: { readonly candidate: Candidate; readonly kind: 'call' | 'hedge' },
): Permit | undefined {
  const permit = candidate.target.health.enter(kind, walk.call)
  if (permit === undefined || !candidate.isAgain || candidate.target.health.takeRetry()) return permit
  permit.end('abandoned')
  candidate.spent = true
  candidate.isFinal = true
  return undefined
}

/** Nobody else can be asked: the call itself is the probe. */
function tryOut(walk: Walk, candidates: readonly Candidate[]): Choice | undefined {
  for (const candidate of candidates) {
    const permit = candidate.target.health.enter('probe', walk.call)
    if (permit !== undefined) return { candidate, permit, probes: [] }
  }
  return undefined
}

/** How a target stands that may have this call; undefined when it may not, or when too little time is left to begin with it. */
function look(walk: Walk, candidate: Candidate): Standing | undefined {
  const refusal = refusalOf(walk, candidate)
  if (refusal !== undefined) skip(walk, candidate, refusal)
  if (!isCandidate(walk, candidate) || (isHurried(walk) && someoneBehind(walk, candidate))) return undefined
  const standing = candidate.target.health.check(walk.call)
  if (standing.state === 'shut') {
    const { reason, message, openAt } = standing
    skip(walk, candidate, { reason, message, retryAfterMs: openAt === Infinity ? undefined : openAt - walk.clock.now() })
  }
  return standing
}

/**
 * Nobody opens in time. A target that was not asked yet, and is shut only by our own guess, is asked all the same: the last one left is
 * never refused unheard (BerriAI/litellm#5673).
 */
export function chooseLast(walk: Walk): Choice | undefined {
  if (limitOf(walk) - walk.clock.now() < timerPrecisionMs) return undefined
  for (const candidate of walk.candidates) {
    if (candidate.asked > 0 || !isCandidate(walk, candidate)) continue
    const permit = candidate.target.health.enterLast(walk.call)
    if (permit !== undefined) return { candidate, permit, probes: [] }
  }
  return undefined
}

/** Whether another target than this one might still be asked in this call, now or soon. */
export function othersLeft(walk: Walk, candidate: Candidate): boolean {
  return walk.candidates.some(other => other !== candidate && mightBeAsked(walk, other))
}

/** Like `othersLeft`, for targets later in the chain only. */
function someoneBehind(walk: Walk, candidate: Candidate): boolean {
  return walk.candidates.slice(walk.candidates.indexOf(candidate) + 1).some(other => mightBeAsked(walk, other))
}

function mightBeAsked(walk: Walk, candidate: Candidate): boolean {
  return isCandidate(walk, candidate) && candidate.target.health.check(walk.call).state === 'ready'
}

type Opening = { readonly candidate: Candidate; readonly waitMs: number; readonly reason: FailureReason }

/** The targets that are shut now and could open before a time, and the one that opens first. */
export function openings(
  walk: Walk,
  limit: number,
): { readonly openers: readonly Opener[]; readonly soonest: Opening | undefined } {
  const now = walk.clock.now()
  const openers: Opener[] = []
  let soonest: Opening | undefined
  for (const candidate of walk.candidates) {
    if (!isCandidate(walk, candidate)) continue
    const { health, retry } = candidate.target
    const standing = health.check(walk.call)
    const until = Math.min(limit, now + (retry.waitForMs ?? Infinity))
    const waitMs = waitFor(standing, { now, until })
    if (waitMs === undefined) continue
    openers.push({ health, until, deadline: walk.deadline - leastLeft(walk) })
    const reason = standing.state === 'shut' ? standing.reason : 'overloaded'
    if (soonest === undefined || waitMs < soonest.waitMs) soonest = { candidate, waitMs, reason }
  }
  return { openers, soonest }
}

/** How long until the first target opens that could take this call, in milliseconds; undefined where none is shut or no time is known. */
export function opensInMs(walk: Walk): number | undefined {
  const now = walk.clock.now()
  let soonest = Infinity
  for (const candidate of walk.candidates) {
    if (refusalOf(walk, candidate) !== undefined) continue
    const standing = candidate.target.health.check(walk.call)
    if (standing.state === 'shut') soonest = Math.min(soonest, standing.openAt - now)
  }
  return soonest === Infinity ? undefined : soonest
}

/** How long until this target may be asked; undefined when that is too late. */
function waitFor(standing: Standing, { now, until }: { readonly now: number; readonly until: number }): number | undefined {
  if (now >= until) return undefined
  if (standing.state !== 'shut') return 0
  if (standing.crowded === true) return undefined
  // a slot that is taken has no time of its own, but may be free at any moment
  if (standing.openAt === Infinity) return Math.min(longestTimerMs, until - now - 1)
  return standing.openAt < until ? Math.max(0, standing.openAt - now) : undefined
}

/** Not done with, not being asked, and allowed to have this call. */
function isCandidate(walk: Walk, candidate: Candidate): boolean {
  if (candidate.spent) return false
  for (const leg of walk.legs) if (leg.candidate === candidate && leg.end === undefined) return false
  return refusalOf(walk, candidate) === undefined
}

/** Why a target cannot have this call, found out without a request and once a call. */
function refusalOf(walk: Walk, candidate: Candidate): Partial<Failure> | undefined {
  const { target } = candidate
  if (target.when === undefined && target.provider.refuse === undefined) return undefined
  if (candidate.refusal === undefined) candidate.refusal = findRefusal(callTo(walk, candidate), target) ?? null
  return candidate.refusal ?? undefined
}

function findRefusal(call: Call, target: ChainTarget): Partial<Failure> | undefined {
  if (target.when !== undefined && !target.when(call))
    return { reason: 'excluded', message: 'Its `when` does not allow this call.' }
  return target.provider.refuse?.(call)
}

/** The call as this target gets it. */
export function callTo(walk: Walk, candidate: Candidate): Call {
  candidate.call ??= { ...walk.call, model: candidate.target.model }
  return candidate.call
}

function probes(walk: Walk, candidates: readonly Candidate[]): Choice['probes'] {
  return candidates.flatMap(candidate => {
    const permit = candidate.target.health.enter('probe', walk.call)
    return permit === undefined ? [] : [{ candidate, permit }]
  })
}

/** By when an attempt must show content: the clock of the first content, as long as there is none, or the end of the call. */
export function limitOf({ deadline, firstContentAt, hasContent }: Walk): number {
  return hasContent ? deadline : Math.min(deadline, firstContentAt)
}

function isHurried(walk: Walk): boolean {
  return limitOf(walk) - walk.clock.now() < leastLeft(walk)
}

/** Less time than this is not worth a wait: whoever is woken with it takes the place of somebody who could still be answered. */
export function leastLeft(walk: Walk): number {
  return Math.min(leastMs, (limitOf(walk) - walk.startedAt) / 20)
}

/** Its first token usually comes later than the call's end, and somebody else could be quicker. */
function tooSlow(walk: Walk, candidate: Candidate): boolean {
  const usual = candidate.target.health.firstChunk()?.p50
  return usual !== undefined && usual * 1.3 > limitOf(walk) - walk.clock.now() && othersLeft(walk, candidate)
}

/** Notes once a call that a target was not asked, and why. */
function skip(walk: Walk, candidate: Candidate, refusal: Partial<Failure>): void {
  const of = namesOf(candidate.target)
  const { reason, message = 'It cannot take this call.' } = refusal
  // one that was asked has reported why itself
  if (candidate.skipped || candidate.asked > 0) return
  candidate.skipped = true
  const nothing = {
    status: undefined,
    clock: undefined,
    requestId: undefined,
    firstChunkMs: undefined,
    usage: undefined,
    continuedFrom: undefined,
  }
  const record: AttemptRecord = {
    ...of,
    ...nothing,
    attempt: 0,
    outcome: 'skipped',
    reason,
    message,
    waitMs: 0,
    durationMs: 0,
    chunks: 0,
  }
  walk.trail = [...walk.trail, { record }]
  walk.tell?.({ type: 'target-skip', at: walk.clock.now(), callId: walk.callId, ...of, reason, message })
  if (reason !== undefined)
    walk.failures.push(new ProviderError(message, { ...refusal, reason, provider: of.provider, model: of.model }))
}
