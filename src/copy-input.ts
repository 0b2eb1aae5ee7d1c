import { isRecord } from './check.ts'
import type { Message } from './contract.ts'
import type { GenerateInput } from './options.ts'

/**
 * What the application does with its conversation after the call is not part of the call: a chat page pushes the place of the answer
 * into the same list (F81). Lists and turns are copied, what is deep inside them is not. The input was not checked yet.
 */
export function copyInput(input: string | GenerateInput): string | GenerateInput {
  if (!isRecord(input)) return input
  const { messages, stopSequences, tools, extraBody } = input
  return {
    ...input,
    ...(Array.isArray(messages) ? { messages: messages.map(copyRecord) as Message[] } : undefined),
    ...(Array.isArray(stopSequences) ? { stopSequences: stopSequences.slice() as string[] } : undefined),
    ...(isRecord(tools) ? { tools: { ...tools } } : undefined),
    ...(isRecord(extraBody) ? { extraBody: { ...extraBody } } : undefined),
  }
}

function copyRecord<Value>(value: Value): Value {
  return isRecord(value) ? { ...value } : value
}
