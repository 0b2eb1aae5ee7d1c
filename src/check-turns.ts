import { type Check, isRecord, kindOf, list, oneOf, record, text, writable } from './check.ts'

/** Says no to a conversation, with what to write instead. */
export const messages: Check = (value, name) => {
  list(value, name)
  const turns = value as readonly unknown[]
  if (turns.length === 0) throw new TypeError(`${name} is empty. Write at least { role: 'user', content: '...' }.`)
  for (const [index, turn] of turns.entries()) message(turn, `${name}[${index}]`)
}

const role = oneOf('system', 'developer', 'user', 'assistant', 'tool')

const message: Check = (value, name) => {
  record(value, name)
  const turn = value as Readonly<Record<string, unknown>>
  role(turn['role'], `${name}.role`)
  if (turn['role'] === 'assistant') checkAnswer(turn, name)
  if (turn['role'] === 'tool') checkResult(turn, name)
  const { content } = turn
  if (typeof content === 'string') return
  if (turn['role'] !== 'user' || !Array.isArray(content)) {
    throw new TypeError(
      `${name}.content must be a text${turn['role'] === 'user' ? ' or a list of parts' : ''}, not ${kindOf(content)}.`,
    )
  }
  for (const [index, part] of content.entries()) checkPart(part, `${name}.content[${index}]`)
}

function checkPart(part: unknown, name: string): void {
  if (isRecord(part) && part['type'] === 'text' && typeof part['text'] === 'string') return
  if (isRecord(part) && part['type'] === 'image' && typeof part['image'] === 'string') return
  throw new TypeError(`${name} must be { type: 'text', text: '...' } or { type: 'image', image: 'https://...' }.`)
}

/** What a model said before: its thoughts and its tool calls too. */
function checkAnswer({ reasoningText, toolCalls, prefix, ...rest }: Readonly<Record<string, unknown>>, name: string): void {
  if (reasoningText !== undefined && typeof reasoningText !== 'string')
    throw new TypeError(`${name}.reasoningText must be a text, not ${kindOf(reasoningText)}.`)
  if (prefix !== undefined && typeof prefix !== 'boolean')
    throw new TypeError(`${name}.prefix must be true or false, not ${kindOf(prefix)}.`)
  if (toolCalls === undefined && rest['tool_calls'] !== undefined)
    throw new TypeError(`${name}: there is no 'tool_calls'. Write toolCalls: ${exampleCall}.`)
  if (toolCalls === undefined) return
  if (!Array.isArray(toolCalls))
    throw new TypeError(`${name}.toolCalls must be a list like ${exampleCall}, not ${kindOf(toolCalls)}.`)
  for (const [index, call] of toolCalls.entries()) checkCall(call, `${name}.toolCalls[${index}]`)
}

const exampleCall = "[{ toolCallId: 'call_1', toolName: 'weather', input: { city: 'Oslo' } }]"

function checkCall(call: unknown, name: string): void {
  if (!isRecord(call)) throw new TypeError(`${name} must be { toolCallId, toolName, input }, not ${kindOf(call)}.`)
  text(call['toolCallId'], `${name}.toolCallId`)
  text(call['toolName'], `${name}.toolName`)
  writable(call['input'], `${name}.input`)
}

/** The result of a tool belongs to one call of the turn before it. */
function checkResult({ toolCallId, toolName }: Readonly<Record<string, unknown>>, name: string): void {
  text(toolCallId, `${name}.toolCallId`)
  if (toolName !== undefined) text(toolName, `${name}.toolName`)
}
