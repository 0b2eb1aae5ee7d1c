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
  const copy: { -readonly [Name in keyof GenerateInput]: GenerateInput[Name] } = { ...input }
  if (Array.isArray(messages)) copy.messages = messages.map(copyRecord) as Message[]
  if (Array.isArray(stopSequences)) copy.stopSequences = stopSequences.slice() as string[]
  if (isRecord(tools)) copy.tools = { ...tools }
  if (isRecord(extraBody)) copy.extraBody = { ...extraBody }
  return copy
}

function copyRecord<Value>(value: Value): Value {
  return isRecord(value) ? { ...value } : value
}
