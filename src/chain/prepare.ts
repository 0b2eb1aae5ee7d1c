import type { Fold } from '../answer/answer.ts'
import type { Call } from '../contract.ts'
import { abandoned } from './attempt.ts'
import type { Leg, Walk } from './state.ts'

/**
 * Returns the call of one attempt with the changes of a continuation or a repair, and then those of the target's `prepare`. Undefined: the
 * target cannot take the call, or `prepare` threw; `leg.thrown` says which.
 */
export function preparedCall(walk: Walk, leg: Leg, fold: Fold): Call | undefined {
  const { candidate } = leg
  const { provider, health, prepare } = candidate.target
  try {
    const call = prepared(walk, leg, fold)
    if (call !== undefined) {
      // without `prepare`, the provider was asked when the target was chosen
      const refusal = (prepare === undefined ? undefined : provider.refuse?.(call)) ?? health.refuse(call)
      if (refusal === undefined) return call
      candidate.refusal = refusal
    }
    leg.thrown = abandoned
  } catch (error) {
    leg.thrown = error
  }
  return undefined
}

function prepared({ call }: Walk, leg: Leg, { overrides, tokensBefore = 0 }: Fold): Call | undefined {
  const { target } = leg.candidate
  const given: Call = { ...call, model: target.model, ...overrides }
  // a copy of the list, because `prepare` may mutate it and must not affect other targets
  const changes = target.prepare?.({ ...given, messages: [...given.messages] })
  const result: Call = { ...given, ...changes }
  if (changes?.maxOutputTokens === undefined || overrides?.prefix === undefined) return result
  // the limit of `prepare` applies to the whole answer, including the tokens received before
  const left = changes.maxOutputTokens - tokensBefore
  // the target has answered already, and its answer is as long as it may be
  if (left < 1 && leg.answeredBy > 0) return undefined
  return { ...result, maxOutputTokens: Math.min(Math.max(1, left), given.maxOutputTokens ?? Infinity) }
}
