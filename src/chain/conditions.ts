import type { Call } from '../contract.ts'
import type { ChainTarget } from './state.ts'

/** What the conditions said, by target index. */
export type Conditions = ReadonlyMap<number, boolean>

/**
 * Asks every `when` of the chain, once, before anything is sent. A promise is truthy: taken for a yes it would carry a confidential
 * call through the wall that it was written to be (F80).
 *
 * @returns undefined: no target has a condition
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

/** The chain with what its conditions said of this call. */
export function withConditions(targets: readonly ChainTarget[], conditions: Conditions | undefined): readonly ChainTarget[] {
  if (conditions === undefined) return targets
  return targets.map(target => ({ ...target, when: isAllowed(target, conditions) ? undefined : never }))
}

const never = () => false

function askCondition({ when, provider, model }: ChainTarget, call: Call): boolean {
  const answer: unknown = when?.({ ...call, model })
  if (typeof answer === 'boolean') return answer
  const isPromise = typeof answer === 'object' && answer !== null && 'then' in answer
  // nobody else would hear of its rejection, and Node ends the process over it
  if (isPromise) Promise.resolve(answer).catch(() => {})
  const what = isPromise ? 'a promise' : answer === null ? 'null' : `a value of type ${typeof answer}`
  throw new TypeError(
    `The \`when\` of ${provider.name} ${model} returned ${what}: it must return true or false at once. Nothing was sent. ` +
      'What takes time to find out belongs before the call, into its metadata.',
  )
}
