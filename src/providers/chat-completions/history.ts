import type { Call, Message, Prefix } from '../../contract.ts'
import type { Dialect } from './dialect.ts'
import { hasTools } from './dialect.ts'
import { withToolCallIds } from './tool-call-ids.ts'
import { wireJson } from '../wire-json.ts'

export type WireMessage = Readonly<Record<string, unknown>>

type AssistantMessage = Extract<Message, { role: 'assistant' }>

/**
 * The conversation as one target wants it. Its turns may come from other targets: each gets the fields that this one demands, and
 * none that it forbids (R127, R128). The same call always gives the same bytes, so that a retry hits the server's prompt cache.
 */
export function translateHistory(call: Call, dialect: Dialect): WireMessage[] {
  const prefix = prefixOf(call)
  const turns = endsInPrefix(call.messages) ? call.messages.slice(0, -1) : call.messages
  const messages = withToolCallIds(turns, dialect.toolCallIds ?? 'any').map(message => translate(message, call, dialect))
  return prefix === undefined ? messages : [...messages, prefixMessage(prefix, call, dialect)]
}

/** What the answer must begin with: the caller's own prefix message, what was already received, or both one after the other. */
export function prefixOf(call: Call): Prefix | undefined {
  const last = call.messages.at(-1)
  if (last?.role !== 'assistant' || last.prefix !== true) return call.prefix
  return {
    text: last.content + (call.prefix?.text ?? ''),
    reasoningText: (last.reasoningText ?? '') + (call.prefix?.reasoningText ?? ''),
  }
}

/** Behind a text that is there already no thought is open, whatever the template does at the beginning of an answer. */
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
    ...(toolCalls.length === 0 ? undefined : { tool_calls: toolCalls.map(wireToolCall) }),
  }
}

function reasoningOf(message: AssistantMessage, call: Call, dialect: Dialect): string | undefined {
  const { reasoningText } = message
  if (dialect.reasoningHistory === 'strip') return undefined
  if (dialect.reasoningHistory === 'keep') return reasoningText === '' ? undefined : reasoningText
  return needsReasoning(message, call, dialect) ? (reasoningText ?? '') : undefined
}

/**
 * Without tools DeepSeek ignores the field. With tools a turn without it is a 400; only its presence is looked at, "" passes
 * (vercel/ai#13203). Models of early 2026 ask for it wherever a turn called a tool, whatever this request offers.
 */
function needsReasoning(message: AssistantMessage, call: Call, dialect: Dialect): boolean {
  if (dialect.reasoningHistory === 'required') return true
  return call.reasoning !== 'off' && (hasTools(call) || (message.toolCalls ?? []).length > 0)
}

/** The thought before a beginning is told where there is one; with tools DeepSeek wants the field of every turn, of this one too. */
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
  // servers without eyes often take only a plain text
  if (dialect.capabilities.images === false) return content.map(part => (part.type === 'text' ? part.text : '')).join('\n')
  return content.map(part =>
    part.type === 'text' ? { type: 'text', text: part.text } : { type: 'image_url', image_url: { url: part.image } },
  )
}

function wireToolCall(call: { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }): WireMessage {
  return { id: call.toolCallId, type: 'function', function: { name: call.toolName, arguments: wireJson(call.input ?? {}) } }
}
