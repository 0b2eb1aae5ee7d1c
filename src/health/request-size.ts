import type { Call, Usage } from '../contract.ts'
import { inputTokensOf } from '../cost-estimate.ts'

/** The parts of a call that determine the size of its request. */
export type Sized = Pick<Call, 'messages' | 'maxOutputTokens' | 'tools'> & Partial<Pick<Call, 'output' | 'prefix'>>

const charactersPerToken = 4
/** Most services count about this many tokens for an image. */
const tokensPerImage = 1_000

/** Estimates how many tokens a limit counts for a call. Compare the result only with other results of this function. */
export function tokensOf({ messages, maxOutputTokens = 0, tools }: Sized): number {
  const characters = messages.reduce((sum, { content }) => sum + charactersOf(content), tools === undefined ? 0 : lengthOf(tools))
  return Math.ceil(characters / charactersPerToken) + maxOutputTokens
}

function charactersOf(content: Call['messages'][number]['content']): number {
  if (typeof content === 'string') return content.length
  return content.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length : tokensPerImage * charactersPerToken), 0)
}

function lengthOf(tools: object): number {
  try {
    return JSON.stringify(tools).length
  } catch {
    return 0
  }
}

/** Estimates how many tokens a request uses, without a tokenizer. An answer without `maxOutputTokens` counts when its usage is known. */
export function estimateOf(call: Sized): number {
  return Math.ceil(inputTokensOf(call)) + (call.maxOutputTokens ?? 0)
}

/**
 * Returns the tokens that the server reported for a request. The estimate stands for what it did not report, and for a number that is no
 * count: a third-party provider may report any, and it must not give tokens back.
 */
export function reportedTokens(usage: Usage | undefined, estimate: number): number {
  const { inputTokens, outputTokens } = usage ?? {}
  if (outputTokens === undefined || !isCount(outputTokens)) return estimate
  if (inputTokens === undefined) return Math.max(estimate, outputTokens)
  return isCount(inputTokens) ? inputTokens + outputTokens : estimate
}

function isCount(tokens: number): boolean {
  return tokens >= 0 && tokens <= Number.MAX_SAFE_INTEGER
}
