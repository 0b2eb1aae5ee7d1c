import type { Dialect } from './chat-completions/dialect.ts'

/** Models of services that hide their reasoning, but that do not think at all. By the names that they have everywhere. */
const plain = /^(?:gpt-3|gpt-4|chatgpt-|gemini-1\.|gemini-2\.0)/

/** The dialect as this model speaks it: one that does not think has nothing to hide. */
export function withSilenceOf(dialect: Dialect, model: string): Dialect {
  const { capabilities } = dialect
  if (capabilities.hidesReasoning !== true || !plain.test(model)) return dialect
  return { ...dialect, capabilities: { ...capabilities, hidesReasoning: false } }
}
