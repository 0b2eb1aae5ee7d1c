import pRetry from 'p-retry'

import type { AttemptRecord, Call, Decision, FailureReason } from '../contract.ts'
import type { Answer } from '../answer/answer.ts'
import { ProviderError } from '../errors.ts'
import type { Permit } from '../health/health.ts'
import { abandonAttempt, abandoned, startAttempt } from './attempt.ts'
import { namesOf } from './attempt-record.ts'
import { callTo, limitOf, othersLeft } from './next-target.ts'
import { decide, decisionOf } from './policy.ts'
import { backoffMs, untilOpening, wait, type Wait } from './wait.ts'
import { stopLateTimer } from './hedge.ts'
import { notify } from './signal.ts'
import type { AttemptKind, AttemptOptions, Candidate, Leg, LegEnd, Walk } from './state.ts'

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
    waiting: undefined,
    waitMs,
    retries: 0,
    decision: 'next',
    thrown: undefined,
    lateTimer: undefined,
  }
  void ask(walk, leg).then(end => {
    leg.end ??= end
    walk.background.delete(leg)
    notify(walk.signal)
  })
  return leg
}

/** Ends a leg at once, in whatever it is doing. */
export function abandonLeg(leg: Leg, reason: unknown): void {
  leg.end ??= { type: 'abandoned' }
  if (leg.running !== undefined) abandonAttempt(leg.running, reason)
  leg.waiting?.cancel()
}

/** What this leg has received becomes the caller's. Told once a call. */
export function commit(walk: Walk, leg: Leg): void {
  if (walk.committed) return
  walk.committed = true
  const at = walk.clock.now()
  walk.tell?.({ type: 'commit', at, ...attemptOf(walk, leg.candidate), durationMs: at - walk.startedAt })
}

/** The first content of a leg is here: is it the one whose answer the caller gets? Then all others that race it end. */
function claim(walk: Walk, leg: Leg): boolean {
  walk.hasContent = true
  if (walk.over || (walk.winner !== undefined && walk.winner !== leg)) return false
  // a probe that began before the commit: its text must not be put behind the text that the caller has
  if (leg.kind === 'probe' && walk.committed) return false
  if (walk.winner !== undefined) return true
  walk.winner = leg
  stopLateTimer(walk, leg)
  for (const other of walk.legs) {
    if (other === leg || other.kind === 'probe') continue
    if (other.end === undefined) walk.hedge?.lost(walk.call, other.candidate.target)
    abandonLeg(other, undefined)
  }
  return true
}

function ask(walk: Walk, leg: Leg): Promise<LegEnd> {
  return attempt(walk, leg, leg.kind).then(
    answer => ({ type: 'answered', answer }),
    (error: unknown) => askAgain(walk, leg, error),
  )
}

/** p-retry is the loop. It begins with the first failure: an attempt that answers needs none, and its frames would wait with it. */
async function askAgain(walk: Walk, leg: Leg, first: unknown): Promise<LegEnd> {
  try {
    const answer = await pRetry(number => (number === 1 ? Promise.reject(first) : attempt(walk, leg, 'retry')), {
      // how often, and after which wait, is for `mayAskAgain` to say: it differs by failure, and the wait takes an abort and our clock
      retries: Infinity,
      minTimeout: 0,
      shouldRetry: () => mayAskAgain(walk, leg),
    })
    return { type: 'answered', answer }
  } catch {
    const { thrown, decision } = leg
    if (thrown === abandoned || leg.end !== undefined) return { type: 'abandoned' }
    return ProviderError.isInstance(thrown) ? { type: 'failed', failure: thrown, decision } : { type: 'bug', error: thrown }
  }
}

/** One request. Not `async`, like all that only hand a promise on: each frame that waits holds half a kilobyte as long as the answer lasts. */
function attempt(walk: Walk, leg: Leg, kind: AttemptKind): Promise<Answer> {
  const { candidate, permit } = leg
  const { target } = candidate
  leg.permit = undefined
  if (permit === undefined || leg.end !== undefined) {
    // given up between the permit and the request
    permit?.end('abandoned')
    leg.thrown = abandoned
    return Promise.reject(abandoned)
  }
  candidate.asked += 1
  const source = sourceOf(candidate)
  const fold = walk.sink.begin(source, () => commit(walk, leg))
  const call = callTo(walk, candidate)
  const patience = patienceWith(walk, leg, call)
  // no spread: an object that is put together grows field by field, and is held with all its spare room
  const running = startAttempt({
    clock: walk.clock,
    target,
    callId: walk.callId,
    attempt: candidate.asked,
    kind,
    permit,
    fold,
    tell: walk.tell,
    call: fold.overrides === undefined ? call : { ...call, ...fold.overrides },
    waitMs: leg.waitMs,
    deadline: Math.min(walk.deadline, walk.clock.now() + target.timeout.totalMs),
    firstContentAt: leg.kind === 'probe' || walk.hasContent ? Infinity : walk.firstContentAt,
    callStartedAt: walk.startedAt,
    shareMs: patience.shareMs,
    firstChunkMs: patience.firstChunkMs,
    thinks: patience.thinks,
    timeout: target.timeout,
    askedAgain: record => askedAgain(walk, leg, record),
    claim: () => claim(walk, leg),
  })
  leg.running = running
  leg.waitMs = 0
  walk.trail = [...walk.trail, running]
  return running.done.promise.then(
    answer => (walk.sink.wantsMore(answer, source) ? askForMore(walk, leg, answer) : answer),
    (error: unknown) => {
      leg.running = undefined
      leg.thrown = error
      throw error
    },
  )
}

/** A request that the provider repeats, changed, is told apart from the next: `attempts` shows what was asked and paid. */
function askedAgain(walk: Walk, leg: Leg, record: AttemptRecord): number {
  const running = walk.trail.findIndex(entry => entry === leg.running)
  walk.trail = [...walk.trail.slice(0, running), { record }, ...walk.trail.slice(running)]
  leg.candidate.asked += 1
  return leg.candidate.asked
}

/** The target stopped at its own limit and is asked for the rest. If it does not give it, what is there was paid for and is the answer. */
async function askForMore(walk: Walk, leg: Leg, answer: Answer): Promise<Answer> {
  if (!enter(walk, leg)) return answer
  try {
    return await attempt(walk, leg, 'retry')
  } catch (error) {
    if (leg.end !== undefined || !ProviderError.isInstance(error)) throw error
    walk.failures.push(error)
    walk.sink.failed(error, undefined)
    return walk.sink.settleFor(answer)
  }
}

/** An attempt has failed: is this target asked again? At once in other words, which is no retry; after a wait; or not. */
async function mayAskAgain(walk: Walk, leg: Leg): Promise<boolean> {
  const { candidate, kind, thrown: failure } = leg
  if (leg.end !== undefined || !ProviderError.isInstance(failure)) return false
  walk.failures.push(failure)
  // somebody else's answer is on its way to the caller: what becomes of a probe beside it has no say in that
  if (walk.winner !== undefined && walk.winner !== leg) return false
  const verdict = walk.sink.failed(failure, kind === 'probe' ? undefined : sourceOf(candidate))
  if (verdict === 'reword' && enter(walk, leg)) return true
  const chosen = verdict === 'stop' ? 'stop' : decided(walk, leg, failure)
  if (leg.thrown !== failure) return false
  return mayRetry(leg, failure, chosen) && waitToRetry(walk, leg, failure)
}

/** What the caller's `decide` says. What it throws is a bug of the caller's, and ends the call with it. */
function decided({ decide: given }: Walk, leg: Leg, failure: ProviderError): Decision | undefined {
  try {
    return decisionOf(given?.(failure))
  } catch (error) {
    leg.thrown = error
    return undefined
  }
}

/** `maxRetries` counts for the whole call, however often the walk comes back to a target. @param chosen what the caller's `decide` said */
function mayRetry(leg: Leg, failure: ProviderError, chosen: Decision | undefined): boolean {
  const { kind, candidate } = leg
  leg.decision = chosen ?? decide(failure, candidate.target.retry.waitForMs)
  if (kind === 'probe') return false
  candidate.failed += 1
  candidate.failure = failure
  candidate.isFinal = chosen === 'next'
  return leg.decision === 'retry' && candidate.failed <= candidate.target.retry.maxRetries
}

/** Waits as long as the failure asks for. False: this target is not asked again now. */
async function waitToRetry(walk: Walk, leg: Leg, failure: ProviderError): Promise<boolean> {
  const planned = planWait(walk, leg, failure)
  if (planned === undefined || !leg.candidate.target.health.takeRetry()) return false
  const startedAt = walk.clock.now()
  tellWait(walk, leg.candidate, { waitMs: planned.waitMs, reason: failure.reason })
  leg.retries += 1
  leg.waiting = planned.start()
  const isOver = await leg.waiting.done
  leg.waiting = undefined
  leg.waitMs = walk.clock.now() - startedAt
  walk.waitLeftMs -= leg.waitMs
  return isOver && leg.end === undefined && enter(walk, leg)
}

type Planned = { readonly waitMs: number; start(): Wait }

/** Until the server's own time is over, or a backoff; undefined when the target is shut for another reason or no time is left for it. */
function planWait(walk: Walk, leg: Leg, failure: ProviderError): Planned | undefined {
  const { clock } = walk
  const { health, retry } = leg.candidate.target
  const remaining = Math.min(limitOf(walk) - clock.now(), walk.waitLeftMs)
  const standing = health.check(walk.call)
  if (standing.state !== 'shut') {
    const waitMs = backoffMs(retry, leg.retries, walk.random)
    return waitMs < remaining ? { waitMs, start: () => wait(clock, waitMs) } : undefined
  }
  const waitMs = standing.openAt - clock.now()
  if (failure.retryAfterMs === undefined || waitMs >= remaining) return undefined
  return { waitMs, start: () => untilOpening(clock, [{ health, until: clock.now() + remaining, deadline: walk.deadline }]) }
}

function enter(walk: Walk, leg: Leg): boolean {
  leg.permit = leg.candidate.target.health.enter('call', walk.call)
  return leg.permit !== undefined
}

type Patience = Pick<AttemptOptions, 'shareMs' | 'firstChunkMs' | 'thinks'>

/** How long this attempt may show nothing. One that thinks in silence gets longer, and the last that may answer all that is left (F9). */
function patienceWith(walk: Walk, { candidate, kind }: Leg, { reasoning }: Call): Patience {
  const { timeout, thinking } = candidate.target
  const share = kind === 'probe' ? walk.probeMs : shareMs(walk, candidate)
  if (thinking === undefined || reasoning === 'off') return { shareMs: share, firstChunkMs: timeout.firstChunkMs, thinks: false }
  const { firstChunkMs = timeout.firstChunkMs, probeMs } = thinking
  if (kind === 'probe') return { shareMs: probeMs, firstChunkMs, thinks: true }
  const isLast = share === Infinity && thinking.firstChunkMs !== undefined
  return { shareMs: share, firstChunkMs: isLast ? Infinity : firstChunkMs, thinks: true }
}

/** An attempt may use half of what is left while somebody else could still answer (tashfeenahmed/freellmapi#751). */
function shareMs(walk: Walk, candidate: Candidate): number {
  return othersLeft(walk, candidate) ? (limitOf(walk) - walk.clock.now()) / 2 : Infinity
}

/** Told before every wait, with how long and why (earendil-works/pi#7647). */
export function tellWait(walk: Walk, candidate: Candidate, waited: { waitMs: number; reason: FailureReason }): void {
  walk.tell?.({ type: 'wait', at: walk.clock.now(), ...attemptOf(walk, candidate), ...waited })
}

function sourceOf({ target: { provider, model, targetIndex }, asked }: Candidate) {
  return { provider, model, targetIndex, attempt: asked }
}

function attemptOf({ callId }: Walk, { target, asked }: Candidate) {
  return { callId, ...namesOf(target), attempt: asked }
}
