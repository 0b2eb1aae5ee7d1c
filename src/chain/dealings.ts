import type { Call } from '../contract.ts'
import type { ChainTarget, Dealings, Walk } from './state.ts'

/** What this call has to do with a target; nothing yet, the first time. */
export function dealingsWith<Answer>({ dealings }: Walk<Answer>, { targetIndex }: ChainTarget): Dealings {
  dealings[targetIndex] ??= { asked: 0, failed: 0, spent: false, skipped: false, refusal: undefined, call: undefined }
  return dealings[targetIndex]
}

/** The call as this target gets it. */
export function callTo<Answer>(walk: Walk<Answer>, target: ChainTarget): Call {
  const dealings = dealingsWith(walk, target)
  dealings.call ??= { ...walk.call, model: target.model }
  return dealings.call
}
