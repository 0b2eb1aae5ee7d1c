import type { FailureReason } from '../contract-failures.ts'
import type { Availability } from '../health/health.ts'
import { longestTimerMs } from '../health/timer.ts'
import { type Choice, contentDueAt, isCandidate, leastLeftMs, refusalOf, timerPrecisionMs } from './next-target.ts'
import type { Candidate, Walk } from './state.ts'
import type { Opener } from './wait.ts'

/**
 * When no target opens in time, returns a target that was not asked yet and that only our own guess blocks: the last remaining target is
 * never skipped untried (BerriAI/litellm#5673).
 */
export function chooseLastResort(walk: Walk): Choice | undefined {
  if (contentDueAt(walk) - walk.clock.now() < timerPrecisionMs) return undefined
  for (const candidate of walk.candidates) {
    if (candidate.asked > 0 || !isCandidate(walk, candidate)) continue
    const permit = candidate.target.health.enterAsLastResort(candidate.sized)
    if (permit !== undefined) return { candidate, permit, probes: [] }
  }
  return undefined
}

type Opening = { readonly candidate: Candidate; readonly waitMs: number; readonly reason: FailureReason }

/** Returns the blocked targets that could open before the given time, and the one that opens first. */
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
    const availability = health.check(candidate.sized)
    const until = Math.min(limit, now + (retry.waitForMs ?? Infinity))
    const waitMs = waitFor(availability, { now, until })
    if (waitMs === undefined) continue
    openers.push({ health, until, deadline: walk.deadline - leastLeftMs(walk), call: candidate.sized })
    const reason = availability.state === 'blocked' ? availability.reason : 'overloaded'
    if (soonest === undefined || waitMs < soonest.waitMs) soonest = { candidate, waitMs, reason }
  }
  return { openers, soonest }
}

/** Returns in how many milliseconds the first target that could take this call opens; undefined if none is blocked or no time is known. */
export function opensInMs(walk: Walk): number | undefined {
  const now = walk.clock.now()
  let soonest = Infinity
  for (const candidate of walk.candidates) {
    if (refusalOf(walk, candidate) !== undefined) continue
    const availability = candidate.target.health.check(candidate.sized)
    if (availability.state === 'blocked') soonest = Math.min(soonest, availability.until - now)
  }
  return soonest === Infinity ? undefined : soonest
}

/** Returns how long until this target may be asked; undefined if that is too late. */
function waitFor(
  availability: Availability,
  { now, until }: { readonly now: number; readonly until: number },
): number | undefined {
  if (now >= until) return undefined
  if (availability.state !== 'blocked') return 0
  if (availability.isInVain === true) return undefined
  // no time is known for a busy slot, but it may become free at any moment
  if (availability.until === Infinity) return Math.min(longestTimerMs, until - now - 1)
  return availability.until < until ? availability.until - now : undefined
}
