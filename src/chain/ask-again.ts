import pRetry from 'p-retry'

import type { Answer } from '../answer/answer.ts'
import type { AttemptRecord, Source } from '../contract-events.ts'
import type { Decision } from '../contract-failures.ts'
import { ProviderError } from '../errors.ts'
import type { Availability } from '../health/health.ts'
import { renewHold } from './account.ts'
import { abandoned } from './attempt.ts'
import { addToTrail, sourceOf, tellWait } from './attempt-record.ts'
import { affords } from './money.ts'
import { contentDueAt } from './next-target.ts'
import { checkedDecision, decide } from './policy.ts'
import type { Candidate, ChainTarget, Leg, LegEnd, RunningAttempt, Walk } from './state.ts'
import { backoffMs, untilOpening, wait, type Wait } from './wait.ts'

/**
 * Retries a leg whose first attempt has failed. p-retry is the loop and starts with that failure: a call whose first attempt answers
 * needs no loop, so it does not hold the loop's frames in memory.
 */
export async function askAgain(
  walk: Walk,
  leg: Leg,
  { failed, retry }: { readonly failed: unknown; retry(): Promise<Answer> },
): Promise<LegEnd> {
  try {
    const answer = await pRetry(number => (number === 1 ? Promise.reject(failed) : retry()), {
      // `mayAskAgain` decides how often and after which wait: both depend on the failure, and the wait uses our clock and can be aborted
      retries: Infinity,
      minTimeout: 0,
      shouldRetry: () => mayAskAgain(walk, leg),
    })
    return { type: 'answered', answer }
  } catch {
    const { thrown, decision } = leg
    if (thrown === abandoned) return { type: 'abandoned' }
    return ProviderError.isInstance(thrown) ? { type: 'failed', failure: thrown, decision } : { type: 'bug', error: thrown }
  }
}

/** Decides whether to ask this target again: at once with a changed request (`reword`: not a retry), after a wait, or not. */
async function mayAskAgain(walk: Walk, leg: Leg): Promise<boolean> {
  const { candidate, kind, thrown: failure } = leg
  if (leg.end !== undefined || !ProviderError.isInstance(failure)) return false
  walk.failures.push(failure)
  // another leg is already answering the caller: the failure of a probe alongside it decides nothing
  if (walk.winner !== undefined && walk.winner !== leg) return false
  const verdict = walk.sink.failed(failure, kind === 'probe' ? undefined : sourceOf(candidate))
  if (verdict === 'reword' && affords(walk, candidate) && takePermit(leg)) return true
  const chosen = verdict === 'stop' ? 'stop' : callersDecision(walk, leg, failure)
  // `decide` threw
  if (leg.thrown !== failure) return false
  return recordFailure(leg, failure, chosen) && waitToRetry(walk, leg, failure)
}

/** Returns the decision of the caller's `decide`. An error that it throws is the caller's bug, and the call rejects with it. */
function callersDecision({ decide: given }: Walk, leg: Leg, failure: ProviderError): Decision | undefined {
  try {
    return checkedDecision(given?.(failure))
  } catch (error) {
    leg.thrown = error
    return undefined
  }
}

/**
 * Records the failure and what it leads to. Returns whether that is a retry that `maxRetries` allows. `maxRetries` counts for the whole
 * call, however often the walk returns to the target.
 *
 * @param chosen the decision of the caller's `decide` or of the sink; undefined: the policy decides
 */
function recordFailure(leg: Leg, failure: ProviderError, chosen: Decision | undefined): boolean {
  const { kind, candidate } = leg
  leg.decision = chosen ?? decide(failure, candidate.target.retry.waitForMs)
  if (kind === 'probe') return false
  candidate.failed += 1
  candidate.failure = failure
  candidate.isFinal = chosen === 'next'
  return leg.decision === 'retry' && candidate.failed <= candidate.target.retry.maxRetries
}

/** Waits as long as the failure requires. Returns false when this target is not retried now. */
async function waitToRetry(walk: Walk, leg: Leg, failure: ProviderError): Promise<boolean> {
  if (!affords(walk, leg.candidate)) return false
  const planned = planWait(walk, leg, failure)
  const { health } = leg.candidate.target
  if (planned === undefined || !health.takeRetry()) return false
  const startedAt = walk.clock.now()
  tellWait(walk, leg.candidate, { waitMs: planned.waitMs, reason: failure.reason })
  leg.retries += 1
  leg.waiting = planned.start()
  const isOver = await leg.waiting.done
  leg.waiting = undefined
  leg.waitMs = walk.clock.now() - startedAt
  walk.waitLeftMs -= leg.waitMs
  if (!isOver || leg.end !== undefined) return false
  if (takePermit(leg)) return true
  // others took the place meanwhile: the call may wait for one like a call that begins
  leg.isOvertaken = isFull(leg.candidate.target, health.check(leg.candidate.sized))
  return false
}

type Planned = { readonly waitMs: number; start(): Wait }

/**
 * Plans the wait before a retry: until health opens the target that named a time (its Retry-After, and some jitter), else a backoff.
 * Undefined: the target is blocked for another reason, or the wait would take all the time that is left.
 */
function planWait(walk: Walk, leg: Leg, failure: ProviderError): Planned | undefined {
  const { clock } = walk
  const { health, retry } = leg.candidate.target
  const remaining = Math.min(contentDueAt(walk) - clock.now(), walk.waitLeftMs)
  const availability = health.check(leg.candidate.sized)
  if (availability.state !== 'blocked' || isFull(leg.candidate.target, availability)) {
    const waitMs = backoffMs(retry, leg.retries, walk.random)
    return waitMs < remaining ? { waitMs, start: () => wait(clock, waitMs) } : undefined
  }
  const waitMs = availability.until - clock.now()
  if (failure.retryAfterMs === undefined || waitMs >= remaining) return undefined
  const opener = { health, call: leg.candidate.sized, until: clock.now() + remaining, deadline: walk.deadline }
  return { waitMs, start: () => untilOpening(clock, [opener]) }
}

/** Whether the configured limit of requests in flight is all that keeps a request away; a place may be free again in a moment. */
function isFull({ limits }: ChainTarget, availability: Availability): boolean {
  if (limits?.concurrency === undefined || availability.state !== 'blocked') return false
  return availability.until === Infinity && availability.isInVain !== true
}

/** Takes the permit for another attempt. Returns false when health refuses it. */
function takePermit(leg: Leg): boolean {
  leg.permit = leg.candidate.target.health.enter('call', leg.candidate.sized)
  return leg.permit !== undefined
}

/** Asks a target that stopped at its own limit to continue. If that fails, the paid text so far is the answer. */
export async function askForMore(
  walk: Walk,
  leg: Leg,
  { answer, ask }: { readonly answer: Answer; ask(): Promise<Answer> },
): Promise<Answer> {
  if (!takePermit(leg)) return answer
  try {
    return await ask()
  } catch (error) {
    if (leg.end === undefined && error === abandoned) return walk.sink.acceptCut(answer)
    if (leg.end !== undefined || !ProviderError.isInstance(error)) throw error
    walk.failures.push(error)
    walk.sink.failed(error, undefined)
    return walk.sink.acceptCut(answer)
  }
}

/**
 * A provider wants to repeat its request with changes: `attempts` shows both, since both were sent and may be billed. Returns the number
 * of the new request; undefined: the budget does not allow it.
 */
export function admitRepeat(
  walk: Walk,
  candidate: Candidate,
  { running, record, source }: { readonly running: RunningAttempt; readonly record: AttemptRecord; readonly source: Source },
): number | undefined {
  const { hold } = running.options
  addToTrail(walk, running)
  if (hold !== undefined && !renewHold(hold, record)) {
    affords(walk, candidate)
    return undefined
  }
  walk.trail = walk.trail.toSpliced(walk.trail.indexOf(running), 0, { record })
  candidate.asked += 1
  source.attempt = candidate.asked
  return candidate.asked
}
