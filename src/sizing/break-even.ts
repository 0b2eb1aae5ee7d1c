import { apis, pricePerMillionOut, secondsPerMonth, usualRatio } from './apis.ts'
import type { Plan } from './plan.ts'
import type { Range } from './speed.ts'

/** The output rate at which your own GPUs cost as much as an API. */
export type BreakEven = {
  /** The API's model. */
  readonly api: string
  /** The average rate, day and night. */
  readonly outputTokensPerSecond: number
  readonly outputTokensPerMonth: number
  readonly verdict: Verdict
}

export type Verdict =
  /** The rate is above everything that this deployment can reach. */
  | 'does not pay'
  /** The rate is within the range that the deployment may reach, so measure first. */
  | 'pays only when it is loaded day and night'
  /** The rate is below the range that the deployment reaches. */
  | 'pays from there on'

/** Returns an empty list if no price of the GPUs is known. */
export function breakEvenOf({ gpu, count, options }: Plan, total: Range): readonly BreakEven[] {
  const { inputTokens, outputTokens, cacheHits = 0 } = options
  const pricePerHour = options.pricePerHour ?? gpu.pricePerHour
  if (pricePerHour === undefined) return []
  const ratio = inputTokens === undefined || outputTokens === undefined ? usualRatio : inputTokens / outputTokens
  return apis.map(api => {
    const perMillion = pricePerMillionOut(api, { ratio, cacheHits })
    const outputTokensPerSecond = ((count * pricePerHour) / (3_600 * perMillion)) * 1e6
    const outputTokensPerMonth = outputTokensPerSecond * secondsPerMonth
    return { api: api.name, outputTokensPerSecond, outputTokensPerMonth, verdict: verdictOn(outputTokensPerSecond, total) }
  })
}

function verdictOn(needed: number, [low, high]: Range): Verdict {
  if (needed > high) return 'does not pay'
  return needed > low ? 'pays only when it is loaded day and night' : 'pays from there on'
}
