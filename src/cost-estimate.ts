import type { Call, Message, Tool } from './contract.ts'
import type { AttemptRecord } from './contract-events.ts'
import type { Failure } from './contract-failures.ts'
import type { Price } from './contract-targets.ts'
import { isFree, perTokens } from './cost.ts'
import { dearestOf } from './cost/price-rules.ts'

/**
 * Returns the maximum cost of a request in US dollars, at the most expensive hour of its price; undefined if the price is not known.
 *
 * @param at when it starts, in milliseconds since 1970; undefined: rules that have ended count too
 */
export function worstCostOf(price: Price | undefined, call: Call, at?: number): number | undefined {
  if (price === undefined) return undefined
  if (isFree(price)) return 0
  const tokens = inputTokensOf(call)
  const { input, output } = dearestOf(price, tokens, at)
  return (tokens * input + outputTokensOf(call) * output) / perTokens
}

type Called = { readonly attempts: readonly AttemptRecord[] }

/** Returns what is left of `maxCost` if these calls cost their maximum. Before the first call it is `maxCost` unchanged. */
export function leftAfter(calls: readonly Called[], maxCost: number | undefined): number | undefined {
  if (maxCost === undefined || calls.length === 0) return maxCost
  let left = maxCost
  for (const { attempts } of calls) for (const { cost, worstCost = 0 } of attempts) left -= cost ?? worstCost
  return Math.max(0, left)
}

/** The output tokens that are assumed for a call without `maxOutputTokens`. */
export const assumedOutputTokens = 4_096

/** Nearly every text has more UTF-8 bytes per token than this, so the estimate is rarely too low. */
const bytesPerToken = 3

/** More than services count for an image of usual size. The size of the image file says nothing about its tokens. */
const tokensPerImage = 2_000

function outputTokensOf({ maxOutputTokens = assumedOutputTokens }: Call): number {
  return Math.max(0, maxOutputTokens)
}

type Prompt = Pick<Call, 'messages' | 'tools'> & Partial<Pick<Call, 'output' | 'prefix'>>

/** Estimates, without a tokenizer, how many tokens the prompt has at most. */
export function inputTokensOf({ messages, tools, output, prefix }: Prompt): number {
  let bytes = output?.schema === undefined ? 0 : bytesOf(JSON.stringify(output.schema))
  let images = 0
  if (prefix !== undefined) bytes += bytesOf(prefix.text) + bytesOf(prefix.reasoningText)
  for (const [name, tool] of Object.entries(tools ?? {})) bytes += bytesOf(name) + bytesOfTool(tool)
  for (const message of messages) {
    bytes += bytesOfMessage(message)
    images += imagesOf(message)
  }
  return bytes / bytesPerToken + images * tokensPerImage
}

function bytesOfTool({ description = '', inputSchema }: Tool): number {
  return bytesOf(description) + bytesOf(JSON.stringify(inputSchema))
}

function bytesOfMessage(message: Message): number {
  if (message.role === 'user' && typeof message.content !== 'string') {
    return message.content.reduce((sum, part) => sum + (part.type === 'text' ? bytesOf(part.text) : 0), 0)
  }
  const text = bytesOf(message.content as string)
  if (message.role !== 'assistant') return text
  const calls = message.toolCalls === undefined ? '' : JSON.stringify(message.toolCalls)
  return text + bytesOf(message.reasoningText ?? '') + bytesOf(calls)
}

function imagesOf({ content }: Message): number {
  return typeof content === 'string' ? 0 : content.filter(part => part.type === 'image').length
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}

/**
 * Whether the failure is a refusal, which is not billed. A gateway may send a 5xx after its model has started, so a 5xx counts as a refusal
 * only if it names a time. Azure does bill requests that its content filter or the length limit refused.
 */
export function isRefusal(
  { reason, retryAfterMs }: Pick<Failure, 'reason' | 'retryAfterMs'>,
  status: number | undefined,
): boolean {
  if (status === undefined) return false
  if (reason === 'content-filter' || reason === 'context-length') return false
  if (status === 503 || status === 529) return retryAfterMs !== undefined
  return status >= 400 && status < 500 && status !== 408 && status !== 499
}
