import type { Price } from '../contract.ts'

/**
 * US dollars per million tokens, as the vendors' pages showed them in November 2026. Data, and it grows old: the option `price` of a
 * target replaces it.
 */
export const prices: Readonly<Record<string, Price>> = {
  // DeepSeek doubles its prices at peak time (Monday to Friday 01:00-04:00 and 06:00-10:00 UTC, Chinese public holidays excepted).
  // These are the peak prices: a cost that is told is never too low, and a budget holds at every hour. Off-peak is half of it.
  'deepseek-flash': { input: 0.3, cachedInput: 0.006, output: 1.2 },
  'deepseek-v4-flash': { input: 0.3, cachedInput: 0.006, output: 1.2 },
  'deepseek-v4-flash-vision-exp': { input: 0.3, cachedInput: 0.006, output: 1.2 },
  'deepseek-v4-pro': { input: 1.32, cachedInput: 0.044, output: 3.96 },
  // OpenAI: above 272,000 tokens of input it is twice the input price and 1.5 times the output price.
  'gpt-6-luna': { input: 0.1, cachedInput: 0.01, output: 0.5 },
  'gpt-5.6-luna': { input: 0.2, output: 1.2 },
  'gpt-6-sol': { input: 2, output: 10 },
  'gpt-6-astra': { input: 10, output: 50 },
}

/** A server of one's own costs nothing per token. */
export const free: Price = { input: 0, cachedInput: 0, output: 0 }

export function priceOf(model: string): Price | undefined {
  return Object.hasOwn(prices, model) ? prices[model] : undefined
}
