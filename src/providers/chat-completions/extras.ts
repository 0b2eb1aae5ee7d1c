import type { Chunk } from './chunk.ts'
import { choiceOf } from './chunk.ts'

export type Extras = {
  /** Looks at a chunk that carries more than text. */
  add(chunk: Chunk): void
  set(name: string, value: unknown): void
  result(): { readonly [key: string]: unknown } | undefined
}

/** What a server sends beyond the common fields, for `providerMetadata`: nothing it says is dropped (R45). */
export function createExtras(): Extras {
  const found = new Map<string, unknown>()
  const logprobs = new Map<string, unknown[]>()

  const collect = (value: object | null | undefined, known: ReadonlySet<string>) => {
    if (value === null || value === undefined) return
    for (const [name, field] of Object.entries(value)) if (field !== null && !known.has(name)) found.set(name, field)
  }

  return {
    add(chunk) {
      const choice = choiceOf(chunk)
      collect(chunk, chunkFields)
      collect(choice, choiceFields)
      collect(choice?.delta ?? choice?.message, partFields)
      addLogprobs(choice?.logprobs, logprobs)
    },
    set: (name, value) => found.set(name, value),
    result() {
      if (logprobs.size > 0) found.set('logprobs', Object.fromEntries(logprobs))
      return found.size === 0 ? undefined : Object.fromEntries(found)
    },
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
