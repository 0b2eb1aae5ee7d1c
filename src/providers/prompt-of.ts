import type { Message } from '../contract.ts'
import { wireJson } from './wire-json.ts'

/**
 * A conversation as one text, for servers that take a prompt and no roles. One user message is sent as it is, and a system message
 * before it is put above it. A longer conversation gets a heading for each turn, and ends with the one under which the model writes.
 */
export function promptOf(messages: readonly Message[]): string {
  const instructions = messages.filter(message => message.role === 'system' || message.role === 'developer').map(textOf)
  const turns = messages.filter(message => message.role !== 'system' && message.role !== 'developer')
  const [only] = turns
  if (turns.length === 1 && only?.role === 'user') return [...instructions, textOf(only)].join('\n\n')
  return [...instructions, ...turns.map(turn => `${headings[turn.role]}: ${textOf(turn)}`), `${headings.assistant}:`].join('\n\n')
}

const headings = { user: 'User', assistant: 'Assistant', tool: 'Tool result', system: 'System', developer: 'System' } as const

function textOf(message: Message): string {
  if (typeof message.content !== 'string') return message.content.map(part => (part.type === 'text' ? part.text : '')).join('\n')
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : []
  return [message.content, ...calls.map(call => `${call.toolName}(${wireJson(call.input)})`)]
    .filter(part => part !== '')
    .join('\n')
}
