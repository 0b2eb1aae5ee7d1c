import type { Call, Tool } from '../contract.ts'
import type { Warn } from './chat-completions/dialect.ts'
import { enforceable, withoutLengths } from './chat-completions/json-schema.ts'

/** Strict tools as DeepSeek takes them: every property required, no others, no lengths. A schema that cannot be so is sent not strict. */
export function adaptStrictTools(call: Call, warn: Warn): Call {
  const entries = Object.entries(call.tools ?? {})
  if (!entries.some(([, tool]) => tool.strict === true)) return call
  return { ...call, tools: Object.fromEntries(entries.map(([name, tool]) => [name, adaptTool(name, tool, warn)])) }
}

function adaptTool(name: string, tool: Tool, warn: Warn): Tool {
  if (tool.strict !== true) return tool
  const { schema, strict } = enforceable(tool.inputSchema)
  if (strict) return { ...tool, inputSchema: withoutLengths(schema) }
  warn(
    'tools',
    `The tool ${name} cannot be strict: DeepSeek wants every property of every object required and no others. Sent not strict.`,
  )
  return { ...tool, strict: false }
}
