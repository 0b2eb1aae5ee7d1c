import type { ProviderError } from '../errors.ts'
import type { Candidate, Leg, Walk } from './state.ts'
import { tellWait } from './attempt-record.ts'
import { contentDueAt, leastLeftMs } from './next-target.ts'
import { openings } from './openings.ts'
import { type Again, againAfter } from './policy.ts'
import { listen } from './signal.ts'
import { longestTimerMs } from '../health/timer.ts'
import { untilOpening, wait, type Wait } from './wait.ts'

/** The default number of rounds through the chain, and the limit of all waits between them. */
const defaultRounds = 3
const defaultRoundsMs = 10_000
/** The wait before the second round is 0.5 to 1.5 times this; it doubles with each further round, up to a cap. */
const roundMs = 1_000
const longestRoundMs = 10_000

/** Waits for the first target to open, when no target is available. Returns false if none opens in time. */
export async function waitForOpening(walk: Walk): Promise<boolean> {
  const { openers, soonest } = openings(walk, waitLimit(walk))
  if (soonest === undefined) return false
  const { reason, waitMs, candidate } = soonest
  tellWait(walk, candidate, { waitMs, reason })
  return waitOut(walk, untilOpening(walk.clock, openers))
}

/** Waits for a running probe, which may still answer this call. Returns false if none runs, or if it ends too late. */
export async function waitForProbe(walk: Walk): Promise<boolean> {
  const leftMs = contentDueAt(walk) - walk.clock.now()
  if (walk.legs.length === 0 || leftMs <= 0) return false
  const waiting = wait(walk.clock, Math.min(longestTimerMs, leftMs))
  const stopListening = listen(walk.signal, () => waiting.cancel())
  const isTooLate = await waiting.done
  stopListening()
  return !isTooLate
}

/**
 * Waits for another round, when all targets have failed. It asks those again that failed for a temporary reason, after a random wait, so
 * that many callers do not return at once. Silent targets come last, and once. Returns false if no target or no time is left.
 */
export async function waitForRound(walk: Walk): Promise<boolean> {
  const waitMs = Math.min(longestRoundMs, roundMs * 2 ** (walk.round - 1)) * (0.5 + walk.random())
  const failed = walk.candidates.filter(candidate => isInNextRound(walk, candidate, waitMs))
  const silent = failed.filter(candidate => againOf(candidate) === 'once')
  // the other targets of this round have just been asked
  if (walk.round > 1 && silent.length > 0) return allowAgain(silent)
  const passing = failed.filter(candidate => againOf(candidate) === 'yes' && walk.round < roundsOf(walk, candidate))
  const candidates = passing.length > 0 ? passing : silent
  const [first] = candidates
  if (first?.failure === undefined) return false
  if (candidates.every(({ target }) => target.retry.rounds === undefined) && walk.round === 1) {
    walk.waitLeftMs = Math.min(walk.waitLeftMs, defaultRoundsMs)
  }
  if (walk.clock.now() + waitMs >= waitLimit(walk)) return false
  walk.round += 1
  tellWait(walk, first, { waitMs, reason: first.failure.reason })
  await waitOut(walk, wait(walk.clock, waitMs))
  return allowAgain(candidates)
}

function allowAgain(candidates: readonly Candidate[]): true {
  for (const candidate of candidates) {
    candidate.spent = false
    candidate.isAgain = true
    candidate.wasSilent ||= againOf(candidate) === 'once'
  }
  return true
}

function isInNextRound(walk: Walk, candidate: Candidate, waitMs: number): boolean {
  const { spent, isFinal, wasSilent, target } = candidate
  if (!spent || isFinal) return false
  if (againOf(candidate) === 'once' && (wasSilent || roundsOf(walk, candidate) === 1)) return false
  return waitMs <= (target.retry.waitForMs ?? Infinity)
}

function againOf({ failure }: Candidate): Again {
  return failure === undefined ? 'no' : againAfter(failure)
}

function roundsOf(walk: Walk, { target }: Candidate): number {
  return target.retry.rounds ?? (walk.hasDefault ? 1 : defaultRounds)
}

/** Returns when a wait must end, so that the following request is still in time. */
function waitLimit(walk: Walk): number {
  return Math.min(contentDueAt(walk) - leastLeftMs(walk), walk.clock.now() + walk.waitLeftMs)
}

/** Returns whether the walk must look again: the time is over, a target has opened, or there is news. */
async function waitOut(walk: Walk, waiting: Wait): Promise<boolean> {
  const startedAt = walk.clock.now()
  const stopListening = listen(walk.signal, () => waiting.cancel())
  const isOver = await waiting.done
  const { hasNews } = walk.signal
  stopListening()
  const waitedMs = walk.clock.now() - startedAt
  walk.waitedMs += waitedMs
  walk.waitLeftMs -= waitedMs
  return isOver || hasNews
}

/** Whether a target that named a time may be asked again after it: no other target has answered by then, and retries are left. */
export function mayComeBack({ candidate }: Leg, { failure }: { readonly failure: ProviderError }): boolean {
  const { maxRetries } = candidate.target.retry
  const { retryAfterMs, reason } = failure
  // a 429 without a time also blocks the target for a moment
  if (retryAfterMs === undefined && reason !== 'rate-limit') return false
  // a loading model will become ready, so polling it uses up no retries
  if (reason === 'loading' && (retryAfterMs ?? 0) >= leastLookMs) return maxRetries > 0
  return candidate.failed <= maxRetries
}

/** Polls of a loading server that are closer together than this count as retries. */
const leastLookMs = 1_000
