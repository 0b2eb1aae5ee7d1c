import pRetry from 'p-retry'

import type { FailureReason } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import type { Permit } from '../health/health.ts'
import { abandoned, startAttempt } from './attempt.ts'
import { ring } from './bell.ts'
import { othersLeft } from './choose.ts'
import { callTo, dealingsWith } from './dealings.ts'
import { decide } from './decide.ts'
import { backoffMs, untilOpening, wait, type Wait } from './delay.ts'
import { claim, commit } from './race.ts'
import type { AttemptKind, ChainTarget, Leg, LegEnd, Walk } from './state.ts'

/** Starts asking a target; the walk's bell rings when the leg has ended. */
export function startLeg<Answer>(
  walk: Walk<Answer>,
  target: ChainTarget,
  first: { kind: AttemptKind; permit: Permit },
): Leg<Answer> {
  const leg: Leg<Answer> = {
    target,
    kind: first.kind,
    permit: first.permit,
    end: undefined,
    running: undefined,
    waiting: undefined,
    waitMs: 0,
    decision: 'next',
    failure: undefined,
    thrown: undefined,
    lateTimer: undefined,
  }
  void run(walk, leg).then(end => {
    leg.end ??= end
    walk.background.delete(leg)
    ring(walk.bell)
  })
  return leg
}

function run<Answer>(walk: Walk<Answer>, leg: Leg<Answer>): Promise<LegEnd<Answer>> {
  return ask(walk, leg, leg.kind).then(
    answer => ({ type: 'answered', answer }),
    (error: unknown) => askAgain(walk, leg, error),
  )
}

/** p-retry is the loop. It begins with the first failure: an attempt that answers needs none, and its frames would wait with it. */
async function askAgain<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, first: unknown): Promise<LegEnd<Answer>> {
  try {
    const answer = await pRetry(number => (number === 1 ? Promise.reject(first) : ask(walk, leg, 'retry')), {
      retries: leg.kind === 'probe' ? 0 : retriesLeft(walk, leg.target),
      // the wait is ours, inside shouldRetry: it differs by error, takes an abort and obeys the injected clock
      minTimeout: 0,
      onFailedAttempt: ({ error }) => noteFailure(walk, leg, error),
      shouldRetry: ({ retriesConsumed }) => mayRetry(walk, leg, retriesConsumed),
    })
    return { type: 'answered', answer }
  } catch {
    const { thrown } = leg
    if (thrown === abandoned || leg.end !== undefined) return { type: 'abandoned' }
    return ProviderError.isInstance(thrown) ? { type: 'failed', decision: leg.decision } : { type: 'bug', error: thrown }
  }
}

/** `maxRetries` counts for the whole call, however often the walk comes back to a target. */
function retriesLeft<Answer>(walk: Walk<Answer>, target: ChainTarget): number {
  return Math.max(0, target.retry.maxRetries - dealingsWith(walk, target).failed)
}

/** An answer that is not as asked may be asked for once more, with what was wrong with it: no retry, and none is taken for it. */
function ask<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, kind: AttemptKind): Promise<Answer> {
  return askOnce(walk, leg, kind).catch((error: unknown) => {
    leg.thrown = error
    const source = { ...leg.target, attempt: dealingsWith(walk, leg.target).asked }
    const mayRepair = leg.end === undefined && leg.kind !== 'probe' && ProviderError.isInstance(error)
    if (!mayRepair || walk.sink.repairs?.(error, source) !== true) throw error
    leg.permit = leg.target.health.enter('call')
    if (leg.permit === undefined) throw error
    walk.failures.push(error)
    walk.sink.mayGoOn(error)
    leg.waitMs = 0
    return ask(walk, leg, 'retry')
  })
}

/** Not `async`, like all that only hand a promise on: each frame that waits holds half a kilobyte as long as the answer lasts. */
function askOnce<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, kind: AttemptKind): Promise<Answer> {
  const { target, permit } = leg
  leg.permit = undefined
  if (permit === undefined || leg.end !== undefined) {
    // given up between the permit and the request
    permit?.end('abandoned')
    return Promise.reject(abandoned)
  }
  const dealings = dealingsWith(walk, target)
  const attempt = (dealings.asked += 1)
  const source = { provider: target.provider, model: target.model, targetIndex: target.targetIndex, attempt }
  const fold = walk.sink.begin(source, () => commit(walk, leg))
  const call = callTo(walk, target)
  const running = startAttempt({
    clock: walk.clock,
    target,
    callId: walk.callId,
    attempt,
    kind,
    permit,
    fold,
    tell: walk.tell,
    call: fold.resume === undefined ? call : { ...call, ...fold.resume },
    waitMs: leg.waitMs,
    deadline: Math.min(walk.deadline, walk.clock.now() + target.timeout.totalMs),
    shareMs: leg.kind === 'probe' ? walk.probeMs : shareMs(walk, target),
    claim: () => claim(walk, leg),
  })
  leg.running = running
  walk.trail = [...walk.trail, running]
  return running.done.promise.then(answer => (walk.sink.wantsMore?.(answer, source) === true ? goOn(walk, leg, answer) : answer))
}

/** An attempt may use half of what is left while somebody else could still answer (tashfeenahmed/freellmapi#751). */
function shareMs<Answer>(walk: Walk<Answer>, target: ChainTarget): number {
  return othersLeft(walk, target) ? (walk.deadline - walk.clock.now()) / 2 : Infinity
}

/** The target stopped at its own limit and is asked for the rest. If it does not give it, what is there was paid for and is the answer. */
async function goOn<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, answer: Answer): Promise<Answer> {
  leg.permit = leg.target.health.enter('call')
  if (leg.permit === undefined) return answer
  leg.waitMs = 0
  try {
    return await askOnce(walk, leg, 'retry')
  } catch (error) {
    if (leg.end !== undefined || !ProviderError.isInstance(error)) throw error
    walk.failures.push(error)
    walk.sink.mayGoOn(error)
    return walk.sink.settleFor?.(answer) ?? answer
  }
}

function noteFailure<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, error: unknown): void {
  leg.running = undefined
  if (leg.end !== undefined || !ProviderError.isInstance(error)) return
  walk.failures.push(error)
  leg.failure = error
  if (leg.kind !== 'probe') dealingsWith(walk, leg.target).failed += 1
  // somebody else's answer is on its way to the caller: what becomes of a probe beside it has no say in that
  if (walk.winner !== undefined && walk.winner !== leg) return
  leg.decision = walk.sink.mayGoOn(error) ? decide(error, { waitForMs: leg.target.retry.waitForMs, decide: walk.decide }) : 'stop'
}

/** Waits as long as the failure asks for. False: this target is not asked again now. */
async function mayRetry<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, retry: number): Promise<boolean> {
  const { target, failure } = leg
  if (leg.end !== undefined || leg.decision !== 'retry' || failure === undefined) return false
  const planned = planWait(walk, leg, retry)
  if (planned === undefined || !target.health.takeRetry()) return false
  const startedAt = walk.clock.now()
  tellWait(walk, target, { waitMs: planned.waitMs, reason: failure.reason })
  leg.waiting = planned.start()
  const isOver = await leg.waiting.done
  leg.waiting = undefined
  leg.waitMs = walk.clock.now() - startedAt
  if (!isOver || leg.end !== undefined) return false
  leg.permit = target.health.enter('call')
  return leg.permit !== undefined
}

/** Until the server's own time is over, or a backoff; undefined when the target is shut for another reason or no time is left for it. */
function planWait<Answer>(walk: Walk<Answer>, leg: Leg<Answer>, retry: number): { waitMs: number; start(): Wait } | undefined {
  const { clock } = walk
  const { health, retry: settings } = leg.target
  const remaining = walk.deadline - clock.now()
  const standing = health.check()
  if (standing.state !== 'shut') {
    const waitMs = backoffMs(settings, retry, walk.random)
    return waitMs < remaining ? { waitMs, start: () => wait(clock, waitMs) } : undefined
  }
  const waitMs = standing.openAt - clock.now()
  if (leg.failure?.retryAfterMs === undefined || waitMs >= remaining) return undefined
  return { waitMs, start: () => untilOpening(clock, [health], remaining) }
}

/** Told before every wait, with how long and why (earendil-works/pi#7647). */
export function tellWait<Answer>(
  walk: Walk<Answer>,
  target: ChainTarget,
  waited: { waitMs: number; reason: FailureReason },
): void {
  const { provider, model, targetIndex } = target
  const attempt = dealingsWith(walk, target).asked
  walk.tell?.({
    type: 'wait',
    at: walk.clock.now(),
    callId: walk.callId,
    provider: provider.name,
    model,
    targetIndex,
    attempt,
    ...waited,
  })
}
