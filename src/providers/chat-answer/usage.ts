import type { Usage } from '../../contract.ts'
import { asObject } from '../json.ts'
import type { Choice, Chunk } from './chunk.ts'

type Fields = { readonly [key: string]: unknown }

/**
 * The token counts of an answer. A count that the server does not report stays undefined: a 0 would be taken as a fact.
 *
 * Cached input is in `prompt_tokens_details.cached_tokens` (OpenAI, vLLM, llama-server) or `prompt_cache_hit_tokens` (DeepSeek),
 * reasoning in `completion_tokens_details.reasoning_tokens` or at the top level (SGLang).
 */
export function usageOf(raw: unknown): Usage | undefined {
  const usage = asObject(raw)
  if (usage === undefined) return undefined
  const input = asObject(usage['prompt_tokens_details'] ?? usage['input_tokens_details'])
  const output = asObject(usage['completion_tokens_details'] ?? usage['output_tokens_details'])
  const counts: Usage = {
    inputTokens: count(usage['prompt_tokens']) ?? count(usage['input_tokens']),
    cachedInputTokens: count(input?.['cached_tokens']) ?? cachedIn(usage),
    outputTokens: count(usage['completion_tokens']) ?? count(usage['output_tokens']),
    reasoningTokens: count(output?.['reasoning_tokens']) ?? count(usage['reasoning_tokens']),
    totalTokens: count(usage['total_tokens']),
  }
  return hasCount(counts) ? counts : otherwiseSpelt(usage)
}

function hasCount(counts: Usage): boolean {
  return Object.values(counts).some(value => value !== undefined)
}

function cachedIn(usage: Fields): number | undefined {
  return firstCount(usage, ['prompt_cache_hit_tokens', 'cached_tokens', 'cache_read_input_tokens'])
}

function firstCount(usage: Fields, names: readonly string[]): number | undefined {
  return names.map(name => count(usage[name])).find(tokens => tokens !== undefined)
}

/** The names in camel case (gateways in JavaScript, Bedrock), and those of Gemini, whose output does not include the thoughts. */
function otherwiseSpelt(usage: Fields): Usage | undefined {
  const input = asObject(usage['promptTokensDetails'] ?? usage['inputTokensDetails']) ?? {}
  const output = asObject(usage['completionTokensDetails'] ?? usage['outputTokensDetails']) ?? {}
  const thoughts = count(usage['thoughtsTokenCount'])
  const said = count(usage['candidatesTokenCount'])
  const counts: Usage = {
    inputTokens: firstCount(usage, ['promptTokens', 'inputTokens', 'promptTokenCount', 'inputTokenCount']),
    cachedInputTokens:
      count(input['cachedTokens']) ??
      firstCount(usage, ['cachedInputTokens', 'cachedTokens', 'cacheReadInputTokens', 'cachedContentTokenCount']),
    outputTokens:
      said === undefined ? firstCount(usage, ['completionTokens', 'outputTokens', 'outputTokenCount']) : said + (thoughts ?? 0),
    reasoningTokens: count(output['reasoningTokens']) ?? count(usage['reasoningTokens']) ?? thoughts,
    totalTokens: firstCount(usage, ['totalTokens', 'totalTokenCount']),
  }
  return hasCount(counts) ? counts : undefined
}

/**
 * The usage in a chunk, wherever the server put it: into the choice (Moonshot), into `delta` or `message`, into `x_groq`, or
 * under the name of Gemini or Bedrock.
 */
export function usageIn(chunk: Chunk, choice: Choice | undefined): Usage | undefined {
  const part = choice?.delta ?? choice?.message
  return usageOf(chunk.usage) ?? usageOf(choice?.usage) ?? usageOf(part?.['usage']) ?? usageBeside(chunk)
}

function usageBeside(chunk: Chunk): Usage | undefined {
  return (
    usageOf(asObject(chunk['x_groq'])?.['usage']) ??
    usageOf(asObject(chunk['metadata'])?.['usage']) ??
    usageOf(chunk['usageMetadata']) ??
    usageOf(chunk['amazon-bedrock-invocationMetrics'])
  )
}

/** Whether every count is zero or missing. Servers send zeros while they have no counts yet, or when they never count (F7). */
export function isNothing(usage: Usage): boolean {
  return Object.values(usage).every(value => value === undefined || value === 0)
}

/**
 * Merges two usage reports. Servers report running totals, or totals at the end only, or input first and output last. So the
 * latest value of each field wins, and an all-zero report never replaces real counts.
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
 * The usage of an answer with content. Such an answer cannot have cost nothing, so a 0 there means "not reported" (F7). The same
 * holds for reasoning tokens when there was reasoning: vLLM 0.32 reports 0.
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

/** Some gateways write numbers as text. */
function count(value: unknown): number | undefined {
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value)
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
