import type { Failure, Message, Source } from '../contract.ts'
import { ProviderError } from '../errors.ts'

export type RepairsOptions = {
  /** How often a target may be asked once more. */
  readonly limit: number
  readonly messages: readonly Message[]
}

/** Asks a target whose answer was not as asked once more, with what was wrong with it. One for each call. */
export type Repairs = {
  /** May the same target be asked once more for this? Takes one of its chances. */
  take(failure: Failure, source: Source): boolean
  /** What the call to this target is changed by; undefined: nothing. */
  overridesFor(source: Source): { readonly messages: readonly Message[] } | undefined
}

export function createRepairs({ limit, messages }: RepairsOptions): Repairs {
  /** By the target's index. An array costs next to nothing while it is empty; a Map is 200 bytes for each call. */
  const taken: ({ readonly count: number; readonly messages: readonly Message[] } | undefined)[] = []
  return {
    take(failure, { targetIndex }) {
      const count = taken[targetIndex]?.count ?? 0
      if (count >= limit || failure.reason !== 'invalid-output' || !ProviderError.isInstance(failure)) return false
      const { text = '' } = failure
      if (text.trim() === '') return false
      taken[targetIndex] = { count: count + 1, messages: [...messages, ...turnsOf(failure, text)] }
      return true
    },
    overridesFor({ targetIndex }) {
      const asked = taken[targetIndex]
      return asked === undefined ? undefined : { messages: asked.messages }
    },
  }
}

/** The answer as the model gave it, and what was wrong with it in the place where the model looks for it. */
function turnsOf(failure: ProviderError, text: string): readonly Message[] {
  const { toolCalls, toolCallId: wrong } = failure
  if (toolCalls === undefined) {
    return [
      { role: 'assistant', content: text },
      { role: 'user', content: complaint(failure, 'Answer again, corrected and in full.') },
    ]
  }
  // every call needs a result: a server answers 400 to a conversation in which one has none
  const results = toolCalls.map(({ toolCallId, toolName }): Message => {
    const content = toolCallId === wrong ? `Error: ${complaint(failure, 'Call again, corrected.')}` : notExecuted
    return { role: 'tool', toolCallId, toolName, content }
  })
  return [{ role: 'assistant', content: '', toolCalls }, ...results]
}

const notExecuted = 'Not executed, because another call was not as asked. Call again.'

function complaint({ message, issues = [] }: ProviderError, request: string): string {
  const lines = issues.map(({ path, message: what }) => `- ${path.length === 0 ? 'the whole' : path.join('.')}: ${what}`)
  return [lines.length === 0 ? message : 'That answer is not as asked:', ...lines, request].join('\n')
}
