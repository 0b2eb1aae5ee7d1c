import type { Dialect } from './chat-completions/dialect.ts'

/** Models that do not think, at services that hide the reasoning of others. The names are the same everywhere. */
const plain = /^(?:gpt-3|gpt-4|chatgpt-|gemini-1\.|gemini-2\.0)/

/** Clears `hidesReasoning` for a model that does not think and so has nothing to hide. */
export function withSilenceOf(dialect: Dialect, model: string): Dialect {
  const { capabilities } = dialect
  if (capabilities.hidesReasoning !== true || !plain.test(model)) return dialect
  return { ...dialect, capabilities: { ...capabilities, hidesReasoning: false } }
}
