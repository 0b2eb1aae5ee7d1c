/** What servers say in words and not in fields: numbers of an overflow, a concurrency limit, when to come back. */

/** How many tokens the model takes, and how many were asked for, where the text says so. */
export function contextNumbers(text: string): { contextTokens: number | undefined; requestedTokens: number | undefined } {
  return { contextTokens: firstNumber(text, limits), requestedTokens: requestedTokens(text) }
}

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

/** One line for each wording; the number is the group. */
const limits: readonly RegExp[] = [
  // DeepSeek, OpenAI, vLLM, SGLang: "maximum context length is 8192 tokens", "... of 4096 tokens", "... (4096 tokens)", "is only 4096"
  /(?:context|model|prompt) length(?: is| of)?(?: only)?:? \(?(\d[\d,]*)/i,
  // llama-server: "the available context size (2048 tokens)"
  /context (?:size|window)(?: is| of)?:? \(?(\d[\d,]*)/i,
  // OpenAI: "the configured limit of 272000 tokens"; SGLang: "the maximum allowed length (4090 tokens)"
  /(?:configured limit|allowed length|maximum number of tokens allowed)(?: is| of)? \(?(\d[\d,]*)/i,
  // SiliconFlow: "must be less than max_seq_len (65536)"; TGI: "must be <= 4096"
  /max_seq_len \((\d+)\)/i,
  /must be <= (\d+)/i,
  // Alibaba: "Range of input length should be [1, 30720]"
  /input length should be \[\d+, ?(\d+)\]/i,
  // Anthropic form: "prompt is too long: 208310 tokens > 200000 maximum"
  /> (\d+) maximum/,
  // OpenAI and Groq: "Request too large ... Limit 30000, Requested 41136"
  /\blimit:? (\d[\d,]*), requested/i,
]

/** Input and output together. */
const totals: readonly RegExp[] = [
  /requested (?:a total of )?(\d[\d,]*) tokens/i,
  /for a total of (?:at least )?(\d[\d,]*)/i,
  /\blimit:? \d[\d,]*, requested:? (\d[\d,]*)/i,
]

const inputs: readonly RegExp[] = [
  /(?:request|input|prompt) (?:length )?\((?:length )?(\d[\d,]*)(?: tokens)?\)/i,
  /resolved to (\d[\d,]*) input tokens/i,
  /(?:has|passed|contains(?: at least)?) (\d[\d,]*) (?:input )?tokens/i,
  /messages resulted in (\d[\d,]*) tokens/i,
  /prompt_tokens \((\d+)\)/i,
  /prompt is too long: (\d+)/i,
  /token count \((\d+)\)/i,
  /given: (\d+) \W?inputs/i,
]

/** The output that was asked for, where it is told apart from the input. */
const outputs: readonly RegExp[] = [
  /requested (\d[\d,]*) output tokens/i,
  /too large: (\d[\d,]*)/i,
  /and (\d+) \W?max_new_tokens/i,
]

function requestedTokens(text: string): number | undefined {
  const total = firstNumber(text, totals)
  if (total !== undefined) return total
  const input = firstNumber(text, inputs)
  return input === undefined ? undefined : input + (firstNumber(text, outputs) ?? 0)
}

function firstNumber(text: string, patterns: readonly RegExp[]): number | undefined {
  for (const pattern of patterns) {
    const digits = pattern.exec(text)?.[1]?.replaceAll(',', '')
    if (digits !== undefined) return Number(digits)
  }
  return undefined
}
