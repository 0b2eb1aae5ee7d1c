import type { Chunk } from './chunk.ts'
import { choiceOf } from './chunk.ts'
import { asObject } from './parse-json.ts'

export type Extras = {
  /** Looks at a chunk that carries more than text. */
  add(chunk: Chunk): void
  set(name: string, value: unknown): void
  result(): { readonly [key: string]: unknown } | undefined
}

/** What a server sends beyond the common fields, for `providerMetadata`: nothing it says is dropped (R45). */
export function createExtras(): Extras {
  // most answers have neither
  let found: Map<string, unknown> | undefined
  let logprobs: Map<string, unknown[]> | undefined

  const set = (name: string, field: unknown) => {
    found ??= new Map()
    found.set(name, field)
  }
  const collect = (value: unknown, known: ReadonlySet<string>) => {
    const fields = asObject(value)
    for (const name in fields) {
      if (Object.hasOwn(fields, name) && fields[name] !== null && !known.has(name)) set(name, fields[name])
    }
  }

  return {
    add(chunk) {
      const choice = choiceOf(chunk)
      collect(chunk, chunkFields)
      collect(choice, choiceFields)
      collect(choice?.delta ?? choice?.message, partFields)
      if (choice?.logprobs === undefined || choice.logprobs === null) return
      logprobs ??= new Map()
      addLogprobs(choice.logprobs, logprobs)
    },
    set,
    result() {
      if (logprobs !== undefined && logprobs.size > 0) set('logprobs', Object.fromEntries(logprobs))
      return found === undefined ? undefined : Object.fromEntries(found)
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
