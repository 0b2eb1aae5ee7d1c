import type { Call, ImagePart, Message, TextPart, ToolCall } from '../../index.ts'

/** The versions of the specification. */
export type Version = 'v2' | 'v3' | 'v4'

/** A part of a prompt. All versions use the same format, except for the data of files. */
export type Part = { readonly type: string; readonly [field: string]: unknown }
export type Turn = { readonly role: string; readonly content: string | readonly Part[] }

/**
 * What a service expects back with its own turn: its reasoning as parts, each with the service's metadata, and the metadata of the text. The
 * core stores it as JSON.
 */
export type TurnState = { readonly parts: readonly Part[]; readonly text?: object | undefined }

/** Converts our conversation to the AI SDK's format. */
export function writePrompt({ messages }: Pick<Call, 'messages'>, version: Version): readonly Turn[] {
  const names = new Map<string, string>()
  const turns: Turn[] = []
  for (const message of messages) {
    const turn = writeTurn(message, { version, names })
    const last = turns.at(-1)
    // the results of one turn form a single message
    if (turn.role === 'tool' && last?.role === 'tool') turns[turns.length - 1] = together(last, turn)
    else turns.push(turn)
  }
  return turns
}

function together(one: Turn, other: Turn): Turn {
  return { ...one, content: [one, other].flatMap(({ content }) => (typeof content === 'string' ? [] : content)) }
}

type Place = { readonly version: Version; readonly names: Map<string, string> }

function writeTurn(message: Message, { version, names }: Place): Turn {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system', content: message.content }
    case 'user':
      return { role: 'user', content: contentOf(message.content).map(part => writePart(part, version)) }
    case 'assistant':
      for (const { toolCallId, toolName } of message.toolCalls ?? []) names.set(toolCallId, toolName)
      return { role: 'assistant', content: writeAnswer(message) }
    default: {
      const { toolCallId, toolName = names.get(toolCallId) ?? 'tool', content } = message
      return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output: { type: 'text', value: content } }] }
    }
  }
}

function contentOf(content: string | readonly (TextPart | ImagePart)[]): readonly (TextPart | ImagePart)[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

function writePart(part: TextPart | ImagePart, version: Version): Part {
  if (part.type === 'text') return { type: 'text', text: part.text }
  const [, mediaType = 'image/*', base64] = /^data:([^;,]+);base64,(.*)$/s.exec(part.image) ?? []
  const data = base64 === undefined ? { type: 'url', url: new URL(part.image) } : { type: 'data', data: base64 }
  return { type: 'file', mediaType, data: version === 'v4' ? data : (data.url ?? data.data) }
}

/** Writes the reasoning with the service's metadata if it was kept, otherwise the reasoning alone. */
function writeAnswer(message: Message & { readonly role: 'assistant' }): readonly Part[] {
  const { content, reasoningText = '', toolCalls = [] } = message
  const { parts: kept, text: said } = (message.providerMetadata ?? {}) as Partial<TurnState>
  const thoughts: readonly Part[] = reasoningText === '' ? [] : [{ type: 'reasoning', text: reasoningText }]
  const options = said === undefined ? undefined : { providerOptions: said }
  const text: readonly Part[] = content === '' ? [] : [{ type: 'text', text: content, ...options }]
  const own: readonly Part[] = Array.isArray(kept) ? (kept as readonly Part[]) : thoughts
  return [...own, ...text, ...toolCalls.map(writeCall)]
}

function writeCall(call: ToolCall): Part {
  const { toolCallId, toolName, input, providerMetadata: providerOptions } = call
  return { type: 'tool-call', toolCallId, toolName, input, ...(providerOptions === undefined ? undefined : { providerOptions }) }
}
