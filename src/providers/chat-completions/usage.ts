import type { Usage } from '../../contract.ts'
import { asObject } from './parse-json.ts'

/**
 * The token counts of an answer. What the server does not report stays undefined: a 0 would be counted as a fact.
 *
 * Cached input stands in `prompt_tokens_details.cached_tokens` (OpenAI, vLLM, llama-server) or `prompt_cache_hit_tokens` (DeepSeek),
 * reasoning in `completion_tokens_details.reasoning_tokens` or at the top (SGLang).
 */
export function usageOf(raw: unknown): Usage | undefined {
  const usage = asObject(raw)
  if (usage === undefined) return undefined
  const input = asObject(usage['prompt_tokens_details'] ?? usage['input_tokens_details'])
  const output = asObject(usage['completion_tokens_details'] ?? usage['output_tokens_details'])
  const counts: Usage = {
    inputTokens: count(usage['prompt_tokens']) ?? count(usage['input_tokens']),
    cachedInputTokens:
      count(input?.['cached_tokens']) ?? count(usage['prompt_cache_hit_tokens']) ?? count(usage['cached_tokens']),
    outputTokens: count(usage['completion_tokens']) ?? count(usage['output_tokens']),
    reasoningTokens: count(output?.['reasoning_tokens']) ?? count(usage['reasoning_tokens']),
    totalTokens: count(usage['total_tokens']),
  }
  return Object.values(counts).every(value => value === undefined) ? undefined : counts
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
