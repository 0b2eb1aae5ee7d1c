import type { ProviderEvent, ResponseHeaders, ToolCall, Usage } from '../../../../src/contract.ts'
import { type AnswerOptions, readAnswer } from '../../../../src/providers/chat-answer/read-answer.ts'
import { ProviderError } from '../../../../src/errors.ts'

export type Replay = { readonly events: readonly ProviderEvent[]; readonly error: ProviderError | undefined }

export type ReplayOptions = Partial<Omit<AnswerOptions, 'emit'>> & {
  readonly headers?: ResponseHeaders
}

/** Gives an answer to the reader in these pieces, as bytes that are decoded on the way like a body's. */
export function replay(pieces: readonly Uint8Array[], options: ReplayOptions = {}): Replay {
  const events: ProviderEvent[] = []
  const emit = (event: ProviderEvent) => events.push(event) > 0
  const reader = readAnswer({ status: 200, headers: {}, ...options, emit })
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  try {
    for (const piece of pieces) {
      const text = decoder.decode(piece, { stream: true })
      if (text !== '') reader.write(text)
    }
    reader.end()
    return { events, error: undefined }
  } catch (error) {
    // R115: whatever a server sends, nothing else is ever thrown
    if (!ProviderError.isInstance(error)) throw error
    return { events, error }
  }
}

export function replayText(text: string, options?: ReplayOptions): Replay {
  return replay([new TextEncoder().encode(text)], options)
}

/** A stream of these events, with `[DONE]` unless told otherwise. */
export function stream(...events: readonly unknown[]): string {
  return events.map(event => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('')
}

/** One chunk with this delta. */
export function delta(fields: object, finishReason: string | null = null): object {
  return { id: 'x', model: 'm', choices: [{ index: 0, delta: fields, finish_reason: finishReason }] }
}

/** What a caller would make of an answer; a field is there only when something came for it. */
export type Summary = {
  readonly text?: string
  readonly reasoning?: string
  readonly toolCalls?: readonly ToolCall[]
  readonly finish?: string
  readonly usage?: Usage
  readonly metadata?: readonly string[]
  readonly queued?: number
  readonly failure?: string
}

export function summaryOf({ events, error }: Replay): Summary {
  const joined = (type: 'text-delta' | 'reasoning-delta') => events.map(event => (event.type === type ? event.text : '')).join('')
  const toolCalls = events.flatMap(event => (event.type === 'tool-call' ? [withoutType(event)] : []))
  const queued = events.filter(event => event.type === 'queued').length
  const finish = events.find(event => event.type === 'finish')
  return {
    ...(joined('text-delta') === '' ? undefined : { text: joined('text-delta') }),
    ...(joined('reasoning-delta') === '' ? undefined : { reasoning: joined('reasoning-delta') }),
    ...(toolCalls.length === 0 ? undefined : { toolCalls }),
    ...(finish === undefined ? undefined : { finish: finish.finishReason }),
    ...(finish?.usage === undefined ? undefined : { usage: definedOf(finish.usage) }),
    ...(finish?.providerMetadata === undefined ? undefined : { metadata: Object.keys(finish.providerMetadata).toSorted() }),
    ...(queued === 0 ? undefined : { queued }),
    ...(error === undefined ? undefined : { failure: error.reason }),
  }
}

function withoutType({ toolCallId, toolName, input }: ToolCall): ToolCall {
  return { toolCallId, toolName, input }
}

function definedOf(usage: Usage): Usage {
  return Object.fromEntries(Object.entries(usage).filter(([, value]) => value !== undefined))
}
