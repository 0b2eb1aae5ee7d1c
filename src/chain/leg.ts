import type { Call, Message } from '../contract.ts'
import type { AttemptKind, Source } from '../contract-events.ts'
import type { Answer, Fold } from '../answer/answer.ts'
import type { Permit } from '../health/health.ts'
import type { Hold } from './account.ts'
import { admitRepeat, askAgain, askForMore } from './ask-again.ts'
import { abandonAttempt, abandoned, startAttempt } from './attempt.ts'
import { addToTrail, namesOf, requestsIn, sourceOf } from './attempt-record.ts'
import { callFor, contentDueAt, othersLeft } from './next-target.ts'
import { stopLateTimer } from './hedge.ts'
import { takeMoney, tooDear } from './money.ts'
import { preparedCall } from './prepare.ts'
import { withOwnState } from './provider-state.ts'
import { notify } from './signal.ts'
import { notAsked } from './skip.ts'
import type { AttemptOptions, Candidate, Leg, LegEnd, Walk } from './state.ts'

/** Starts asking a target; the walk is notified when the leg has ended. */
export function startLeg(
  walk: Walk,
  candidate: Candidate,
  { kind, permit, waitMs }: { kind: AttemptKind; permit: Permit; waitMs: number },
): Leg {
  const leg: Leg = {
    candidate,
    kind,
    permit,
    end: undefined,
    running: undefined,
    answeredBy: 0,
    waiting: undefined,
    waitMs,
    retries: 0,
    decision: 'next',
    thrown: undefined,
    isOvertaken: false,
    lateTimer: undefined,
  }
  void askTarget(walk, leg).then(end => {
    leg.end ??= end
    walk.background.delete(leg)
    notify(walk.signal)
  })
  return leg
}

function askTarget(walk: Walk, leg: Leg): Promise<LegEnd> {
  return attempt(walk, leg, leg.kind).then(
    answer => ({ type: 'answered', answer }),
    (failed: unknown) => askAgain(walk, leg, { failed, retry: () => attempt(walk, leg, 'retry') }),
  )
}

/**
 * Makes one attempt, unless the target's `prepare` or a budget forbids it. Not `async`, like every function that only returns a promise: a
 * waiting frame holds half a kilobyte.
 */
function attempt(walk: Walk, leg: Leg, kind: AttemptKind): Promise<Answer> {
  const { candidate, permit } = leg
  leg.permit = undefined
  if (permit === undefined || leg.end !== undefined) {
    // the leg was abandoned between the permit and the request
    permit?.end('unused')
    leg.thrown = abandoned
    return Promise.reject(abandoned)
  }
  candidate.asked += 1
  const requests = requestsIn(walk.trail) + 1
  const source = sourceOf(candidate, requests)
  const fold = walk.sink.begin(source, () => {
    // a hedge may have begun since, and the provider may have changed its request
    source.requests = Math.max(requests, requestsIn(walk.trail))
    commit(walk, leg, source.attempt)
  })
  const call = callOfAttempt(walk, leg, fold)
  if (call === undefined) return notAsked(walk, leg, { permit, fold, refusal: candidate.refusal ?? undefined })
  const hold = walk.accounts === undefined ? undefined : takeMoney(walk, { candidate, call, fold })
  if (walk.accounts !== undefined && hold === undefined) return tooDear(walk, leg, { permit, fold })
  permit.usage?.resize(call)
  if (!walk.hasFallback) dropOthers(walk, candidate)
  return runAttempt(walk, leg, { kind, permit, fold, source, call, hold })
}

/** Restricts the call to this target. */
function dropOthers(walk: Walk, asked: Candidate): void {
  for (const candidate of walk.candidates) if (candidate !== asked) candidate.spent = true
}

/** Undefined: the target cannot take the call after its changes. */
function callOfAttempt(walk: Walk, leg: Leg, fold: Fold): Call | undefined {
  const { candidate } = leg
  const isPlain = candidate.target.prepare === undefined && fold.overrides === undefined
  return isPlain ? callFor(walk, candidate) : preparedCall(walk, leg, fold)
}

/** A request that has all it needs to be made. */
type Ready = {
  readonly kind: AttemptKind
  readonly permit: Permit
  readonly fold: Fold
  readonly source: Source
  readonly call: Call
  readonly hold: Hold | undefined
}

function runAttempt(walk: Walk, leg: Leg, { kind, permit, fold, source, call, hold }: Ready): Promise<Answer> {
  const { candidate } = leg
  const { target } = candidate
  const silence = silenceLimits(walk, leg, call)
  // no spread: V8 grows such an object field by field, and its spare slots stay in memory
  const running = startAttempt({
    clock: walk.clock,
    target,
    callId: walk.callId,
    attempt: candidate.asked,
    kind,
    permit,
    fold,
    hold,
    tell: walk.tell,
    call: call.messages.some(isAnswer) ? withOwnState(call, target.provider) : call,
    waitMs: leg.waitMs,
    deadline: Math.min(walk.deadline, walk.clock.now() + target.timeout.totalMs),
    firstContentAt: leg.kind === 'probe' || walk.hasContent ? Infinity : walk.firstContentAt,
    callStartedAt: walk.startedAt,
    shareMs: silence.shareMs,
    firstChunkMs: silence.firstChunkMs,
    thinks: silence.thinks,
    timeout: target.timeout,
    admitRepeat: (again, record) => admitRepeat(walk, candidate, { running: again, record, source }),
    claim: () => claim(walk, leg),
  })
  leg.running = running
  leg.waitMs = 0
  addToTrail(walk, running)
  return running.done.promise.then(
    answer => {
      leg.answeredBy = source.attempt
      if (!walk.sink.wantsMore(answer, source)) return answer
      return askForMore(walk, leg, { answer, ask: () => attempt(walk, leg, 'retry') })
    },
    (error: unknown) => {
      leg.running = undefined
      leg.thrown = error
      throw error
    },
  )
}

/** Only assistant turns hold data that belongs to one service alone. */
const isAnswer = ({ role }: Message): boolean => role === 'assistant'

type SilenceLimits = Pick<AttemptOptions, 'shareMs' | 'firstChunkMs' | 'thinks'>

/** Returns how long this attempt may be silent. A target that reasons in silence gets more; the last one gets all remaining time (F9). */
function silenceLimits(walk: Walk, { candidate, kind }: Leg, { reasoning }: Call): SilenceLimits {
  const { timeout, thinking } = candidate.target
  const share = kind === 'probe' ? walk.probeMs : shareMs(walk, candidate)
  if (thinking === undefined || reasoning === 'off') return { shareMs: share, firstChunkMs: timeout.firstChunkMs, thinks: false }
  const { firstChunkMs = timeout.firstChunkMs, probeMs } = thinking
  if (kind === 'probe') return { shareMs: probeMs, firstChunkMs, thinks: true }
  const isLast = share === Infinity && thinking.firstChunkMs !== undefined
  return { shareMs: share, firstChunkMs: isLast ? Infinity : firstChunkMs, thinks: true }
}

/** An attempt may use half of the remaining time while another target could still answer (tashfeenahmed/freellmapi#751). */
function shareMs(walk: Walk, candidate: Candidate): number {
  return othersLeft(walk, candidate) ? (contentDueAt(walk) - walk.clock.now()) / 2 : Infinity
}

/** At the first content of a leg: returns whether this leg wins. If so, all legs that race it end. */
function claim(walk: Walk, leg: Leg): boolean {
  walk.hasContent = true
  if (walk.over) return false
  if (walk.winner !== undefined) return walk.winner === leg
  // this probe started before the commit: its text must not be appended to the committed answer
  if (leg.kind === 'probe' && walk.committed) return false
  walk.winner = leg
  stopLateTimer(walk, leg)
  for (const other of walk.legs) {
    if (other === leg || other.kind === 'probe') continue
    if (other.end === undefined) walk.hedge?.lost(walk.call, other.candidate.target)
    abandonLeg(other, undefined)
  }
  return true
}

/** Commits to this leg, once per call. @param request the number of the request whose content goes to the caller */
export function commit(walk: Walk, leg: Leg, request: number): void {
  if (walk.committed) return
  walk.committed = true
  const at = walk.clock.now()
  const { target } = leg.candidate
  const durationMs = at - walk.startedAt
  walk.tell?.({ ...namesOf(target), type: 'commit', at, callId: walk.callId, attempt: request, durationMs })
}

/** Ends a leg at once, in any phase. */
export function abandonLeg(leg: Leg, reason: unknown): void {
  leg.end ??= { type: 'abandoned' }
  if (leg.running !== undefined) abandonAttempt(leg.running, reason)
  leg.waiting?.cancel()
}
