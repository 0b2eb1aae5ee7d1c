import { type Check, checkOptions, flag, isRecord, kindOf, suggestion, writable } from './check.ts'
import type { GenerateInput } from './options.ts'

/** Says no to tools, with what to write instead. */
export const tools: Check = (value, name) => {
  if (!isRecord(value)) throw new TypeError(`${name} must be an object like { weather: { inputSchema } }, not ${kindOf(value)}.`)
  for (const [toolName, tool] of Object.entries(value)) checkTool(tool, `${name}.${toolName}`)
}

function checkTool(tool: unknown, name: string): void {
  const schema = isRecord(tool) ? tool['inputSchema'] : undefined
  if (!isRecord(tool) || !((typeof schema === 'object' && schema !== null) || typeof schema === 'function'))
    throw new TypeError(`${name} must be { description, inputSchema: z.object({ ... }) }.`)
  const { description, strict } = tool
  if (description !== undefined && typeof description !== 'string')
    throw new TypeError(`${name}.description must be a text, not ${kindOf(description)}.`)
  if (strict !== undefined) flag(strict, `${name}.strict`)
  // a schema of a library is told as JSON Schema, which it makes itself
  if (isRecord(schema) && !('~standard' in schema)) writable(schema, `${name}.inputSchema`)
}

const choices: ReadonlySet<unknown> = new Set(['auto', 'none', 'required'])

/** What other services call it. */
const elsewhere: Readonly<Record<string, string>> = { any: 'required', force: 'required', forced: 'required', tool: 'required' }

export const toolChoice: Check = (value, name) => {
  if (choices.has(value)) return
  const meant = typeof value === 'string' && Object.hasOwn(elsewhere, value) ? ` Did you mean '${elsewhere[value]}'?` : ''
  if (isRecord(value) && typeof value['toolName'] === 'string' && value['toolName'] !== '')
    return checkOptions(value, { toolName: () => {} }, name)
  const not = typeof value === 'string' ? '' : `, not ${kindOf(value)}`
  throw new TypeError(`${name} must be 'auto', 'none', 'required' or { toolName: 'weather' }${not}.${meant}`)
}

/** A choice without tools is a choice of nothing. */
export function checkChoice({ tools: given = {}, toolChoice: choice }: GenerateInput): void {
  const names = Object.keys(given)
  if (choice === 'required' && names.length === 0)
    throw new TypeError("generate: toolChoice is 'required', but there are no tools. Write tools: { weather: { inputSchema } }.")
  if (typeof choice === 'object' && !Object.hasOwn(given, choice.toolName))
    throw new TypeError(`generate: toolChoice names no tool of this call.${suggestion(choice.toolName, names)}`)
}
