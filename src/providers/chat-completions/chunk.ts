import type { TextField } from './same-shape.ts'

/**
 * One chunk of a stream, or a whole answer, as far as it is read. Nothing here is sure to be there or to have its type: servers send
 * `choices: null`, no `delta` on the last frame (osaurus-ai/osaurus#2150), `content: null` and worse.
 */
export type Chunk = {
  readonly id?: unknown
  readonly model?: unknown
  readonly choices?: unknown
  readonly usage?: unknown
  readonly error?: unknown
  readonly prompt_progress?: unknown
  readonly [key: string]: unknown
}

export type Choice = Part & {
  readonly index?: unknown
  readonly delta?: Part | null
  readonly message?: Part | null
  readonly finish_reason?: unknown
  /** Of OpenRouter and gateways like it: what the service behind it had said. */
  readonly native_finish_reason?: unknown
  readonly logprobs?: unknown
  readonly error?: unknown
  readonly usage?: unknown
}

export type Part = {
  readonly content?: unknown
  /** Of the older completions form, which fill-in-the-middle still has. */
  readonly text?: unknown
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
  readonly reasoning_details?: unknown
  readonly thinking?: unknown
  readonly refusal?: unknown
  readonly tool_calls?: unknown
  readonly function_call?: unknown
  readonly [key: string]: unknown
}

/** The first choice. With `n` above 1 a server interleaves several; the others are left alone. */
export function choiceOf(chunk: Chunk): Choice | undefined {
  const { choices } = chunk
  if (!Array.isArray(choices)) return undefined
  const choice = choices[0] as Choice | null | undefined
  if (typeof choice !== 'object' || choice === null) return undefined
  return typeof choice.index === 'number' && choice.index > 0 ? undefined : choice
}

/** The text of a chunk that holds one piece of text or of reasoning, and nothing else that is news. */
export function plainTextOf(chunk: Chunk): { readonly field: TextField; readonly text: string } | undefined {
  const choice = choiceOf(chunk)
  const delta = choice?.delta ?? undefined
  if (choice === undefined || delta === undefined || hasNews(chunk, choice)) return undefined
  let plain: { readonly field: TextField; readonly text: string } | undefined
  for (const [name, value] of Object.entries(delta)) {
    if (value === null || value === '' || name === 'role') continue
    const piece = pieceOf(name, value)
    if (plain !== undefined || piece === undefined) return undefined
    plain = piece
  }
  return plain
}

function hasNews(chunk: Chunk, choice: Choice): boolean {
  return [chunk.usage, chunk.error, choice.finish_reason, choice.logprobs, choice.usage].some(isPresent)
}

function pieceOf(name: string, text: unknown): { readonly field: TextField; readonly text: string } | undefined {
  if (name !== 'content' && name !== 'reasoning_content' && name !== 'reasoning') return undefined
  return typeof text === 'string' ? { field: name, text } : undefined
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}

/**
 * The reasoning of one delta, in any dialect; the first field that has any counts, because servers that fill two put the same text
 * into both (TensorRT-LLM, OpenRouter).
 */
export function reasoningOf(part: Part): string {
  const { reasoning_content: content, reasoning, thinking, reasoning_details: details } = part
  if (typeof content === 'string' && content !== '') return content
  if (typeof reasoning === 'string' && reasoning !== '') return reasoning
  if (Array.isArray(details) && details.length > 0) return details.map(textOfPart).join('')
  return typeof thinking === 'string' ? thinking : ''
}

export function isReasoningPart(part: unknown): boolean {
  const type = typeOf(part)
  return type === 'thinking' || type.startsWith('reasoning')
}

/** The text of one part of a list: `{ text }`, `{ thinking }` (a string, or parts again), `{ summary }`, or a bare string. */
export function textOfPart(part: unknown): string {
  if (typeof part === 'string') return part
  if (typeof part !== 'object' || part === null) return ''
  const { text, thinking, summary, reasoning }: { text?: unknown; thinking?: unknown; summary?: unknown; reasoning?: unknown } =
    part
  for (const value of [text, thinking, summary, reasoning]) {
    if (typeof value === 'string') return value
    if (Array.isArray(value)) return value.map(inner => (typeof inner === 'object' ? textOfPart(inner) : '')).join('')
  }
  return ''
}

function typeOf(part: unknown): string {
  return typeof part === 'object' && part !== null && 'type' in part && typeof part.type === 'string' ? part.type : ''
}

/** A piece of a stream, which is no whole answer. */
export function isPiece(chunk: Chunk): boolean {
  const delta: unknown = choiceOf(chunk)?.delta
  return typeof delta === 'object' && delta !== null
}
