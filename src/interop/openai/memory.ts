import { createHash } from 'node:crypto'
import type { ProviderMetadata, ToolCall } from '../../index.ts'

/** Data of a tool call that clients lose if they rebuild the turn, as `runTools()` of the openai package does. */
export type Kept = {
  readonly reasoningText: string | undefined
  readonly messageState: ProviderMetadata | undefined
  readonly callState: ProviderMetadata | undefined
}

export type Memory = {
  /** Returns a function that looks up the data of a tool call by the index of its turn in the conversation. */
  reader(turns: readonly unknown[]): (index: number, toolCallId: string) => Kept | undefined
  /** Stores the data of the tool calls in an answer to a conversation. */
  keep(turns: readonly unknown[], answer: KeptAnswer): void
}

export type KeptAnswer = {
  readonly reasoningText: string
  readonly messageState: ProviderMetadata | undefined
  readonly toolCalls: readonly ToolCall[]
}

const limits = { entries: 1_000, characters: 16 * 1024 * 1024 }

/**
 * Stores the reasoning and the provider state of the last 1,000 tool calls, at most 16 MB, in this process. The key includes the whole
 * conversation before the call and not only the id: ids such as `call_0` repeat, and a client must not get the reasoning of another
 * conversation by sending an id.
 */
export function createMemory(): Memory {
  const entries = new Map<string, { readonly kept: Kept; readonly size: number }>()
  let characters = 0
  const drop = (key: string): void => {
    characters -= entries.get(key)?.size ?? 0
    entries.delete(key)
  }
  return {
    reader(turns) {
      if (entries.size === 0) return () => undefined
      const before = prefixes(turns)
      return (index, toolCallId) => entries.get(keyOf(before(index), toolCallId))?.kept
    },
    keep(turns, { reasoningText, messageState, toolCalls }) {
      const worth = toolCalls.filter(
        call => reasoningText !== '' || messageState !== undefined || call.providerMetadata !== undefined,
      )
      if (worth.length === 0) return
      const before = prefixes(turns)(turns.length)
      for (const call of worth) {
        const key = keyOf(before, call.toolCallId)
        const callState = call.providerMetadata
        const kept = { reasoningText: reasoningText === '' ? undefined : reasoningText, messageState, callState }
        const size = JSON.stringify(kept).length
        drop(key)
        entries.set(key, { kept, size })
        characters += size
      }
      for (const oldest of entries.keys()) {
        if (entries.size <= limits.entries && characters <= limits.characters) break
        drop(oldest)
      }
    },
  }
}

function keyOf(conversation: string, toolCallId: string): string {
  return `${conversation}:${toolCallId}`
}

/** Returns the digest of the turns before an index. Each turn is hashed once, and only when needed. */
function prefixes(turns: readonly unknown[]): (index: number) => string {
  const hash = createHash('sha256')
  let hashed = 0
  const known = new Map<number, string>()
  return index => {
    const found = known.get(index)
    if (found !== undefined) return found
    for (; hashed < index; hashed += 1) hash.update(essence(turns[hashed]))
    const digest = hash.copy().digest('base64')
    known.set(index, digest)
    return digest
  }
}

/** The fields of a turn that every client sends back. */
function essence(turn: unknown): string {
  const { role, content, tool_calls: calls, tool_call_id: id } = turn as Readonly<Record<string, unknown>>
  return `${JSON.stringify([role, content === '' ? null : content, callIds(calls), id])}\n`
}

function callIds(calls: unknown): unknown {
  return Array.isArray(calls) ? calls.map(call => (call as { readonly id?: unknown } | null)?.id) : undefined
}
