import { isPlain, isUnwantedPromise, kindOf, type Checks } from './check.ts'
import { inputChecks } from './check-input.ts'
import { checkChoice } from './check-turns.ts'
import type { Call } from './contract.ts'
import type { Target } from './contract-targets.ts'

/** The fields that `prepare` may change. The schema of the answer and the data of the call belong to the whole call. */
const checks = {
  messages: inputChecks.messages,
  toolChoice: inputChecks.toolChoice,
  temperature: inputChecks.temperature,
  topP: inputChecks.topP,
  maxOutputTokens: inputChecks.maxOutputTokens,
  stopSequences: inputChecks.stopSequences,
  seed: inputChecks.seed,
  reasoning: inputChecks.reasoning,
  extraBody: inputChecks.extraBody,
} satisfies Checks

/** Wraps the target's `prepare` so that it throws a TypeError for an invalid result. Undefined: the target has none. */
export function checkedPrepare({ prepare, provider, model }: Target): Target['prepare'] {
  if (prepare === undefined) return undefined
  const name = `The \`prepare\` of ${provider.name} ${model}`
  return call => {
    const changes = checkPrepared(prepare(call), name)
    if (changes.toolChoice !== undefined) checkChoice({ tools: call.tools, toolChoice: changes.toolChoice })
    return changes
  }
}

function checkPrepared(value: unknown, name: string): Partial<Call> {
  const isPromise = isUnwantedPromise(value)
  if (isPromise || !isPlain(value)) {
    const what = isPromise ? 'a promise' : kindOf(value)
    throw new TypeError(`${name} returned ${what}: it must return what it changes, for example { temperature: 0 }. ${unsent}`)
  }
  const changes: Record<string, unknown> = {}
  for (const [field, changed] of Object.entries(value)) {
    const check = Object.hasOwn(checks, field) ? checks[field as keyof typeof checks] : undefined
    if (check === undefined) throw new TypeError(`${name} returned '${field}'. ${mayChange(field)} ${unsent}`)
    if (changed === undefined) continue
    check(changed, `${name}: ${field}`)
    changes[field] = changed
  }
  return changes
}

const unsent = 'Nothing was sent to this target.'

function mayChange(field: string): string {
  const all = Object.keys(checks).join(', ')
  return field in fixed ? `That field is the same for all targets. It may change only ${all}.` : `It may change only ${all}.`
}

const fixed = { output: 0, tools: 0, prefix: 0, model: 0, metadata: 0, tag: 0, signal: 0 }
