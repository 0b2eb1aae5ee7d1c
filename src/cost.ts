import type { Usage } from './contract.ts'
import type { AttemptRecord } from './contract-events.ts'
import type { Price } from './contract-targets.ts'
import { type Rates, ratesOf, type Span } from './cost/price-rules.ts'

/** What a call cost, in US dollars. */
export type Costs = {
  /** For the requests whose answer the caller got. 0 for the default response; undefined if price or usage are not known. */
  readonly answered: number | undefined
  /** For all other requests: failures, lost races, answers that had to be repaired. Only those with a known price and usage count. */
  readonly wasted: number
  /** The number of requests whose cost is not known, because price or usage are not. Neither sum includes them. */
  readonly unknownAttempts: number
  /** The maximum cost of the unknown attempts that have a price, from the length of the prompt and `maxOutputTokens`. */
  readonly estimated: number
}

/** US dollars for one request; undefined if its price or its usage is not known. `isUpperBound`: the true cost may be lower. */
export type Bill = { readonly dollars: number | undefined; readonly isUpperBound: boolean }

/**
 * Returns the cost of one request. The only place that multiplies tokens by prices: `result.cost`, `result.costs`, records, hedging and
 * budgets all use it. Without `span`, it ignores price rules.
 */
export function billOf(price: Price | undefined, usage: Usage | undefined, span?: Span): Bill {
  if (price === undefined) return unknown
  if (isFree(price)) return nothing
  const { inputTokens, cachedInputTokens, outputTokens } = countsIn(usage, price)
  // a third-party provider may report an invalid token count: it must not give money back
  if (!areCounts(inputTokens, cachedInputTokens, outputTokens)) return unknown
  const cached = Math.min(cachedInputTokens, inputTokens)
  const bill = (rates: Rates): number =>
    ((inputTokens - cached) * rates.input + cached * (rates.cachedInput ?? rates.input) + outputTokens * rates.output) / perTokens
  let [dollars, least, isUpperBound] = [0, Infinity, false]
  for (const rates of ratesAt(price, inputTokens, span)) {
    const billed = bill(rates)
    dollars = Math.max(dollars, billed)
    least = Math.min(least, billed)
    if (cached > 0 && rates.cachedInput === undefined) isUpperBound = true
  }
  return { dollars, isUpperBound: isUpperBound || least < dollars }
}

const none: Usage = {}

/** What is not reported, but has a price, makes the sum unknown. */
function countsIn(usage: Usage | undefined, price: Price) {
  const { inputTokens, cachedInputTokens = 0, outputTokens = Number.NaN } = usage ?? none
  return { inputTokens: inputTokens ?? (needsInput(price) ? Number.NaN : 0), cachedInputTokens, outputTokens }
}

/** Whether the cost depends on the input tokens: where they are not reported, it is unknown, and not that of the output alone. */
function needsInput(price: Price): boolean {
  const isPaid = ({ input, cachedInput = 0 }: Rates): boolean => input + cachedInput > 0
  return isPaid(price) || (price.rules ?? []).some(rule => rule.aboveInputTokens !== undefined || isPaid(rule))
}

function ratesAt(price: Price, inputTokens: number, span: Span | undefined): readonly Rates[] {
  return span === undefined ? [price] : ratesOf(price, inputTokens, span)
}

function areCounts(input: number, cached: number, output: number): boolean {
  return input >= 0 && cached >= 0 && output >= 0 && input + cached + output < Infinity
}

const unknown: Bill = { dollars: undefined, isUpperBound: false }
const nothing: Bill = { dollars: 0, isUpperBound: false }

/** Prices are for this many tokens. */
export const perTokens = 1_000_000

export function isFree({ input, cachedInput = 0, output, rules }: Price): boolean {
  return input === 0 && cachedInput === 0 && output === 0 && rules === undefined
}

/** Returns the known cost of all requests of a call; undefined if the cost of the answer is not known. */
export function costOfAll(attempts: readonly AttemptRecord[]): number | undefined {
  let sum = 0
  for (const { cost, outcome } of attempts) {
    if (cost === undefined && outcome === 'answered') return undefined
    sum += cost ?? 0
  }
  return sum
}

export function costsOf(attempts: readonly AttemptRecord[]): Costs {
  let answered: number | undefined = 0
  let wasted = 0
  let unknownAttempts = 0
  let estimated = 0
  for (const { attempt, outcome, cost, worstCost = 0 } of attempts) {
    if (attempt === 0) continue
    if (cost === undefined) {
      unknownAttempts += 1
      estimated += worstCost
    }
    if (outcome !== 'answered') wasted += cost ?? 0
    else if (answered !== undefined) answered = cost === undefined ? undefined : answered + cost
  }
  return { answered, wasted, unknownAttempts, estimated }
}
