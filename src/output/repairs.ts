import type { Message } from '../contract.ts'
import type { Source } from '../contract-events.ts'
import type { Failure } from '../contract-failures.ts'
import { ProviderError } from '../errors.ts'

export type RepairsOptions = {
  /** How often a target may be asked to correct its answer. */
  readonly limit: number
  readonly messages: readonly Message[]
}

/** Asks a target to correct an invalid answer, quoting the issues. One object for each call. */
export type Repairs = {
  /** Returns whether the same target may correct this failure. Uses up one of its repairs. */
  take(failure: Failure, source: Source): boolean
  /** Returns the changes to the call to this target; undefined: none. */
  overridesFor(source: Source): { readonly messages: readonly Message[] } | undefined
}

export function createRepairs({ limit, messages }: RepairsOptions): Repairs {
  /** By target index. An array costs next to nothing while it is empty; a Map costs 200 bytes for each call. */
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

/** Returns the model's answer and the issues as turns: in tool results if the model called tools, else in a user message. */
function turnsOf(failure: ProviderError, text: string): readonly Message[] {
  const { toolCalls, toolCallId: wrong } = failure
  if (toolCalls === undefined) {
    return [
      { role: 'assistant', content: text },
      { role: 'user', content: complaint(failure, 'Answer again, corrected and in full.') },
    ]
  }
  // every tool call needs a result: servers answer 400 to a conversation in which one is missing
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
