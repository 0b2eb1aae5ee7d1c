import type { Clock } from '../contract.ts'
import type { Charged, Failure } from '../contract-failures.ts'
import type { Probe } from './availability.ts'
import type { BreakerPermit } from './breaker.ts'
import type { Publisher } from './fleet.ts'
import { gateSettings, isDuration } from './gate.ts'
import type { Refusal } from './gate.ts'
import type { KeyMember } from './key.ts'
import type { Usage } from './limits.ts'
import { tokensOf } from './request-size.ts'
import type { Sized } from './request-size.ts'
import type { TargetState } from './target-state.ts'
import type { ArrivalRate } from './waiters.ts'

/**
 * How an attempt ended. `abandoned`: it lost a race or the caller left, which is neither a success nor a failure (R48). `unused`: no
 * request was sent.
 */
export type Outcome = 'answered' | 'abandoned' | 'unused' | { readonly failure: Failure; readonly charged: Charged }

/** The permit of one attempt while it runs. It records the attempt's success or failure in the health of its target. */
export type Permit = {
  /** Records that the first content arrived, this long after the request. Only the first call counts. */
  firstChunk(afterMs: number): void
  /**
   * Records that the server has queued the request for longer than the soft clock. That counts as a failure, because a target whose queue
   * does not move is down for its callers. The attempt may continue, but its later outcome is not counted again.
   */
  late(): void
  /** Ends the attempt and gives back all that it holds. Only the first call counts. */
  end(outcome: Outcome): void
  /** The attempt's use of the configured limits; undefined if there are none. */
  readonly usage: Usage | undefined
}

/** What the attempts at one target share. */
export type AttemptContext = {
  readonly clock: Clock
  readonly state: TargetState
  readonly publisher: Publisher
  readonly member: KeyMember
  readonly rate: ArrivalRate
  /** Called for a first content, or for an answer without content. */
  readonly onSuccess: (now: number) => void
  /** Called when a request has ended, or the target has opened or closed. */
  readonly onChange: () => void
  /** Lets another process of the fleet probe, because this process cannot reach the target. */
  readonly giveUpProbe: (now: number) => void
}

export type Admission = {
  readonly pass: BreakerPermit
  /** The probes that this attempt performs for all calls, besides the breaker's own probe. */
  readonly probes: readonly Probe[]
  readonly startedAt: number
  /** The call, which determines the size of the request. */
  readonly call: Sized | undefined
}

type Attempt = {
  readonly context: AttemptContext
  readonly admission: Admission
  readonly usage: Usage | undefined
  hasBegun: boolean
  /** Whether the failure was counted already, when the attempt was late. */
  isCounted: boolean
  hasEnded: boolean
}

export function createPermit(context: AttemptContext, admission: Admission): Permit {
  const { startedAt, call } = admission
  const usage = context.state.limits?.start(startedAt, call)
  const attempt: Attempt = { context, admission, usage, hasBegun: false, isCounted: false, hasEnded: false }
  return {
    usage,
    firstChunk: afterMs => begin(attempt, afterMs),
    late: () => countAsLate(attempt),
    end: outcome => end(attempt, outcome),
  }
}

function begin(attempt: Attempt, afterMs: number): void {
  if (attempt.hasBegun || attempt.hasEnded) return
  attempt.hasBegun = true
  const { state, clock, rate, onChange } = attempt.context
  state.latency.add(afterMs)
  state.budget.deposit()
  state.limiter.succeed(state.latency.isPrompt(afterMs), rate)
  succeed(attempt, clock.now())
  onChange()
}

function countAsLate(attempt: Attempt): void {
  const { hasBegun, isCounted, hasEnded, context, admission } = attempt
  if (hasBegun || isCounted || hasEnded) return
  attempt.isCounted = true
  const { state, clock, onChange } = context
  const now = clock.now()
  state.breaker.fail(admission.pass, { reason: 'timeout', message: 'It keeps requests waiting in its queue.' }, now)
  state.limiter.refuse(now)
  onChange()
}

function end(attempt: Attempt, outcome: Outcome): void {
  if (attempt.hasEnded) return
  attempt.hasEnded = true
  const { state, clock } = attempt.context
  const { pass, startedAt } = attempt.admission
  const now = clock.now()
  if (outcome === 'unused') attempt.usage?.cancel()
  if (outcome === 'answered') {
    if (!attempt.hasBegun) succeed(attempt, now)
    state.breaker.finish(pass, now)
    leave(attempt, now, now - startedAt)
    return
  }
  if (outcome === 'abandoned' || outcome === 'unused') state.breaker.abandon(pass)
  else fail(attempt, { ...outcome, now })
  leave(attempt, now)
}

function leave({ context, admission, hasBegun }: Attempt, now: number, answeredMs?: number): void {
  const { state, onChange } = context
  state.limiter.leave(hasBegun, answeredMs)
  for (const probe of admission.probes) probe.end('none', now)
  onChange()
}

function succeed({ context, admission, isCounted }: Attempt, now: number): void {
  const { state, publisher, onSuccess } = context
  const { pass, probes } = admission
  onSuccess(now)
  state.network.reach()
  state.gate.answered()
  if (!isCounted) state.breaker.succeed(pass, now)
  if (probes.length > 0) endProbesWell(context, probes, now)
  if (publisher.doubt !== undefined) publisher.succeeded(now)
}

function endProbesWell({ state: { key, gate }, publisher }: AttemptContext, probes: readonly Probe[], now: number): void {
  const wasRefused = key.suspension.needsProbe(now)
  const wasLong = gate.isLong(now)
  for (const probe of probes) probe.end('good', now)
  // The fleet need not skip a target that answers: a gate of 0 ms is published when the gate was lifted.
  if (wasLong && !gate.isLong(now)) publisher.publish({ kind: 'gate', reason: 'rate-limit', forMs: 0 })
  if (!wasRefused) return
  key.lift()
  // The key works again: no other process should skip it for an hour.
  if (!key.suspension.needsProbe(now)) publisher.publish({ kind: 'closed', reason: 'quota', forMs: 0 }, 'credential')
}

type Failed = { readonly failure: Failure; readonly charged: Charged; readonly now: number }

function fail(attempt: Attempt, failed: Failed): void {
  const { publisher } = attempt.context
  const { failure, now } = failed
  const count = () => recordFailure(attempt, failed)
  // A process without a name server or a route knows nothing about the target, so it publishes nothing (F93).
  const blocked = isOwnNetwork(failure) ? publisher.withoutPublishing(count) : count()
  for (const probe of attempt.admission.probes) probe.end('bad', now)
  const { reason, concurrencyLimit } = failure
  if (concurrencyLimit !== undefined) publisher.publish({ kind: 'limit', reason, forMs: 0, limit: concurrencyLimit })
  if (blocked !== undefined) publishBlock(publisher, blocked, failed)
}

function publishBlock(publisher: Publisher, { what, until, isBrief, tokens }: Blocked, { failure, now }: Failed): void {
  const { reason, retryAfterMs } = failure
  publisher.blocked(reason, now)
  if (isBrief) return
  const whose = what === 'key' ? 'credential' : 'target'
  if (what !== 'gate') publisher.publish({ kind: 'refused', reason, forMs: until - now }, whose)
  if (what === 'gate') publisher.publish({ kind: 'gate', reason, forMs: until - now, tokens }, whose)
  // A key that works again is still skipped until the time that the server named.
  else if (isDuration(retryAfterMs)) publisher.publish({ kind: 'gate', reason, forMs: retryAfterMs }, whose)
}

/** The block that a failure has caused. */
type Blocked = {
  readonly what: 'gate' | 'model' | 'key'
  readonly until: number
  readonly isBrief: boolean
  readonly tokens?: number | undefined
}

/** Counts a failure only against what it is charged to. */
function recordFailure(attempt: Attempt, failed: Failed): Blocked | undefined {
  const { state } = attempt.context
  const { failure, charged, now } = failed
  if (failure.status !== undefined) state.network.reach()
  countForBreaker(attempt, failed)
  countForLimiter(attempt, failed)
  // The failure is about this request alone, so its time blocks no other request.
  if (charged === 'request') return undefined
  if (charged === 'key') return refuseKey(attempt.context, failure, now)
  if (charged === 'model') return refuseModel(attempt.context, failure, now)
  // A time that the server named is obeyed, whatever the failure is charged to (R92).
  if (charged !== 'gate' && !isDuration(failure.retryAfterMs)) return undefined
  return blockGate(attempt, failure, now)
}

function countForBreaker(attempt: Attempt, { failure, charged, now }: Failed): void {
  if (attempt.isCounted) return
  const { state, giveUpProbe } = attempt.context
  const { pass } = attempt.admission
  const { breaker, network } = state
  const isOurFault = failure.reason === 'network' && charged === 'target' && network.fail(now)
  // The request did not reach the target, so a probe has no verdict.
  const isNobodysFault = failure.reason === 'network' && charged !== 'target'
  if (isOurFault || isNobodysFault || isOwnNetwork(failure)) giveUpProbe(now)
  if (isOurFault || isNobodysFault || hadTooLittleTime(attempt, failure, now)) breaker.abandon(pass)
  else if (charged === 'target') breaker.fail(pass, { reason: failure.reason, message: failure.message }, now)
  else breaker.ignore(pass, now)
}

/** No name or no route was found: more often the fault of this machine than of the server. */
const ownNetworkCodes: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH'])

/**
 * Whether the request most likely never left this machine or its network. The failure still counts against the target in this process,
 * because the name may be gone for everybody, but the fleet does not learn it (F93).
 */
function isOwnNetwork(failure: Failure): boolean {
  if (failure.reason !== 'network' || !(failure instanceof Error)) return false
  const { cause } = failure
  return cause instanceof Error && 'code' in cause && ownNetworkCodes.has(cause.code)
}

/** With fewer samples the usual time to the first content is not known, and `unknownMs` is used instead. */
const knownFrom = 20
const unknownMs = 4_000
/** The lower bound of the usual time. */
const leastMs = 2_000

/** A timeout only counts against a silent target that had its usual time. Otherwise callers with little time would open its breaker. */
function hadTooLittleTime({ context, admission, hasBegun }: Attempt, { clock }: Failure, now: number): boolean {
  if (clock !== 'total' && clock !== 'firstContent') return false
  const known = context.state.latency.quantiles()
  const usualMs = known === undefined || known.samples < knownFrom ? unknownMs : Math.max(leastMs, known.p98)
  return hasBegun || now - admission.startedAt < usualMs
}

function countForLimiter({ context, isCounted }: Attempt, { failure, charged, now }: Failed): void {
  const { limiter } = context.state
  if (failure.concurrencyLimit !== undefined) limiter.obey(failure.concurrencyLimit, now)
  else if (charged === 'gate') limiter.refuse(now)
  else if (isOverload(failure) && charged === 'target' && !isCounted) limiter.overload(now)
}

function isOverload({ reason, status }: Failure): boolean {
  return reason === 'overloaded' || reason === 'rate-limit' || status === 503 || status === 529
}

function refuseKey(context: AttemptContext, failure: Failure, now: number): Blocked {
  const { key } = context.state
  // The failure may be about one model: one outside the plan, or with its own quota, must not block the key's other models (R103, F94).
  if (failure.reason !== 'authentication' && key.worksElsewhere(context.member, now)) return refuseModel(context, failure, now)
  return { what: 'key', until: key.refuse(failure, now), isBrief: key.suspension.isBrief() }
}

function refuseModel({ state: { model }, member }: AttemptContext, failure: Failure, now: number): Blocked {
  const wasGood = now - member.answeredAt() <= gateSettings.recentMs
  return { what: 'model', until: model.suspend(failure, now, wasGood), isBrief: model.isBrief() }
}

function blockGate({ context, admission: { call } }: Attempt, failure: Refusal, now: number): Blocked {
  const tokens = call === undefined || !isDuration(failure.retryAfterMs) ? undefined : tokensOf(call)
  return { what: 'gate', until: context.state.gate.block(failure, now, tokens), tokens, isBrief: false }
}
