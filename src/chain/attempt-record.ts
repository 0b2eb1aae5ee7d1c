import type { ProviderEvent } from '../contract.ts'
import type { AttemptRecord, Source } from '../contract-events.ts'
import type { FailureReason } from '../contract-failures.ts'
import { type Bill, billOf } from '../cost.ts'
import { isRefusal, worstCostOf } from '../cost-estimate.ts'
import type { Span } from '../cost/price-rules.ts'
import type { Candidate, ChainTarget, RunningAttempt, Walk } from './state.ts'

export type Failed = (ProviderEvent & { type: 'asked-again' })['failure']

/** Returns the record of one request: the last one of an attempt, or one that its provider repeats with changes. */
export function recordOf(run: RunningAttempt, outcome: AttemptRecord['outcome'], error: Failed | undefined): AttemptRecord {
  const { target, call } = run.options
  const failed: Partial<Failed> = error ?? none
  const chunks = run.chunks - run.earlierChunks
  const usage = run.usage ?? failed.usage
  const { dollars: cost, isUpperBound } = isUnbilled(run, error, chunks) ? unbilled : billOf(target.price, usage, spanOf(run))
  return {
    ...namesOf(target),
    attempt: run.attempt,
    outcome,
    reason: failed.reason,
    message: failed.message,
    status: failed.status ?? run.status,
    clock: failed.clock,
    requestId: failed.requestId ?? run.requestId,
    waitMs: run.options.waitMs,
    durationMs: run.options.clock.now() - run.startedAt,
    firstChunkMs: run.firstChunkMs,
    chunks,
    continuedFrom: run.options.fold.overrides?.prefix?.text.length,
    usage,
    kind: run.kind,
    cost,
    costIsUpperBound: isUpperBound,
    worstCost: cost === undefined ? worstCostOf(target.price, call, spanOf(run)?.startedAt) : undefined,
    responseId: nameIn(run.responseId),
    // most servers say what they were asked for, which needs no look at each character
    responseModel: run.responseModel === target.model ? target.model : nameIn(run.responseModel),
    finishReason: run.finishReason,
  }
}

const none: Partial<Failed> = {}

/** Records are logged, and a server may say any text for a name: what has blanks or no end may be a piece of the prompt. */
function nameIn(text: string | undefined): string | undefined {
  return text === undefined || text.length > 128 || /[^!-~]/.test(text) ? undefined : text
}

const unbilled: Bill = { dollars: 0, isUpperBound: false }

/** Returns when the request ran, in calendar time; only a price with rules needs it. */
function spanOf({ options, startedAt }: RunningAttempt): Span | undefined {
  const { target, clock } = options
  if (target.price?.rules === undefined) return undefined
  const offset = target.epochOffsetMs()
  return { startedAt: startedAt + offset, endedAt: clock.now() + offset }
}

function isUnbilled({ isUnsent, status }: RunningAttempt, error: Failed | undefined, chunks: number): boolean {
  return isUnsent === true || (chunks === 0 && error !== undefined && isRefusal(error, error.status ?? status))
}

type AttemptEvent = { readonly type: 'attempt-queued' } | { readonly type: 'attempt-end'; readonly record: AttemptRecord }

/** Reports an event of this attempt, if anybody listens. */
export function tell({ options, attempt }: RunningAttempt, event: AttemptEvent): void {
  if (options.tell === undefined) return
  const { clock, callId, target } = options
  options.tell({ ...namesOf(target), ...event, at: clock.now(), callId, attempt })
}

/** Every wait is reported before it begins, with its length and its reason (earendil-works/pi#7647). */
export function tellWait(walk: Walk, { target, asked }: Candidate, waited: { waitMs: number; reason: FailureReason }): void {
  walk.tell?.({ ...namesOf(target), type: 'wait', at: walk.clock.now(), callId: walk.callId, attempt: asked, ...waited })
}

/** The fields by which events and records name a target. An object is built fastest if they come first. */
export function namesOf({ provider, model, name, targetIndex, step }: ChainTarget) {
  return { provider: provider.name, model, name, targetIndex, step }
}

/** Returns what a sink knows about an attempt's target. @param requests the number of requests of the call, this one included */
export function sourceOf({ target: { provider, model, name, targetIndex, step }, asked }: Candidate, requests?: number): Source {
  return { provider, model, name, targetIndex, step, attempt: asked, requests }
}

/** Adds an attempt once: when it has begun, or before, when its provider changes the request before its `stream()` returns. */
export function addToTrail(walk: Walk, running: RunningAttempt): void {
  if (!walk.trail.includes(running)) walk.trail = [...walk.trail, running]
}

/** Counts the requests in a trail; skipped targets do not count. */
export function requestsIn(trail: Walk['trail']): number {
  return trail.filter(({ record }) => record === undefined || record.attempt > 0).length
}
