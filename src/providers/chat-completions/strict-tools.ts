import type { Call, JsonSchema, Tool } from '../../contract.ts'
import type { Warn } from './dialect.ts'
import { enforceable } from './json-schema.ts'

type StrictTools = {
  readonly warn: Warn
  /** Takes out of a schema what the service does not know. */
  readonly simplify?: ((schema: JsonSchema) => JsonSchema) | undefined
}

/** Strict tools in the form that servers can enforce: every property required, no others. A schema that cannot be so is sent not strict. */
export function withStrictTools(call: Call, options: StrictTools): Call {
  const entries = Object.entries(call.tools ?? {})
  if (!entries.some(([, tool]) => tool.strict === true)) return call
  return { ...call, tools: Object.fromEntries(entries.map(([name, tool]) => [name, strictTool(name, tool, options)])) }
}

function strictTool(name: string, tool: Tool, { warn, simplify = schema => schema }: StrictTools): Tool {
  if (tool.strict !== true) return tool
  const { schema, strict } = enforceable(tool.inputSchema)
  if (strict) return { ...tool, inputSchema: simplify(schema) }
  warn(
    'tools',
    `The tool ${name} cannot be strict: that takes a schema whose objects require all of their properties. Sent not strict.`,
  )
  return { ...tool, strict: false }
}
