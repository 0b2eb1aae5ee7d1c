import type { ResponseHeaders } from '../contract.ts'

type RetryAfterOptions = {
  /** A limit refused the request (429): then a reset time without a `remaining` counts as that limit's. @default false */
  readonly isRefused?: boolean | undefined
  /** The limit that the body names. Its reset time counts if no header says what remains. @default unknown */
  readonly limit?: 'tokens' | 'requests' | undefined
  /** The time that the body names, in milliseconds. @default none */
  readonly said?: number | undefined
}

/**
 * Returns how long the server asks us to wait, in milliseconds from the receipt of its answer; undefined if it names no time.
 *
 * The first of these sources that names a time counts, because it is closest to this request (F21):
 * 1. `retry-after-ms` and `retry-after` (seconds, also with a fraction, or an HTTP date); the latest of several, so that no request is
 *    sent early. If one value is the other rounded up, the exact value counts;
 * 2. the time that the body names in words or fields;
 * 3. the reset time of every limit of which nothing remains: seconds, durations, epoch seconds or milliseconds, ISO 8601 (F22).
 *
 * Even a very long time is returned. A value that is negative, past or unreadable counts as absent.
 */
export function retryAfterMs(
  headers: ResponseHeaders,
  receivedAtEpochMs: number,
  { isRefused = false, limit, said }: RetryAfterOptions = {},
): number | undefined {
  // Both dates come from the server's clock, so the result is right even if that clock, or ours, is wrong.
  const now = parseHttpDate(valuesOf(headers['date'])[0] ?? '') ?? receivedAtEpochMs
  const exact = latest(msNames.flatMap(name => valuesOf(headers[name])).map(value => decimalMs(value, 1)))
  const rounded = latest(
    valuesOf(headers['retry-after'])
      .flatMap(splitList)
      .map(value => parseRetryAfter(value, now)),
  )
  const named = unrounded(exact, rounded)
  if (named !== undefined) return unrounded(said, named, false)
  return (
    said ?? latest(resetsOf(headers, isRefused ? untold[limit ?? 'unknown'] : undefined).map(value => durationUntil(value, now)))
  )
}

const msNames = ['retry-after-ms', 'x-ms-retry-after-ms']

/** Returns the later of two times, or the exact one if the other is the same time rounded up to whole seconds. */
function unrounded(exact: number | undefined, rounded: number | undefined, laterCounts = true): number | undefined {
  if (exact === undefined || rounded === undefined) return exact ?? rounded
  if (rounded % 1000 === 0 && rounded >= exact && rounded - exact < 1000) return exact
  return laterCounts ? Math.max(exact, rounded) : rounded
}

/** Parses seconds, or an HTTP date that is not in the past: RFC 9110, section 10.2.3. Some servers send fractions of a second. */
function parseRetryAfter(value: string, now: number): number | undefined {
  // Epoch seconds must not be read as a duration: they would mean decades.
  if (isEpoch(value)) return untilMs(value, now)
  const seconds = decimalMs(value, 1000)
  if (seconds !== undefined) return seconds
  const date = parseHttpDate(value)
  return date === undefined || date < now ? undefined : date - now
}

/** No duration has ten digits: such a value can only be a point in time. */
function durationUntil(value: string, now: number): number | undefined {
  if (/^\d{10}/.test(value)) return untilMs(value, now)
  return durationMs(value) ?? untilMs(value, now)
}

/** `x-ratelimit-reset-tokens`, `anthropic-ratelimit-requests-reset`, `ratelimit-reset`, `ratelimitbysize-reset`. */
const isReset = /rate-?limit.*reset/

/** Returns the reset times of exhausted limits. While something of a limit remains, its reset gives no reason to wait. */
function resetsOf(headers: ResponseHeaders, isUntold: RegExp | undefined): string[] {
  const names = Object.keys(headers)
  const spent = names.filter(name => isReset.test(name) && isSpent(headers, name, isUntold))
  return [...spent.flatMap(name => valuesOf(headers[name])), ...valuesOf(headers['ratelimit']).flatMap(structuredResets)]
}

function isSpent(headers: ResponseHeaders, name: string, isUntold: RegExp | undefined): boolean {
  const remaining = valuesOf(headers[name.replace(/reset(?:-after)?/, 'remaining')])
  if (remaining.length > 0) return remaining.some(value => /^0+(?:\.0+)?$/.test(value))
  return isUntold?.test(name) === true
}

/** Resets that count for a refused request without a `remaining` header: that of the one limit without a name, or that of the named limit. */
const untold = {
  unknown: /rate-?limit-reset(?:-after)?$/,
  tokens: /rate-?limit-reset(?:-after)?(?:-tokens)?$|-tokens-reset$/,
  requests: /rate-?limit-reset(?:-after)?(?:-requests)?$|-requests-reset$/,
}

/** Reads the single field of the newer drafts: `limit=100, remaining=0, reset=30`, or `"minute";r=0;t=30`. */
function structuredResets(value: string): string[] {
  const spent = /\b(?:remaining|r)=0+(?!\d)/
  const parts = /\bremaining=/.test(value) ? [value] : value.split(',')
  return parts.flatMap(part => (spent.test(part) ? (/\b(?:reset|t)=(\d+)/.exec(part)?.slice(1) ?? []) : []))
}

/** Accepts only the form that RFC 9110 lets servers send: `Sun, 06 Nov 1994 08:49:37 GMT`. `toUTCString()` writes that form. */
function parseHttpDate(value: string): number | undefined {
  const time = Date.parse(value)
  return Number.isNaN(time) || new Date(time).toUTCString() !== value ? undefined : time
}

function valuesOf(header: string | readonly string[] | undefined): string[] {
  if (header === undefined) return []
  return (typeof header === 'string' ? [header] : header).map(value => value.trim())
}

/** The most joined values that are read: no proxy joins more, and each value costs time. */
const mostJoined = 8

/** A proxy may have joined two headers into one. The comma inside a date does not separate them. */
function splitList(value: string): string[] {
  return value.split(/,(?! \d\d [A-Z])/, mostJoined).map(part => part.trim())
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

const unitMs: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
}

/** Parses `6m0s`, `1s`, `20ms`, `7.66s`, `1d2h` as Go writes durations, or bare seconds. Returns whole milliseconds, rounded up. */
export function durationMs(value: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:d|h|ms|m|s|us|µs|ns))+$/.test(value)) return decimalMs(value, 1000)
  let sum = 0
  for (const [, count = '', unit = ''] of value.matchAll(/([\d.]+)(d|h|ms|m|s|us|µs|ns)/g))
    sum += Number(count) * (unitMs[unit] ?? 0)
  return wholeMs(sum)
}

function decimalMs(value: string, factor: number): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(value) ? wholeMs(Number(value) * factor) : undefined
}

/** Rounds up, but ignores floating-point errors: 1.1 s are 1100 ms, not 1101. */
function wholeMs(value: number): number | undefined {
  return Number.isFinite(value) ? Math.ceil(Number(value.toFixed(3))) : undefined
}

/** A number from here on is a point in time, not a duration: epoch seconds, or milliseconds from a hundred times this number on (F22). */
const leastEpochSeconds = 1_000_000_000
const leastEpochMs = 100_000_000_000
/** A number above this is neither: it may be microseconds or a serial number. */
const mostEpochMs = 100_000_000_000_000

/** Returns the time until a moment given in epoch seconds or milliseconds, or in ISO 8601 with a zone; undefined if it is past or invalid. */
export function untilMs(value: string, now: number): number | undefined {
  const at = epochOf(value) ?? isoOf(value)
  return at === undefined || at < now ? undefined : wholeMs(at - now)
}

function isEpoch(value: string): boolean {
  return epochOf(value) !== undefined
}

function epochOf(value: string): number | undefined {
  const number = /^\d{10,15}(?:\.\d+)?$/.test(value) ? Number(value) : 0
  if (number < leastEpochSeconds || number > mostEpochMs) return undefined
  return number < leastEpochMs ? number * 1000 : number
}

/** Without a zone the moment would be ambiguous. */
function isoOf(value: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/i.test(value)) return undefined
  const at = Date.parse(value.replace(' ', 'T'))
  return Number.isNaN(at) ? undefined : at
}
