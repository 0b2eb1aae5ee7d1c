import type { Chunk } from './chunk.ts'
import { choiceOf } from './chunk.ts'
import { asObject } from './parse-json.ts'

/** What a server sends beyond the common fields, for `providerMetadata`: nothing it says is dropped (R45). Most answers have neither. */
export type Extras = {
  found: Map<string, unknown> | undefined
  logprobs: Map<string, unknown[]> | undefined
}

/** Looks at a chunk that carries more than text. */
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

const chunkFields = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'error', 'prompt_progress', 'obfuscation'])
const partFields = new Set([
  ...['role', 'name', 'content', 'text', 'reasoning_content', 'reasoning', 'reasoning_details', 'thinking', 'refusal'],
  ...['tool_calls', 'function_call', 'index'],
])
const choiceFields = new Set([...partFields, 'delta', 'message', 'finish_reason', 'logprobs', 'error', 'usage'])

/** Every chunk brings the log probabilities of its own tokens: `content`, and DeepSeek's `reasoning_content` beside it. */
function addLogprobs(logprobs: unknown, all: Map<string, unknown[]>): void {
  if (typeof logprobs !== 'object' || logprobs === null) return
  for (const [field, tokens] of Object.entries(logprobs)) {
    if (!Array.isArray(tokens)) continue
    const earlier = all.get(field) ?? []
    for (const token of tokens) earlier.push(token)
    all.set(field, earlier)
  }
}
