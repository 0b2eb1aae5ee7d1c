import type { Candidate, Walk } from './state.ts'
import { tellWait } from './leg.ts'
import { leastLeft, limitOf, openings } from './next-target.ts'
import { againAfter } from './policy.ts'
import { listen } from './signal.ts'
import { longestTimerMs } from './clocks.ts'
import { untilOpening, wait, type Wait } from './wait.ts'

/** How often the chain is walked by default, and how long the waits for more rounds may last in all. */
const defaultRounds = 3
const defaultRoundsMs = 10_000
/** Before the second round a call waits between half of this and one and a half; twice as long before each round after it, up to a cap. */
const roundMs = 1_000
const longestRoundMs = 10_000

/** Nobody may be asked now: waits for the first target that opens. False: none does in time. */
export async function waitForOpening(walk: Walk): Promise<boolean> {
  const { openers, soonest } = openings(walk, waitLimit(walk))
  if (soonest === undefined) return false
  const { reason, waitMs, candidate } = soonest
  tellWait(walk, candidate, { waitMs, reason })
  return waitOut(walk, untilOpening(walk.clock, openers))
}

/** A probe of this call may still answer it, where nobody else does. False: none runs, or its verdict comes too late. */
export async function waitForProbe(walk: Walk): Promise<boolean> {
  const leftMs = limitOf(walk) - walk.clock.now()
  if (walk.legs.length === 0 || leftMs <= 0) return false
  const waiting = wait(walk.clock, Math.min(longestTimerMs, leftMs))
  const stopListening = listen(walk.signal, () => waiting.cancel())
  const isTooLate = await waiting.done
  stopListening()
  return !isTooLate
}

/**
 * All that could answer have failed. Those that failed for a passing reason are asked again after a while, spread out, so that many
 * callers do not come back at once. Those that were silent come last, and once. False: nobody is left, or no time.
 */
export async function waitForRound(walk: Walk): Promise<boolean> {
  const waitMs = Math.min(longestRoundMs, roundMs * 2 ** (walk.round - 1)) * (0.5 + walk.random())
  const failed = walk.candidates.filter(candidate => mayReturn(walk, candidate, waitMs))
  const silent = failed.filter(candidate => againOf(candidate) === 'last')
  // the others of this round have just been asked
  if (walk.round > 1 && silent.length > 0) return takeBack(silent)
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
  const isOver = await waitOut(walk, wait(walk.clock, waitMs))
  return takeBack(candidates) && isOver
}

function takeBack(candidates: readonly Candidate[]): true {
  for (const candidate of candidates) {
    candidate.spent = false
    candidate.isAgain = true
    candidate.wasSilent ||= againOf(candidate) === 'last'
  }
  return true
}

function mayReturn(walk: Walk, candidate: Candidate, waitMs: number): boolean {
  const { spent, isFinal, wasSilent, target } = candidate
  if (!spent || isFinal || againOf(candidate) === 'no') return false
  if (againOf(candidate) === 'last' && (wasSilent || roundsOf(walk, candidate) === 1)) return false
  return waitMs <= (target.retry.waitForMs ?? Infinity)
}

function againOf({ failure }: Candidate): 'yes' | 'last' | 'no' {
  return failure === undefined ? 'no' : againAfter(failure)
}

function roundsOf(walk: Walk, { target }: Candidate): number {
  return target.retry.rounds ?? (walk.hasDefault ? 1 : defaultRounds)
}

/** By when a wait must be over: what comes after it must still be in time. */
function waitLimit(walk: Walk): number {
  return Math.min(limitOf(walk) - leastLeft(walk), walk.clock.now() + walk.waitLeftMs)
}

/** Returns whether there is something to look at: the time is over, a target has opened, or there is news. */
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
