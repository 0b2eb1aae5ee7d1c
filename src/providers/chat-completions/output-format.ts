import { returnedText } from '../../check.ts'
import type { Call, Message } from '../../contract.ts'
import type { Dialect } from './dialect.ts'
import { enforceable } from './json-schema.ts'

/** The field that holds the answer to JSON, as strongly as this server can. */
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
 * The messages, with a request for JSON in the system message where the server is not held to the schema itself. In JSON mode
 * DeepSeek and OpenAI demand the word json somewhere in the prompt: without it DeepSeek may send white space up to the token limit.
 * Nothing is added when the caller already says it and there is no schema to tell.
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

/** One system message at the front: several, or one further down, are refused by the chat templates of some local models. */
function withSystemText(messages: readonly Message[], instruction: string): readonly Message[] {
  const [first, ...rest] = messages
  if (first?.role !== 'system' && first?.role !== 'developer') return [{ role: 'system', content: instruction }, ...messages]
  return [{ role: first.role, content: `${first.content}\n\n${instruction}` }, ...rest]
}
