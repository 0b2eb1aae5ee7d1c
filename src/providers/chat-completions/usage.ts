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

/** Nothing was counted: so servers fill the field that have no figures yet, or none at all (F7). */
export function isNothing(usage: Usage): boolean {
  return Object.values(usage).every(value => value === undefined || value === 0)
}

/**
 * What is known after two reports. They count up, or tell the whole at the end, or tell input first and output last: so each figure is
 * the one that came last, and zeros say nothing against figures.
 */
export function laterUsage(earlier: Usage | undefined, later: Usage): Usage {
  if (earlier === undefined || isNothing(earlier)) return later
  if (isNothing(later)) return earlier
  return {
    inputTokens: figure(later.inputTokens) ?? earlier.inputTokens,
    cachedInputTokens: later.cachedInputTokens ?? earlier.cachedInputTokens,
    outputTokens: figure(later.outputTokens) ?? earlier.outputTokens,
    reasoningTokens: later.reasoningTokens ?? earlier.reasoningTokens,
    totalTokens: figure(later.totalTokens) ?? earlier.totalTokens,
  }
}

/**
 * The figures of an answer that holds something: no such answer costs nothing, so what is 0 there was not reported (F7). Nor was the
 * thought of one that holds a thought: vLLM 0.32 says 0 of it.
 */
export function reportedUsage(given: Usage | undefined, hasReasoning: boolean): Usage | undefined {
  if (given === undefined || isNothing(given)) return undefined
  const usage = hasReasoning && given.reasoningTokens === 0 ? { ...given, reasoningTokens: undefined } : given
  if (usage.inputTokens !== 0 && usage.outputTokens !== 0 && usage.totalTokens !== 0) return usage
  const { inputTokens, outputTokens, totalTokens } = usage
  return {
    ...usage,
    inputTokens: figure(inputTokens),
    outputTokens: figure(outputTokens),
    totalTokens: figure(totalTokens),
  }
}

function figure(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
