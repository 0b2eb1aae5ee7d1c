import type { Call, JsonSchema, Tool } from '../../contract.ts'
import type { Warn } from './dialect.ts'
import type { Enforceable } from './json-schema.ts'

type StrictTools = {
  readonly warn: Warn
  readonly enforceable: (schema: JsonSchema) => Enforceable
}

/** Strict tools in the form that the service can enforce. A schema that cannot be so is sent not strict. */
export function withStrictTools(call: Call, options: StrictTools): Call {
  const entries = Object.entries(call.tools ?? {})
  if (!entries.some(([, tool]) => tool.strict === true)) return call
  return { ...call, tools: Object.fromEntries(entries.map(([name, tool]) => [name, strictTool(name, tool, options)])) }
}

function strictTool(name: string, tool: Tool, { warn, enforceable }: StrictTools): Tool {
  if (tool.strict !== true) return tool
  const { schema, strict } = enforceable(tool.inputSchema)
  if (strict) return { ...tool, inputSchema: schema }
  warn('tools', `The tool ${name} cannot be strict: the service cannot be held to its schema. Sent not strict.`)
  return { ...tool, strict: false }
}
