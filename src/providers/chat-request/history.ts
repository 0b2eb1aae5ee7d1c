import type { Call, Message, Prefix, ToolCall } from '../../contract.ts'
import { type Dialect, hasTools } from '../chat-completions/dialect.ts'
import { stateFields } from '../service-state.ts'
import { withToolCallIds } from '../tool-call-ids.ts'
import { wireJson } from '../json.ts'

export type WireMessage = Readonly<Record<string, unknown>>

type AssistantMessage = Extract<Message, { role: 'assistant' }>

/**
 * The conversation in the form that one target needs. Turns may come from other targets: each gets the fields that this target
 * requires, and none that it forbids (R127, R128). The same call always gives the same bytes, so that a retry hits the server's
 * prompt cache.
 */
export function translateHistory(call: Call, dialect: Dialect): WireMessage[] {
  const prefix = prefixOf(call)
  const turns = endsInPrefix(call.messages) ? call.messages.slice(0, -1) : call.messages
  const named = turns.some(hasToolCallId) ? withToolCallIds(turns, dialect.toolCallIds ?? 'any') : turns
  const messages = named.map(message => translate(message, call, dialect))
  return prefix === undefined ? messages : [...messages, prefixMessage(prefix, call, dialect)]
}

/** The text that the answer must begin with: the caller's prefix message, the text received so far, or one after the other. */
export function prefixOf(call: Call): Prefix | undefined {
  const last = call.messages.at(-1)
  if (last?.role !== 'assistant' || last.prefix !== true) return call.prefix
  return {
    text: last.content + (call.prefix?.text ?? ''),
    reasoningText: (last.reasoningText ?? '') + (call.prefix?.reasoningText ?? ''),
  }
}

/** A continued text has no open thought, even if the template opens one at the beginning of an answer. */
export function tagsAfter(prefix: Prefix | undefined, thinkTags: Dialect['thinkTags']): Dialect['thinkTags'] {
  return thinkTags === 'opened' && prefix !== undefined && prefix.text !== '' ? true : thinkTags
}

function endsInPrefix(messages: readonly Message[]): boolean {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.prefix === true
}

function translate(message: Message, call: Call, dialect: Dialect): WireMessage {
  if (message.role === 'assistant') return assistantTurn(message, call, dialect)
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.toolCallId, content: message.content }
  if (message.role === 'user') return { role: 'user', content: userContent(message, dialect) }
  return { role: dialect.instructionRole, content: message.content }
}

function assistantTurn(message: AssistantMessage, call: Call, dialect: Dialect): WireMessage {
  const reasoning = reasoningOf(message, call, dialect)
  const toolCalls = message.toolCalls ?? []
  return {
    role: 'assistant',
    // never null: DeepSeek answers 400 "content or tool_calls must be set"
    content: message.content,
    ...(reasoning === undefined ? undefined : { [dialect.reasoningField]: reasoning }),
    ...(dialect.keepsState === false ? undefined : stateFields(message.providerMetadata, 'turn')),
    ...(toolCalls.length === 0 ? undefined : { tool_calls: toolCalls.map(called => wireToolCall(called, dialect)) }),
  }
}

function reasoningOf(message: AssistantMessage, call: Call, dialect: Dialect): string | undefined {
  const { reasoningText } = message
  if (dialect.reasoningHistory === 'strip') return undefined
  if (dialect.reasoningHistory === 'keep') return reasoningText === '' ? undefined : reasoningText
  return needsReasoning(message, call, dialect) ? (reasoningText ?? '') : undefined
}

/**
 * DeepSeek ignores the field without tools. With tools it answers 400 to a turn without the field, but accepts ""
 * (vercel/ai#13203). Models of early 2026 require the field on every turn that called a tool, even if this request offers none.
 */
function needsReasoning(message: AssistantMessage, call: Call, dialect: Dialect): boolean {
  if (dialect.reasoningHistory === 'required') return true
  return call.reasoning !== 'off' && (hasTools(call) || (message.toolCalls ?? []).length > 0)
}

/**
 * Sends the reasoning before a prefix if there is any. With tools, DeepSeek requires the field on every turn, including this one.
 */
function prefixMessage({ text, reasoningText }: Prefix, call: Call, dialect: Dialect): WireMessage {
  const thought = reasoningText === '' || dialect.reasoningHistory === 'strip' ? undefined : reasoningText
  const reasoning = thought ?? reasoningOf({ role: 'assistant', content: text }, call, dialect)
  return {
    role: 'assistant',
    content: text,
    ...(reasoning === undefined ? undefined : { [dialect.reasoningField]: reasoning }),
    ...dialect.prefix?.message,
  }
}

function userContent({ content }: Extract<Message, { role: 'user' }>, dialect: Dialect): unknown {
  if (typeof content === 'string') return content
  // servers without image support often accept only a plain string
  if (dialect.capabilities.images === false) return content.map(part => (part.type === 'text' ? part.text : '')).join('\n')
  return content.map(part =>
    part.type === 'text' ? { type: 'text', text: part.text } : { type: 'image_url', image_url: { url: part.image } },
  )
}

function wireToolCall(call: ToolCall, dialect: Dialect): WireMessage {
  return {
    id: call.toolCallId,
    type: 'function',
    function: { name: call.toolName, arguments: wireJson(call.input ?? {}) },
    ...(dialect.keepsState === false ? undefined : stateFields(call.providerMetadata, 'call')),
  }
}

function hasToolCallId(message: Message): boolean {
  return message.role === 'tool' || (message.role === 'assistant' && (message.toolCalls ?? []).length > 0)
}
