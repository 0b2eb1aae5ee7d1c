import type { Price, PriceRule } from '../contract-targets.ts'

/** US dollars per million tokens, at one moment. */
export type Rates = { readonly input: number; readonly cachedInput?: number | undefined; readonly output: number }

/** When a request ran, in milliseconds since 1970. */
export type Span = { readonly startedAt: number; readonly endedAt: number }

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** The maximum number of periods examined for a long request: eight days of the built-in prices. */
const mostPeriods = 50

/** A period in which the same rules apply. */
type Period = { readonly from: number; readonly until: number; readonly rules: readonly Held[] }

/** `isUnsure`: it is uncertain whether the rule applies on this day. */
type Held = { readonly rule: PriceRule; readonly isUnsure: boolean }

/** Caches the last period of each price: a period lasts for hours, and computing it costs several microseconds. */
const periods = new WeakMap<Price, Period>()

/**
 * Returns every price that may apply to a request: usually one; more if it ran across a boundary, or on a day on which a rule is
 * uncertain.
 */
export function ratesOf(price: Price, inputTokens: number, { startedAt, endedAt }: Span): readonly Rates[] {
  if (price.rules === undefined) return [price]
  let period = periodAt(price, price.rules, startedAt)
  const found = ratesIn(period, price, inputTokens)
  for (let count = 1; period.until <= endedAt && count < mostPeriods; count += 1) {
    period = periodAt(price, price.rules, period.until)
    found.push(...ratesIn(period, price, inputTokens))
  }
  return found
}

function ratesIn({ rules }: Period, price: Price, inputTokens: number): Rates[] {
  const found: Rates[] = []
  for (const { rule, isUnsure } of rules) {
    if (!isLarge(rule, inputTokens)) continue
    found.push(rule)
    if (!isUnsure) return found
  }
  found.push(price)
  return found
}

function periodAt(price: Price, rules: readonly PriceRule[], at: number): Period {
  const last = periods.get(price)
  if (last !== undefined && at >= last.from && at < last.until) return last
  const held = rules.filter(rule => holdsAt(rule, at)).map(rule => ({ rule, isUnsure: mayBeOff(rule, at) }))
  const period = { ...boundsOf(rules, at), rules: held }
  periods.set(price, period)
  return period
}

/** Returns the last moment up to `at`, and the first one after it, at which a rule may start or stop applying. */
function boundsOf(rules: readonly PriceRule[], at: number): { readonly from: number; readonly until: number } {
  const day = Math.floor(at / dayMs) * dayMs
  const bounds = { from: day, until: day + dayMs }
  const moments = rules.flatMap(({ hoursUtc = [], from, until }) => [
    ...hoursUtc.map(hour => day + hour * hourMs),
    ...[from, until].flatMap(moment => (moment === undefined ? [] : [Date.parse(moment)])),
  ])
  for (const moment of moments) {
    if (moment <= at) bounds.from = Math.max(bounds.from, moment)
    else bounds.until = Math.min(bounds.until, moment)
  }
  return bounds
}

/**
 * Returns the highest value of each part of a price at any time, for requests that are not sent yet. Rules that ended before `at`, in
 * milliseconds since 1970, never hold again.
 */
export function dearestOf(price: Price, inputTokens: number, at = Number.NEGATIVE_INFINITY): Rates {
  const all = [price, ...(price.rules ?? []).filter(rule => isLarge(rule, inputTokens) && !hasEnded(rule, at))]
  return {
    input: Math.max(...all.map(({ input, cachedInput = 0 }) => Math.max(input, cachedInput))),
    output: Math.max(...all.map(({ output }) => output)),
  }
}

function hasEnded({ until }: PriceRule, at: number): boolean {
  return until !== undefined && Date.parse(until) <= at
}

function isLarge({ aboveInputTokens = -1 }: PriceRule, inputTokens: number): boolean {
  return inputTokens > aboveInputTokens
}

function holdsAt(rule: PriceRule, at: number): boolean {
  const { from, weekdays, hoursUtc } = rule
  if (hasEnded(rule, at)) return false
  if (from !== undefined && at < Date.parse(from)) return false
  // 1 January 1970 was a Thursday
  if (weekdays !== undefined && !weekdays.includes((Math.floor(at / dayMs) + 4) % 7)) return false
  if (hoursUtc === undefined) return true
  const hour = (at % dayMs) / hourMs
  const [start, end] = hoursUtc
  return start <= end ? hour >= start && hour < end : hour >= start || hour < end
}

function mayBeOff({ mayNotHoldOn = [] }: PriceRule, at: number): boolean {
  const day = new Date(at).toISOString().slice(5, 10)
  return mayNotHoldOn.some(([from, to]) => (from <= to ? day >= from && day <= to : day >= from || day <= to))
}
