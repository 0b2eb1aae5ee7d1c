import type { Call, ProviderEvent } from '../../contract.ts'
import type { Dialect } from './dialect.ts'
import { hasTools } from './dialect.ts'
import { enforceable } from './json-schema.ts'

/**
 * Where a server holds tool calls to a schema and answers not, the answer is asked for as the input of a tool that must be called.
 * Only without thinking, which forbids to force a tool, and only when there are no other tools.
 */
export function outputTool(call: Call, dialect: Dialect): { readonly call: Call; readonly name: string } | undefined {
  const schema = call.output?.schema
  if (dialect.capabilities.output !== 'strict-tool' || schema === undefined || call.reasoning !== 'off' || hasTools(call))
    return undefined
  if (!enforceable(schema).strict) return undefined
  const name = (call.output?.name ?? 'answer').replace(/[^\w-]/g, '_').slice(0, 64)
  const tools = { [name]: { description: 'Gives the answer.', inputSchema: schema, strict: true } }
  return { call: { ...call, output: undefined, tools, toolChoice: { toolName: name } }, name }
}

/** The input of that tool is the text of the answer. */
export function fromOutputTool(name: string, emit: (event: ProviderEvent) => boolean): (event: ProviderEvent) => boolean {
  return event => {
    if (event.type === 'tool-call-delta' && event.toolName === name) {
      return event.inputText === '' || emit({ type: 'text-delta', text: event.inputText })
    }
    if (event.type === 'tool-call' && event.toolName === name) return true
    return emit(event.type === 'finish' && event.finishReason === 'tool-calls' ? { ...event, finishReason: 'stop' } : event)
  }
}
