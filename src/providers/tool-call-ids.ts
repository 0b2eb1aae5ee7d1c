import { createHash } from 'node:crypto'
import type { Message } from '../contract.ts'

/**
 * The ids that a service accepts for tool calls. `any`: any text. `short`: at most 40 characters, as OpenAI. `plain`: at most 40
 * letters, digits, `_` and `-`, as bridges to Anthropic. `nine`: exactly nine letters and digits, as Mistral's models.
 */
export type ToolCallIds = 'any' | 'short' | 'plain' | 'nine'

const forms: Readonly<Record<ToolCallIds, { readonly taken: RegExp; make(digest: string): string }>> = {
  any: { taken: /^[^]+$/, make: digest => `call_${digest.slice(0, 24)}` },
  short: { taken: /^[^]{1,40}$/, make: digest => `call_${digest.slice(0, 24)}` },
  plain: { taken: /^[\w-]{1,40}$/, make: digest => `call_${digest.slice(0, 24)}` },
  nine: { taken: /^[A-Za-z0-9]{9}$/, make: digest => digest.slice(0, 9) },
}

/**
 * The conversation with ids that this service accepts (F56). A valid id is kept, so that a service gets its own ids back. Any
 * other id is replaced by a hash of it, which is the same in every request, so that a retry sends the same bytes. Two calls of a
 * conversation never share an id: a result belongs to the latest call with its id, and the results of one turn follow the order
 * of its calls.
 */
export function withToolCallIds(messages: readonly Message[], ids: ToolCallIds): readonly Message[] {
  const used = new Set<string>()
  const open = new Map<string, string[]>()
  return messages.map(message => {
    if (message.role === 'tool')
      return { ...message, toolCallId: resultId(message.toolCallId, open) ?? fit(message.toolCallId, ids, used) }
    if (message.role !== 'assistant' || message.toolCalls === undefined) return message
    for (const { toolCallId } of message.toolCalls) open.set(toolCallId, [])
    const toolCalls = message.toolCalls.map(call => {
      const toolCallId = fit(call.toolCallId, ids, used)
      used.add(toolCallId)
      open.get(call.toolCallId)?.push(toolCallId)
      return { ...call, toolCallId }
    })
    return { ...message, toolCalls }
  })
}

/** The id format of a service, if its address identifies it. */
export function toolCallIdsAt(baseURL: string): ToolCallIds {
  const { hostname } = new URL(baseURL)
  if (/(?:^|\.)mistral\.ai$/.test(hostname)) return 'nine'
  return /(?:^|\.)(?:openai\.com|azure\.com|github\.ai)$/.test(hostname) ? 'short' : 'any'
}

/** All ids that a conversation already uses. */
export function toolCallIdsOf(messages: readonly Message[]): ReadonlySet<string> {
  return new Set(
    messages.flatMap(message => {
      if (message.role === 'tool') return message.toolCallId
      return message.role === 'assistant' ? (message.toolCalls ?? []).map(({ toolCallId }) => toolCallId) : []
    }),
  )
}

/** Keeps the last id in the queue, because a repeated result belongs to the same call. */
function resultId(id: string, open: ReadonlyMap<string, string[]>): string | undefined {
  const waiting = open.get(id)
  return waiting !== undefined && waiting.length > 1 ? waiting.shift() : waiting?.[0]
}

function fit(id: string, ids: ToolCallIds, used: ReadonlySet<string>): string {
  const { taken, make } = forms[ids]
  if (taken.test(id) && !used.has(id)) return id
  for (let number = 1; ; number++) {
    const made = make(createHash('sha256').update(`${number} ${id}`).digest('hex'))
    if (!used.has(made)) return made
  }
}
