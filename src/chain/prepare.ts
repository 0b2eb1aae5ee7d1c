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
  try {
    const call = prepared(walk, leg, fold)
    const { provider, health } = candidate.target
    const refusal = provider.refuse?.(call) ?? health.refuse(call)
    if (refusal === undefined) return call
    candidate.refusal = refusal
    leg.thrown = abandoned
  } catch (error) {
    leg.thrown = error
  }
  return undefined
}

function prepared({ call }: Walk, { candidate: { target } }: Leg, { overrides, tokensBefore = 0 }: Fold): Call {
  const given: Call = { ...call, model: target.model, ...overrides }
  // a copy of the list, because `prepare` may mutate it and must not affect other targets
  const changes = target.prepare?.({ ...given, messages: [...given.messages] })
  const result: Call = { ...given, ...changes }
  if (changes?.maxOutputTokens === undefined || overrides?.prefix === undefined) return result
  // the limit of `prepare` applies to the whole answer, including the tokens received before
  const left = Math.max(1, changes.maxOutputTokens - tokensBefore)
  return { ...result, maxOutputTokens: Math.min(left, given.maxOutputTokens ?? Infinity) }
}
