import type { Call, Message } from '../contract.ts'
import type { ChatItem } from './node-llama-cpp.ts'

/** Converts a conversation for node-llama-cpp. It ends with an empty answer, which the model then writes. */
export function chatHistory(call: Call): ChatItem[] {
  const items = call.messages.map(itemOf)
  const instruction = jsonInstruction(call)
  const told = instruction === undefined ? items : withSystem(items, instruction)
  return [...told.map(wellFormed), { type: 'model', response: [] }]
}

/** Replaces each lone surrogate with U+FFFD, as on the wire (F58). */
function wellFormed(item: ChatItem): ChatItem {
  if (item.type !== 'model') return { ...item, text: item.text.toWellFormed() }
  return { ...item, response: item.response.map(part => (typeof part === 'string' ? part.toWellFormed() : part)) }
}

function itemOf(message: Message): ChatItem {
  if (message.role === 'system' || message.role === 'developer') return { type: 'system', text: message.content }
  if (message.role === 'assistant') return { type: 'model', response: answerOf(message) }
  // a tool result from a call that another target made: sent as text of the user, because this target supports no tools
  if (message.role === 'tool') return { type: 'user', text: message.content }
  if (typeof message.content === 'string') return { type: 'user', text: message.content }
  return { type: 'user', text: message.content.flatMap(part => (part.type === 'text' ? part.text : [])).join('\n') }
}

function answerOf({ content, toolCalls = [] }: Extract<Message, { role: 'assistant' }>): readonly string[] {
  return [content, ...toolCalls.map(call => `${call.toolName}(${JSON.stringify(call.input)})`)].filter(text => text !== '')
}

/** The grammar forces the model to follow the schema, but does not tell the model what the fields mean. */
function jsonInstruction({ output }: Call): string | undefined {
  if (output?.schema === undefined) return undefined
  return `Answer in JSON that conforms to this JSON Schema: ${JSON.stringify(output.schema)}`
}

function withSystem(items: readonly ChatItem[], text: string): ChatItem[] {
  const [first, ...rest] = items
  if (first?.type !== 'system') return [{ type: 'system', text }, ...items]
  return [{ type: 'system', text: `${first.text}\n\n${text}` }, ...rest]
}
