import { type Check, checkOptions, flag, isPlain, isRecord, kindOf, list, oneOf, record, text, writable } from './check.ts'
import { suggestion } from './suggestion.ts'
import type { GenerateInput } from './options.ts'

/** Throws for an invalid conversation, and says what to write instead. */
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
  if (turn['role'] === undefined && isRecord(turn['message']))
    throw new TypeError(`${name} is a whole result. Write its message: messages.push(result.message).`)
  role(turn['role'], `${name}.role`)
  if (turn['role'] === 'assistant') checkAnswer(turn, name)
  if (turn['role'] === 'tool') checkResult(turn, name)
  const { content } = turn
  if (typeof content === 'string') return
  if (turn['role'] !== 'user' || !Array.isArray(content)) {
    throw new TypeError(
      `${name}.content must be a string${turn['role'] === 'user' ? ' or a list of parts' : ''}, not ${kindOf(content)}.`,
    )
  }
  for (const [index, part] of content.entries()) checkPart(part, `${name}.content[${index}]`)
}

function checkPart(part: unknown, name: string): void {
  if (isRecord(part) && part['type'] === 'text' && typeof part['text'] === 'string') return
  if (isRecord(part) && part['type'] === 'image' && typeof part['image'] === 'string') return
  throw new TypeError(`${name} must be { type: 'text', text: '...' } or { type: 'image', image: 'https://...' }.`)
}

/** Checks an assistant turn, including its reasoning and its tool calls. */
function checkAnswer(
  { reasoningText, toolCalls, prefix, providerMetadata, ...rest }: Readonly<Record<string, unknown>>,
  name: string,
): void {
  checkState(providerMetadata, name)
  if (reasoningText !== undefined && typeof reasoningText !== 'string')
    throw new TypeError(`${name}.reasoningText must be a string, not ${kindOf(reasoningText)}.`)
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
  checkState(call['providerMetadata'], name)
}

/** Checks the data that a service requires back: an object that can be sent as JSON. */
function checkState(state: unknown, name: string): void {
  if (state === undefined) return
  if (!isRecord(state))
    throw new TypeError(`${name}.providerMetadata must be the object that came with the answer, not ${kindOf(state)}.`)
  writable(state, `${name}.providerMetadata`)
}

/** Checks a tool result. It must name the tool call that it answers. */
function checkResult({ toolCallId, toolName }: Readonly<Record<string, unknown>>, name: string): void {
  text(toolCallId, `${name}.toolCallId`)
  if (toolName !== undefined) text(toolName, `${name}.toolName`)
}

/** Throws for invalid tools, and says what to write instead. */
export const tools: Check = (value, name) => {
  if (!isPlain(value)) throw new TypeError(`${name} must be an object like { weather: { inputSchema } }, not ${kindOf(value)}.`)
  for (const [toolName, tool] of Object.entries(value)) checkTool(tool, `${name}.${toolName}`)
}

function checkTool(tool: unknown, name: string): void {
  const schema = isRecord(tool) ? tool['inputSchema'] : undefined
  if (!isRecord(tool) || !(isPlain(schema) || isStandard(schema)))
    throw new TypeError(`${name} must be { description, inputSchema: z.object({ ... }) }.`)
  const { description, strict } = tool
  if (description !== undefined && typeof description !== 'string')
    throw new TypeError(`${name}.description must be a string, not ${kindOf(description)}.`)
  if (strict !== undefined) flag(strict, `${name}.strict`)
  // a library's schema is not sent: it converts itself to JSON Schema
  if (isRecord(schema) && !('~standard' in schema)) writable(schema, `${name}.inputSchema`)
}

/** Some libraries' schemas are functions. */
function isStandard(schema: unknown): boolean {
  return typeof schema === 'function' && '~standard' in schema
}

const choices: ReadonlySet<unknown> = new Set(['auto', 'none', 'required'])

/** The tool choices of other services, and our names for them. */
const elsewhere: Readonly<Record<string, string>> = { any: 'required', force: 'required', forced: 'required', tool: 'required' }

export const toolChoice: Check = (value, name) => {
  if (choices.has(value)) return
  const meant = typeof value === 'string' && Object.hasOwn(elsewhere, value) ? ` Did you mean '${elsewhere[value]}'?` : ''
  if (isRecord(value) && typeof value['toolName'] === 'string' && value['toolName'] !== '')
    return checkOptions(value, { toolName: () => {} }, name)
  const not = typeof value === 'string' ? '' : `, not ${kindOf(value)}`
  throw new TypeError(`${name} must be 'auto', 'none', 'required' or { toolName: 'weather' }${not}.${meant}`)
}

/** Throws for a `toolChoice` without tools. */
export function checkChoice({ tools: given = {}, toolChoice: choice }: GenerateInput): void {
  const names = Object.keys(given)
  if (choice === 'required' && names.length === 0)
    throw new TypeError("generate: toolChoice is 'required', but there are no tools. Write tools: { weather: { inputSchema } }.")
  if (typeof choice === 'object' && !Object.hasOwn(given, choice.toolName))
    throw new TypeError(
      `generate: toolChoice: this call has no tool with the name '${choice.toolName}'.${suggestion(choice.toolName, names)}`,
    )
}
