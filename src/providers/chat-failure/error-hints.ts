import { untilMs } from '../../http/retry-after.ts'

/**
 * Hints that servers give in text and not in fields: a concurrency limit, when to retry. For token counts see
 * `failure-numbers.ts`.
 */

/**
 * "... exceeds your concurrency limit of 25 based on your remaining balance". DeepSeek reports an account's limit nowhere else.
 */
export function concurrencyLimitIn(text: string): number | undefined {
  return firstNumber(text, [/concurren\w{1,3}(?: request)? limit (?:of|is|:) ?(\d+)/i, /limit of (\d+) concurrent/i])
}

/**
 * The retry delay in a text, in milliseconds: "Please try again in 41.724s", "in 6m0s", "retry after 30 seconds", "in a minute",
 * "resets in 1 hour and 5 minutes", "30 秒后重试", or a time with its zone: "resets at 2026-11-30 20:00:00 UTC".
 */
export function retryHintMs(said: string, now: number = Date.now()): number | undefined {
  const text = said
    .replace(/(?<=\b(?:in|for|after|wait) )(?:an?|one) (?=(?:second|minute|hour|day)\b)/gi, '1 ')
    .replace(/(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g, digits => digits.replaceAll(',', ''))
  const hint =
    /\b(?:again|retry|wait|resets?|(?:available|(?<!\b(?:requests|calls|tokens|messages|are) )allowed) in|back off for)\b[^\d\n]{0,24}?((?:\d+(?:\.\d+)?\s?[a-zµ]+(?:,? and |, | )?){1,4})/i.exec(
      text,
    )?.[1]
  return (
    sumOf(hint) ??
    sumOf(/((?:\d+(?:\.\d+)?\s?(?:毫秒|秒钟?|分钟?|小时|天)){1,4})[之以]?[后後]/.exec(text)?.[1]) ??
    sumOf(/等[待候]\s?((?:\d+(?:\.\d+)?\s?(?:毫秒|秒钟?|分钟?|小时|天)){1,4})/.exec(text)?.[1]) ??
    clockIn(text) ??
    momentIn(text, now)
  )
}

function sumOf(hint: string | undefined): number | undefined {
  let totalMs: number | undefined
  for (const [, amount, unit = ''] of (hint ?? '').matchAll(/(\d+(?:\.\d+)?)\s?([a-zµ]+|[^\s\d]+)/gi)) {
    const unitMs = units.find(([name]) => name.test(unit))?.[1]
    if (unitMs === undefined) break
    totalMs = (totalMs ?? 0) + Number(amount) * unitMs
  }
  return totalMs === undefined ? undefined : Math.ceil(totalMs)
}

/** Azure's API Management: "Quota will be replenished in 12:34:56." */
function clockIn(text: string): number | undefined {
  const [, hours, minutes, seconds] = /\b(?:again|retry|wait|resets?|replenished) in (\d{1,3}):(\d\d):(\d\d)\b/i.exec(text) ?? []
  return hours === undefined ? undefined : ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000
}

/** Accepts only a time with a zone: without one, the moment is ambiguous. */
function momentIn(text: string, now: number): number | undefined {
  const [, moment = '', zone = ''] =
    /\b(?:again|retry|until|resets?)\b[^\d\n]{0,32}?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|UTC|GMT|[+-]\d\d:?\d\d)/i.exec(
      text,
    ) ?? []
  return moment === '' ? undefined : untilMs(`${moment}${/^(?:utc|gmt)$/i.test(zone) ? 'Z' : zone}`, now)
}

const units: readonly (readonly [RegExp, number])[] = [
  [/^(?:ms|milliseconds?|毫秒)$/i, 1],
  [/^(?:s|secs?|seconds?|秒钟?)$/i, 1_000],
  [/^(?:m|mins?|minutes?|分钟?)$/i, 60_000],
  [/^(?:h|hrs?|hours?|小时)$/i, 3_600_000],
  [/^(?:d|days?|天)$/i, 86_400_000],
]

/** The kind of limit that refused the request: "... on tokens per min (TPM): ..." or OpenAI's type `requests`. */
export function limitIn({ message, upstream, type }: Said): 'tokens' | 'requests' | undefined {
  const words = `${message} ${upstream}`
  const isTokens = type === 'tokens' || /\btokens? per\b|\bTP[MD]\b/i.test(words)
  const isRequests = type === 'requests' || /\brequests? per\b|\bRP[MD]\b/i.test(words)
  if (isTokens === isRequests) return undefined
  return isTokens ? 'tokens' : 'requests'
}

type Said = { readonly message: string; readonly upstream: string; readonly type: string }

function firstNumber(text: string, patterns: readonly RegExp[]): number | undefined {
  for (const pattern of patterns) {
    const digits = pattern.exec(text)?.[1]?.replaceAll(',', '')
    if (digits !== undefined) return Number(digits)
  }
  return undefined
}
