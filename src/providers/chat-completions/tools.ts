import type { Call, Tool, ToolChoice } from '../../contract.ts'
import { hasTools } from './dialect.ts'

/** `tools` and `tool_choice`; neither without tools, because an empty list is refused by several servers. */
export function toolFields(call: Call): { readonly tools?: unknown; readonly tool_choice?: unknown } {
  if (!hasTools(call)) return {}
  const tools = Object.entries(call.tools ?? {}).map(([name, tool]) => wireTool(name, tool))
  return call.toolChoice === undefined ? { tools } : { tools, tool_choice: wireChoice(call.toolChoice) }
}

function wireTool(name: string, tool: Tool): unknown {
  const { description, inputSchema, strict } = tool
  return {
    type: 'function',
    function: {
      name,
      ...(description === undefined ? undefined : { description }),
      parameters: inputSchema,
      ...(strict === undefined ? undefined : { strict }),
    },
  }
}

function wireChoice(choice: ToolChoice): unknown {
  return typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.toolName } }
}
