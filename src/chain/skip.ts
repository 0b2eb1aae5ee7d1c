import type { Answer, Fold } from '../answer/answer.ts'
import type { AttemptRecord } from '../contract-events.ts'
import type { Failure, FailureReason } from '../contract-failures.ts'
import { ProviderError } from '../errors.ts'
import type { Permit } from '../health/health.ts'
import { abandoned } from './attempt.ts'
import { namesOf } from './attempt-record.ts'
import type { Candidate, Leg, Walk } from './state.ts'

/** Reports, once per call, that a target was skipped, and why. */
export function skip(walk: Walk, candidate: Candidate, refusal: Partial<Failure>): void {
  const of = namesOf(candidate.target)
  const { reason, message = 'It cannot take this call.' } = refusal
  if (wasTold(candidate, reason)) return
  const nothing = {
    status: undefined,
    clock: undefined,
    requestId: undefined,
    firstChunkMs: undefined,
    usage: undefined,
    continuedFrom: undefined,
    kind: undefined,
    cost: 0,
    costIsUpperBound: false,
    worstCost: undefined,
    responseId: undefined,
    responseModel: undefined,
    finishReason: undefined,
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
  if (reason !== undefined)
    walk.failures.push(new ProviderError(message, { ...refusal, reason, provider: of.provider, model: of.model }))
}

/** A target that was asked already has a record: only a lack of money is reported in addition. */
function wasTold(candidate: Candidate, reason: FailureReason | undefined): boolean {
  const { skipped, isOverBudget, asked } = candidate
  candidate.skipped = true
  if (reason !== 'budget') return skipped || asked > 0
  candidate.isOverBudget = true
  return isOverBudget
}

/** The permit and the fold of a request that is not made. */
export type Begun = { readonly permit: Permit; readonly fold: Fold; readonly refusal?: Partial<Failure> | undefined }

/** Undoes the start of a request that is not made after all; `leg.thrown` says why. */
export function notAsked(walk: Walk, leg: Leg, { permit, fold, refusal = {} }: Begun): Promise<Answer> {
  const { candidate } = leg
  fold.drop()
  permit.end('unused')
  candidate.asked -= 1
  if (leg.thrown === abandoned) skip(walk, candidate, refusal)
  return Promise.reject(leg.thrown)
}
