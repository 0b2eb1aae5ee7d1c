/** Off-peak prices of DeepSeek's API in US dollars per million tokens. Prices double at peak time, which is seven hours of each weekday. */
export type Api = {
  readonly name: string
  readonly input: number
  readonly cachedInput: number
  readonly output: number
}

export const apiSource = 'api-docs.deepseek.com, pricing, off-peak (2026-11-30)'

export const apis: readonly Api[] = [
  { name: 'deepseek-flash', input: 0.15, cachedInput: 0.003, output: 0.6 },
  { name: 'deepseek-v4-pro', input: 0.66, cachedInput: 0.022, output: 1.98 },
]

/** The default number of input tokens per output token. */
export const usualRatio = 4

/** The seconds of a month of 365 / 12 days. */
export const secondsPerMonth = 2_628_000

/** Returns the price of a million output tokens, including their input. */
export function pricePerMillionOut(api: Api, { ratio, cacheHits }: { ratio: number; cacheHits: number }): number {
  return api.output + ratio * (cacheHits * api.cachedInput + (1 - cacheHits) * api.input)
}
