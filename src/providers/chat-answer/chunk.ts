import { asObject, mostEncoded, parseJson } from '../json.ts'

/** A symbol, so that no field of a server has this name. */
export const ofLine = Symbol('line')

/**
 * One chunk of a stream, or a whole answer, before validation. No field is guaranteed to be present or to have its type: servers
 * send `choices: null`, no `delta` on the last frame (osaurus-ai/osaurus#2150), `content: null` and worse.
 */
export type Chunk = {
  readonly id?: unknown
  readonly model?: unknown
  readonly choices?: unknown
  readonly usage?: unknown
  readonly error?: unknown
  readonly prompt_progress?: unknown
  /** The chunk was a line in Ollama's own format, which says by itself whether it is the last one. */
  readonly [ofLine]?: 'more' | 'last' | undefined
  readonly [key: string]: unknown
}

export type Choice = Part & {
  readonly index?: unknown
  readonly delta?: Part | null
  readonly message?: Part | null
  readonly finish_reason?: unknown
  /** From OpenRouter and similar gateways: the finish reason of the upstream service. */
  readonly native_finish_reason?: unknown
  readonly logprobs?: unknown
  readonly error?: unknown
  readonly usage?: unknown
}

/** The fields that servers use for a piece of an answer. */
export type TextField = 'content' | 'reasoning_content' | 'reasoning'

export type Part = {
  readonly content?: unknown
  /** From the older completions format, which fill-in-the-middle still uses. */
  readonly text?: unknown
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
  readonly reasoning_details?: unknown
  readonly thinking?: unknown
  readonly reasoning_text?: unknown
  readonly refusal?: unknown
  readonly tool_calls?: unknown
  readonly function_call?: unknown
  readonly [key: string]: unknown
}

/** The first choice. With `n` above 1 a server interleaves several choices; the others are ignored. */
export function choiceOf(chunk: Chunk): Choice | undefined {
  const { choices } = chunk
  if (Array.isArray(choices) && choices.length > 1) return choices.slice(0, mostChoices).find(isFirst)
  // some gateways leave out the list
  const choice: unknown = Array.isArray(choices) ? choices[0] : choices
  return isFirst(choice) ? choice : undefined
}

/** More than any service gives at once. */
const mostChoices = 128

function isFirst(choice: unknown): choice is Choice {
  return typeof choice === 'object' && choice !== null && !(Number((choice as Choice).index) > 0)
}

/** The message of a choice that has no `delta`; a few servers write it as a bare text. */
export function messageOf(choice: Choice): Part {
  const { message } = choice
  return typeof message === 'string' ? { content: message } : (message ?? choice)
}

/**
 * What is new in a choice without a `delta` after the deltas brought text or reasoning: MiniMax repeats the whole message at the
 * end of a stream.
 */
export function newsOf(choice: Choice, { hasText, hasReasoning }: { hasText: boolean; hasReasoning: boolean }): Part {
  const text = hasText ? { content: undefined, text: undefined } : undefined
  const thought = { reasoning_content: undefined, reasoning: undefined, reasoning_details: undefined, thinking: undefined }
  return { ...(choice.message ?? choice), ...text, ...(hasReasoning ? thought : undefined) }
}

/** Whether the choice carries more than content. */
export function isRich(choice: Choice): boolean {
  return isPresent(choice.finish_reason) || isPresent(choice.logprobs)
}

/** Whether this is the frame that opens a message, before any content. */
export function isOpening({ delta, message }: Choice): boolean {
  return isPresent((delta ?? message)?.['role']) || delta?.content === ''
}

/** The tool calls of a part, some of which come without the list around them. An empty list is none. */
export function toolCallsIn({ tool_calls: calls }: Part): readonly unknown[] | undefined {
  if (typeof calls === 'string') return toolCallsIn({ tool_calls: parsedList(calls) })
  if (Array.isArray(calls)) return calls.length === 0 ? undefined : calls
  return asObject(calls) === undefined ? undefined : [calls]
}

/** A few gateways write the list as JSON in a text. */
function parsedList(text: string): unknown {
  if (!text.startsWith('[') || text.length > mostEncoded) return undefined
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

/** The text of a chunk that carries one piece of text or reasoning and nothing else of interest. */
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
  return [chunk.usage, chunk.error, chunk['finish_reason'], choice.finish_reason, choice.logprobs, choice.usage].some(isPresent)
}

function pieceOf(name: string, text: unknown): { readonly field: TextField; readonly text: string } | undefined {
  if (name !== 'content' && name !== 'reasoning_content' && name !== 'reasoning') return undefined
  return typeof text === 'string' ? { field: name, text } : undefined
}

export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}

/**
 * The reasoning in one delta, in any dialect. The first non-empty field wins, because servers that fill two fields put the same
 * text into both (TensorRT-LLM, OpenRouter).
 */
export function reasoningOf(part: Part): string {
  const { reasoning_content: content, reasoning, thinking, reasoning_details: details } = part
  if (typeof content === 'string' && content !== '') return content
  if (typeof reasoning === 'string' && reasoning !== '') return reasoning
  if (Array.isArray(details) && details.length > 0) return details.map(textOfPart).join('')
  if (typeof thinking === 'string') return thinking
  return typeof part.reasoning_text === 'string' ? part.reasoning_text : textOfPart(reasoning)
}

export function isReasoningPart(part: unknown): boolean {
  const type = typeOf(part)
  return type === 'thinking' || type.startsWith('reasoning')
}

/** The text of one list entry: `{ text }`, `{ thinking }` (a string, or nested entries), `{ summary }`, or a bare string. */
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

/** Whether a part may carry state that the service wants back. Runs for every part; nearly all have none. */
export function bringsState(part: Part): boolean {
  return (
    isPresent(part.reasoning_details) ||
    isPresent(part['extra_content']) ||
    isPresent(part['thinking_blocks']) ||
    isPresent(part['provider_specific_fields']) ||
    isPresent(part['thought_signature'])
  )
}

/** Whether the chunk is a piece of a stream rather than a whole answer. */
export function isPiece(chunk: Chunk): boolean {
  const delta: unknown = choiceOf(chunk)?.delta
  return typeof delta === 'object' && delta !== null
}

/**
 * Fields beyond the common ones, collected for `providerMetadata` so that nothing is lost (R45). Most answers have neither kind.
 */
export type Extras = {
  found: Map<string, unknown> | undefined
  logprobs: Map<string, unknown[]> | undefined
}

/** Collects the extra fields of a chunk. */
export function addExtras(extras: Extras, chunk: Chunk): void {
  const choice = choiceOf(chunk)
  collect(extras, chunk, chunkFields)
  collect(extras, choice, choiceFields)
  collect(extras, choice?.delta ?? choice?.message, partFields)
  if (choice?.logprobs === undefined || choice.logprobs === null) return
  extras.logprobs ??= new Map()
  addLogprobs(choice.logprobs, extras.logprobs)
}

export function setExtra(extras: Extras, name: string, value: unknown): void {
  extras.found ??= new Map()
  extras.found.set(name, value)
}

export function extrasResult(extras: Extras): { readonly [key: string]: unknown } | undefined {
  const { logprobs } = extras
  if (logprobs !== undefined && logprobs.size > 0) setExtra(extras, 'logprobs', Object.fromEntries(logprobs))
  return extras.found === undefined ? undefined : Object.fromEntries(extras.found)
}

function collect(extras: Extras, value: unknown, known: ReadonlySet<string>): void {
  const fields = asObject(value)
  for (const name in fields) {
    if (Object.hasOwn(fields, name) && fields[name] !== null && !known.has(name)) setExtra(extras, name, fields[name])
  }
}

const chunkFields = new Set([
  ...['id', 'object', 'created', 'model', 'choices', 'usage', 'error', 'prompt_progress', 'obfuscation', 'finish_reason'],
])
const partFields = new Set([
  ...[
    'role',
    'name',
    'content',
    'text',
    'reasoning_content',
    'reasoning',
    'reasoning_details',
    'reasoning_text',
    'thinking',
    'refusal',
  ],
  ...['tool_calls', 'function_call', 'index', 'finish_reason', 'usage'],
])
const choiceFields = new Set([...partFields, 'delta', 'message', 'finish_reason', 'logprobs', 'error', 'usage'])

/** Each chunk carries the log probabilities of its own tokens: `content`, plus `reasoning_content` at DeepSeek. */
function addLogprobs(logprobs: unknown, all: Map<string, unknown[]>): void {
  if (typeof logprobs !== 'object' || logprobs === null) return
  for (const [field, tokens] of Object.entries(logprobs)) {
    if (!Array.isArray(tokens)) continue
    const earlier = all.get(field) ?? []
    for (const token of tokens) earlier.push(token)
    all.set(field, earlier)
  }
}

/** The first half of a surrogate pair whose second half has not arrived yet. */
export type Halves = { text: string; thought: string }

/**
 * Some servers split a surrogate pair between two chunks (F62). The first half is held back until the second arrives, so that
 * each event can be displayed on its own. Returns the complete characters.
 */
export function wholeCharacters(halves: Halves, channel: keyof Halves, part: string): string {
  // the hot path of every token: no state is written
  if (halves[channel] === '' && !endsInHalf(part)) return part
  const text = halves[channel] === '' ? part : halves[channel] + part
  const isHalf = endsInHalf(text)
  halves[channel] = isHalf ? text.slice(-1) : ''
  return isHalf ? text.slice(0, -1) : text
}

export function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}

/** Replaces a half whose second half never came: U+FFFD, or an empty string when no half is held. */
export function restOf(halves: Halves, channel: keyof Halves): string {
  const rest = halves[channel] === '' ? '' : '\uFFFD'
  halves[channel] = ''
  return rest
}
