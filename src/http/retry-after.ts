import type { ResponseHeaders } from '../contract.ts'
import { decimalMs, durationMs, isEpoch, untilMs } from './duration.ts'

export type RetryAfterOptions = {
  /** The request was refused by a limit (429): then a reset time without a word on what remains is that limit's. @default false */
  readonly isRefused?: boolean | undefined
  /** The one of several limits that the body names. Its reset counts, where nobody tells what remains. @default unknown */
  readonly limit?: 'tokens' | 'requests' | undefined
  /** The time that the body names for this request, in milliseconds. @default none */
  readonly said?: number | undefined
}

/**
 * How long the server asks us to stay away, in milliseconds from the receipt of its answer; undefined when it does not say.
 *
 * The first of these that says anything, because it is nearest to this request (F21):
 * 1. `retry-after-ms` and `retry-after` (seconds, also with a fraction, or an HTTP date); the latest of several, so that nothing is
 *    asked early. Where one is the other rounded up, the exact one counts;
 * 2. what the body says in words or fields;
 * 3. the reset time of every limit of which nothing remains: seconds, durations, epoch seconds or milliseconds, ISO 8601 (F22).
 *
 * No time is too long to be told. What is negative, past or unreadable is as good as absent.
 */
export function retryAfterMs(
  headers: ResponseHeaders,
  receivedAtEpochMs: number,
  { isRefused = false, limit, said }: RetryAfterOptions = {},
): number | undefined {
  // both dates come from one clock, so that it does not matter how wrong it goes, or ours
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

/** The later of the two; the exact one where the other is nothing but it, rounded up to whole seconds. */
function unrounded(exact: number | undefined, rounded: number | undefined, laterCounts = true): number | undefined {
  if (exact === undefined || rounded === undefined) return exact ?? rounded
  if (rounded % 1000 === 0 && rounded >= exact && rounded - exact < 1000 && rounded > 0) return exact
  return laterCounts ? Math.max(exact, rounded) : rounded
}

/** Seconds, or an HTTP date that is not in the past: RFC 9110, section 10.2.3; a fraction is what some servers send. */
function parseRetryAfter(value: string, now: number): number | undefined {
  // a point in time, taken for seconds, would be decades
  if (isEpoch(value)) return untilMs(value, now)
  const seconds = decimalMs(value, 1000)
  if (seconds !== undefined) return seconds
  const date = parseHttpDate(value)
  return date === undefined || date < now ? undefined : date - now
}

/** No duration has ten digits: that is a point in time, if anything. */
function durationUntil(value: string, now: number): number | undefined {
  if (/^\d{10}/.test(value)) return untilMs(value, now)
  return durationMs(value) ?? untilMs(value, now)
}

/** `x-ratelimit-reset-tokens`, `anthropic-ratelimit-requests-reset`, `ratelimit-reset`, `ratelimitbysize-reset`. */
const isReset = /rate-?limit.*reset/

/** The reset times of the limits of which nothing remains. While something remains, a reset is no reason to stay away. */
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

/** The resets that are about a refused request where what remains is not told: of a limit without a name, which is the only one, or of the named one. */
const untold = {
  unknown: /rate-?limit-reset(?:-after)?$/,
  tokens: /rate-?limit-reset(?:-after)?(?:-tokens)?$|-tokens-reset$/,
  requests: /rate-?limit-reset(?:-after)?(?:-requests)?$|-requests-reset$/,
}

/** The one field of the newer drafts: `limit=100, remaining=0, reset=30`, or `"minute";r=0;t=30`. */
function structuredResets(value: string): string[] {
  const spent = /\b(?:remaining|r)=0+(?!\d)/
  const parts = /\bremaining=/.test(value) ? [value] : value.split(',')
  return parts.flatMap(part => (spent.test(part) ? (/\b(?:reset|t)=(\d+)/.exec(part)?.slice(1) ?? []) : []))
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

/** Nobody joins more, and each costs time to be read. */
const mostJoined = 8

/** A proxy may have joined two headers to one; the comma inside a date does not divide. */
function splitList(value: string): string[] {
  return value.split(/,(?! \d\d [A-Z])/, mostJoined).map(part => part.trim())
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
