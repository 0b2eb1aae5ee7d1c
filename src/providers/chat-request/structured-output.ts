import { returnedText } from '../../check.ts'
import type { Call, Message, ProviderEvent } from '../../contract.ts'
import { type Dialect, hasTools } from '../chat-completions/dialect.ts'
import { enforceable } from './json-schema.ts'

/** The field that requests JSON, as strictly as this server supports. */
export function responseFormat(call: Call, dialect: Dialect): { readonly response_format?: unknown } {
  if (call.output === undefined) return {}
  const { schema, name = 'answer' } = call.output
  const form = dialect.capabilities.output ?? 'json-schema'
  if (form === 'prompt') return {}
  if (schema === undefined || form !== 'json-schema') return { response_format: { type: 'json_object' } }
  const enforced = (dialect.enforceable ?? enforceable)(schema)
  return { response_format: { type: 'json_schema', json_schema: { name, strict: enforced.strict, schema: enforced.schema } } }
}

/**
 * Adds a request for JSON to the system message if the server does not enforce the schema. In JSON mode DeepSeek and OpenAI
 * require the word json somewhere in the prompt: without it DeepSeek may send whitespace up to the token limit. Nothing is added
 * when the prompt already contains the word and there is no schema to describe.
 */
export function withJsonInstruction(call: Call, dialect: Dialect): Call {
  if (call.output === undefined) return call
  const { schema } = call.output
  const enforced = (dialect.capabilities.output ?? 'json-schema') === 'json-schema' && schema !== undefined
  if (enforced || (schema === undefined && call.messages.some(saysJson))) return call
  const asked = dialect.jsonInstruction(schema === undefined ? undefined : JSON.stringify(enforceable(schema).schema))
  const instruction = returnedText(asked, `${dialect.service}: jsonInstruction`)
  return { ...call, messages: withSystemText(call.messages, instruction) }
}

function saysJson(message: Message): boolean {
  if (typeof message.content === 'string') return /json/i.test(message.content)
  return message.content.some(part => part.type === 'text' && /json/i.test(part.text))
}

/** Keeps one system message, at the front: the chat templates of some local models reject several, or one further down. */
function withSystemText(messages: readonly Message[], instruction: string): readonly Message[] {
  const [first, ...rest] = messages
  if (first?.role !== 'system' && first?.role !== 'developer') return [{ role: 'system', content: instruction }, ...messages]
  return [{ role: first.role, content: `${first.content}\n\n${instruction}` }, ...rest]
}

/**
 * If a server enforces schemas for tool calls but not for answers, the answer is requested as the input of a forced tool. Only
 * without reasoning, which rules out forced tools, and only when the call has no other tools.
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

/** Emits the input of that tool as the text of the answer. */
export function fromOutputTool(name: string, emit: (event: ProviderEvent) => boolean): (event: ProviderEvent) => boolean {
  return event => {
    if (event.type === 'tool-call-delta' && event.toolName === name) {
      return event.inputText === '' || emit({ type: 'text-delta', text: event.inputText })
    }
    if (event.type === 'tool-call' && event.toolName === name) return true
    return emit(event.type === 'finish' && event.finishReason === 'tool-calls' ? { ...event, finishReason: 'stop' } : event)
  }
}
