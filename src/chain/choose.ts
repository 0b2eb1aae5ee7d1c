import type { AttemptRecord, Call, Failure, FailureReason } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { longestTimerMs } from './clocks.ts'
import { callTo, dealingsWith } from './dealings.ts'
import type { Permit, Standing } from '../health/health.ts'
import type { ChainTarget, Walk } from './state.ts'

/** Whom to ask next, with the permit to do so, and who is asked beside it only to learn whether it is back. */
export type Choice = {
  readonly target: ChainTarget
  readonly permit: Permit
  readonly probes: readonly { readonly target: ChainTarget; readonly permit: Permit }[]
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
export function choose<Answer>(walk: Walk<Answer>, besides: boolean): Choice | undefined {
  const onProbation: ChainTarget[] = []
  if (walk.deadline - walk.clock.now() < timerPrecisionMs) return undefined
  for (const target of walk.targets) {
    const standing = look(walk, target)
    if (standing?.state === 'probation') onProbation.push(target)
    if (standing?.state !== 'ready' || tooSlow(walk, target)) continue
    const permit = target.health.enter(besides ? 'hedge' : 'call')
    if (permit !== undefined) return { target, permit, probes: besides ? [] : probes(onProbation) }
  }
  // a hedge is only for those who are surely up
  return besides ? undefined : tryOut(onProbation)
}

/** Nobody else can be asked: the call itself is the probe. */
function tryOut(targets: readonly ChainTarget[]): Choice | undefined {
  for (const target of targets) {
    const permit = target.health.enter('probe')
    if (permit !== undefined) return { target, permit, probes: [] }
  }
  return undefined
}

/** How a target stands that may have this call; undefined when it may not, or when too little time is left to begin with it. */
function look<Answer>(walk: Walk<Answer>, target: ChainTarget): Standing | undefined {
  const refusal = refusalOf(walk, target)
  if (refusal !== undefined) skip(walk, target, refusal)
  if (!isCandidate(walk, target) || (isHurried(walk) && someoneBehind(walk, target))) return undefined
  const standing = target.health.check()
  if (standing.state === 'shut') {
    const { reason, message, openAt } = standing
    skip(walk, target, { reason, message, retryAfterMs: openAt === Infinity ? undefined : openAt - walk.clock.now() })
  }
  return standing
}

/**
 * Nobody opens in time. A target that was not asked yet, and is shut only by our own guess, is asked all the same: the last one left is
 * never refused unheard (BerriAI/litellm#5673).
 */
export function chooseLast<Answer>(walk: Walk<Answer>): Choice | undefined {
  if (walk.deadline - walk.clock.now() < timerPrecisionMs) return undefined
  for (const target of walk.targets) {
    if (dealingsWith(walk, target).asked > 0 || !isCandidate(walk, target)) continue
    const permit = target.health.enterLast()
    if (permit !== undefined) return { target, permit, probes: [] }
  }
  return undefined
}

/** Whether another target than this one might still be asked in this call, now or soon. */
export function othersLeft<Answer>(walk: Walk<Answer>, target: ChainTarget): boolean {
  return walk.targets.some(other => other !== target && mightBeAsked(walk, other))
}

/** The same of those that come after it. */
function someoneBehind<Answer>(walk: Walk<Answer>, target: ChainTarget): boolean {
  return walk.targets.slice(walk.targets.indexOf(target) + 1).some(other => mightBeAsked(walk, other))
}

function mightBeAsked<Answer>(walk: Walk<Answer>, target: ChainTarget): boolean {
  return isCandidate(walk, target) && target.health.check().state === 'ready'
}

/** The targets that are shut now and could open before the deadline, and the one that opens first. */
export function openings<Answer>(walk: Walk<Answer>): {
  readonly candidates: readonly ChainTarget[]
  readonly soonest: { readonly target: ChainTarget; readonly waitMs: number; readonly reason: FailureReason } | undefined
} {
  const now = walk.clock.now()
  const candidates: ChainTarget[] = []
  let soonest: { target: ChainTarget; waitMs: number; reason: FailureReason } | undefined
  for (const target of walk.targets) {
    if (!isCandidate(walk, target)) continue
    const standing = target.health.check()
    const waitMs = waitFor(standing, { now, until: walk.deadline - leastLeft(walk) })
    if (waitMs === undefined) continue
    candidates.push(target)
    const reason = standing.state === 'shut' ? standing.reason : 'overloaded'
    if (soonest === undefined || waitMs < soonest.waitMs) soonest = { target, waitMs, reason }
  }
  return { candidates, soonest }
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
function isCandidate<Answer>(walk: Walk<Answer>, target: ChainTarget): boolean {
  if (dealingsWith(walk, target).spent) return false
  for (const leg of walk.legs) if (leg.target === target && leg.end === undefined) return false
  return refusalOf(walk, target) === undefined
}

/** Why a target cannot have this call, found out without a request and once a call. */
function refusalOf<Answer>(walk: Walk<Answer>, target: ChainTarget): Partial<Failure> | undefined {
  if (target.when === undefined && target.provider.refuse === undefined) return undefined
  const dealings = dealingsWith(walk, target)
  if (dealings.refusal === undefined) dealings.refusal = findRefusal(callTo(walk, target), target) ?? null
  return dealings.refusal ?? undefined
}

function findRefusal(call: Call, target: ChainTarget): Partial<Failure> | undefined {
  if (target.when !== undefined && !target.when(call)) return { message: 'Its `when` condition does not allow this call.' }
  return target.provider.refuse?.(call)
}

function probes(targets: readonly ChainTarget[]): Choice['probes'] {
  return targets.flatMap(target => {
    const permit = target.health.enter('probe')
    return permit === undefined ? [] : [{ target, permit }]
  })
}

function isHurried<Answer>(walk: Walk<Answer>): boolean {
  return walk.deadline - walk.clock.now() < leastLeft(walk)
}

/** Less time than this is not worth a wait: whoever is woken with it takes the place of somebody who could still be answered. */
export function leastLeft<Answer>(walk: Walk<Answer>): number {
  return Math.min(leastMs, (walk.deadline - walk.startedAt) / 20)
}

/** Its first token usually comes later than the call's end, and somebody else could be quicker. */
function tooSlow<Answer>(walk: Walk<Answer>, target: ChainTarget): boolean {
  const usual = target.health.firstChunk()?.p50
  return usual !== undefined && usual * 1.3 > walk.deadline - walk.clock.now() && othersLeft(walk, target)
}

/** Notes once a call that a target was not asked, and why. */
function skip<Answer>(walk: Walk<Answer>, target: ChainTarget, refusal: Partial<Failure>): void {
  const { provider, model, targetIndex } = target
  const { reason, message = 'It cannot take this call.' } = refusal
  // one that was asked has told why itself
  const dealings = dealingsWith(walk, target)
  if (dealings.skipped || dealings.asked > 0) return
  dealings.skipped = true
  const of = { provider: provider.name, model, targetIndex }
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
  if (reason !== undefined) walk.failures.push(new ProviderError(message, { ...refusal, reason, provider: provider.name, model }))
}
