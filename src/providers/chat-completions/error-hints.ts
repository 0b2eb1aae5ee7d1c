/** What servers say in words and not in fields: a concurrency limit, when to come back. Numbers of tokens: `failure-numbers.ts`. */

/** "... exceeds your concurrency limit of 25 based on your remaining balance": DeepSeek tells the limit of an account nowhere else. */
export function concurrencyLimitIn(text: string): number | undefined {
  return firstNumber(text, [/concurren\w{1,3}(?: request)? limit (?:of|is|:) ?(\d+)/i, /limit of (\d+) concurrent/i])
}

/** "Please try again in 41.724s", "in 6m0s", "retry after 30 seconds": in milliseconds. */
export function retryHintMs(text: string): number | undefined {
  const hint = /\b(?:again|retry|wait)\b[^\d\n]{0,24}?((?:\d+(?:\.\d+)?\s?[a-z]+\s?){1,4})/i.exec(text)?.[1]
  if (hint === undefined) return undefined
  let totalMs: number | undefined
  for (const [, amount, unit = ''] of hint.matchAll(/(\d+(?:\.\d+)?)\s?([a-z]+)/gi)) {
    const unitMs = units.find(([name]) => name.test(unit))?.[1]
    if (unitMs === undefined) break
    totalMs = (totalMs ?? 0) + Number(amount) * unitMs
  }
  return totalMs === undefined ? undefined : Math.ceil(totalMs)
}

const units: readonly (readonly [RegExp, number])[] = [
  [/^(?:ms|milliseconds?)$/i, 1],
  [/^(?:s|secs?|seconds?)$/i, 1_000],
  [/^(?:m|mins?|minutes?)$/i, 60_000],
  [/^(?:h|hrs?|hours?)$/i, 3_600_000],
  [/^(?:d|days?)$/i, 86_400_000],
]

function firstNumber(text: string, patterns: readonly RegExp[]): number | undefined {
  for (const pattern of patterns) {
    const digits = pattern.exec(text)?.[1]?.replaceAll(',', '')
    if (digits !== undefined) return Number(digits)
  }
  return undefined
}
