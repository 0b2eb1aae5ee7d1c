import type { Call } from '../contract.ts'
import type { ChainTarget } from './state.ts'

/** The results of the conditions, by target index. */
export type Conditions = ReadonlyMap<number, boolean>

/**
 * Calls every `when` of the chain once, before anything is sent. A promise throws: it is truthy, so taking it for a yes would send a
 * confidential call to a target that the condition was written to exclude (F80).
 *
 * @returns undefined if no target has a condition
 */
export function askConditions(targets: readonly ChainTarget[], call: Call): Conditions | undefined {
  let answers: Map<number, boolean> | undefined
  for (const target of targets) {
    if (target.when === undefined) continue
    answers ??= new Map()
    answers.set(target.targetIndex, askCondition(target, call))
  }
  return answers
}

export function isAllowed({ targetIndex }: ChainTarget, conditions: Conditions | undefined): boolean {
  return conditions?.get(targetIndex) ?? true
}

/** Returns the chain with the results of its conditions for this call. */
export function withConditions(targets: readonly ChainTarget[], conditions: Conditions | undefined): readonly ChainTarget[] {
  if (conditions === undefined) return targets
  return targets.map(target => ({ ...target, when: isAllowed(target, conditions) ? undefined : never }))
}

const never = () => false

function askCondition({ when, provider, model }: ChainTarget, call: Call): boolean {
  const answer: unknown = when?.({ ...call, model })
  if (typeof answer === 'boolean') return answer
  const isPromise = typeof answer === 'object' && answer !== null && 'then' in answer
  // no other code handles the rejection of a promise, and Node would terminate the process
  Promise.resolve(answer).catch(() => {})
  const what = isPromise ? 'a promise' : answer === null ? 'null' : `a value of type ${typeof answer}`
  throw new TypeError(
    `The \`when\` of ${provider.name} ${model} returned ${what}: it must return true or false at once. Nothing was sent. ` +
      'Do what takes time before the call, and pass its result in the `metadata` of the call.',
  )
}
