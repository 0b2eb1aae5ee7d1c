import type { ResponseHeaders } from '../contract.ts'

/**
 * How long the server asks us to stay away, in milliseconds from the receipt of its answer; undefined when it does not say.
 *
 * Read are `retry-after-ms`, `retry-after` (seconds, also with a fraction, or an HTTP date) and, only where neither says
 * anything, `x-ratelimit-reset-*` of every limit of which nothing remains. Where several times are named the latest counts: nothing
 * is ever asked early, and no time is too long to be told (R92). What is negative, past or unreadable is as good as absent.
 */
export function retryAfterMs(headers: ResponseHeaders, receivedAtEpochMs: number): number | undefined {
  // both dates come from one clock, so that it does not matter how wrong it goes, or ours
  const now = parseHttpDate(valuesOf(headers['date'])[0] ?? '') ?? receivedAtEpochMs
  const named = latest([
    ...valuesOf(headers['retry-after-ms']).map(value => parseDecimal(value, 1)),
    ...valuesOf(headers['retry-after'])
      .flatMap(splitList)
      .map(value => parseRetryAfter(value, now)),
  ])
  return named ?? latest(exhaustedLimits(headers).map(parseDuration))
}

/** Seconds, or an HTTP date that is not in the past: RFC 9110, section 10.2.3; a fraction is what some servers send. */
function parseRetryAfter(value: string, now: number): number | undefined {
  const seconds = parseDecimal(value, 1000)
  if (seconds !== undefined) return seconds
  const date = parseHttpDate(value)
  return date === undefined || date < now ? undefined : date - now
}

/** The reset times of the limits of which nothing remains. While something remains, a reset is no reason to stay away. */
function exhaustedLimits(headers: ResponseHeaders): string[] {
  return Object.keys(headers)
    .filter(name => name.startsWith('x-ratelimit-reset'))
    .filter(name => valuesOf(headers[name.replace('reset', 'remaining')]).some(value => /^0+$/.test(value)))
    .flatMap(name => valuesOf(headers[name]))
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 0.001, ns: 0.000_001 }

/** `6m0s`, `1s`, `20ms`, `7.66s` as Go writes durations, or bare seconds. */
function parseDuration(value: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|ns))+$/.test(value)) return parseDelta(value)
  let sum = 0
  for (const [, count = '', unit = ''] of value.matchAll(/([\d.]+)(h|ms|m|s|us|ns)/g)) sum += Number(count) * (unitMs[unit] ?? 0)
  return wholeMs(sum)
}

/** A number this large is a point in time (some services send one), and of that the unit is anyone's guess: better not read. */
const earliestEpoch = 1_000_000_000

function parseDelta(value: string): number | undefined {
  return Number(value) < earliestEpoch ? parseDecimal(value, 1000) : undefined
}

function parseDecimal(value: string, factor: number): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(value) ? wholeMs(Number(value) * factor) : undefined
}

/** Rounded up, but not for what only floating point adds: 1.1 s are 1100 ms, not 1101. */
function wholeMs(value: number): number | undefined {
  return Number.isFinite(value) ? Math.ceil(Number(value.toFixed(3))) : undefined
}

/** Strictly the one form that RFC 9110 lets servers send: `Sun, 06 Nov 1994 08:49:37 GMT`; `toUTCString()` writes the same. */
function parseHttpDate(value: string): number | undefined {
  const time = Date.parse(value)
  return Number.isNaN(time) || new Date(time).toUTCString() !== value ? undefined : time
}

function valuesOf(header: string | readonly string[] | undefined): string[] {
  if (header === undefined) return []
  return (typeof header === 'string' ? [header] : header).map(value => value.trim())
}

/** A proxy may have joined two headers to one; the comma inside a date does not divide. */
function splitList(value: string): string[] {
  return value.split(/,(?! \d\d [A-Z])/).map(part => part.trim())
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
