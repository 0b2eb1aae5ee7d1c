import type { Price, PriceRule } from '../contract-targets.ts'

/**
 * Most of these holidays depend on the lunar calendar, and the government sets the days off each year. The ranges cover every
 * possible day in any year. Peak hours fall on the same date in UTC and in China.
 */
const chineseHolidays: NonNullable<PriceRule['mayNotHoldOn']> = [
  ['12-30', '01-03'], // New Year
  ['01-20', '02-28'], // Spring Festival: a week from the eve of the new moon between 21 January and 20 February
  ['04-03', '04-07'], // Qingming
  ['04-29', '05-06'], // Labour Day
  ['05-27', '06-27'], // Dragon Boat Festival
  ['09-07', '10-09'], // Mid-Autumn Festival and National Day
]

/**
 * US dollars per million tokens, from the vendors' pages in November 2026. These prices may be out of date; a target's option
 * `price` overrides them.
 */
export const prices: Readonly<Record<string, Price>> = {
  'deepseek-flash': doubledAtPeak({ input: 0.15, cachedInput: 0.003, output: 0.6 }),
  'deepseek-v4-flash': doubledAtPeak({ input: 0.15, cachedInput: 0.003, output: 0.6 }),
  'deepseek-v4-flash-vision-exp': doubledAtPeak({ input: 0.15, cachedInput: 0.003, output: 0.6 }),
  'deepseek-v4-pro': doubledAtPeak({ input: 0.66, cachedInput: 0.022, output: 1.98 }),
  'gpt-6-luna': dearerAbove272k({ input: 0.1, cachedInput: 0.01, output: 0.5 }),
  'gpt-5.6-luna': dearerAbove272k({ input: 0.2, cachedInput: 0.02, output: 1.2 }),
  'gpt-6-sol': dearerAbove272k({ input: 2, cachedInput: 0.2, output: 10 }),
  'gpt-6.1-sol': dearerAbove272k({ input: 2, cachedInput: 0.1, output: 10 }),
  'gpt-6-astra': dearerAbove272k({ input: 10, cachedInput: 1, output: 50 }),
}

type Rates = { readonly input: number; readonly cachedInput: number; readonly output: number }

/**
 * DeepSeek doubles its price at peak time: Monday to Friday, 01:00-04:00 and 06:00-10:00 UTC, except on public holidays in China.
 */
function doubledAtPeak({ input, cachedInput, output }: Rates): Price {
  const peak = { input: 2 * input, cachedInput: 2 * cachedInput, output: 2 * output }
  const days = { weekdays: [1, 2, 3, 4, 5], mayNotHoldOn: chineseHolidays, from: '2026-08-16T16:00:00Z' }
  const hours = [[1, 4] as const, [6, 10] as const]
  return { input, cachedInput, output, rules: hours.map(hoursUtc => ({ hoursUtc, ...days, ...peak })) }
}

/** OpenAI: above 272,000 input tokens, the whole request costs twice as much for input and 1.5 times as much for output. */
function dearerAbove272k({ input, cachedInput, output }: Rates): Price {
  const large = { aboveInputTokens: 272_000, input: 2 * input, cachedInput: 2 * cachedInput, output: 1.5 * output }
  return { input, cachedInput, output, rules: [large] }
}

/** A self-hosted server costs nothing per token. */
export const free: Price = { input: 0, cachedInput: 0, output: 0 }

export function priceOf(model: string): Price | undefined {
  return Object.hasOwn(prices, model) ? prices[model] : undefined
}
