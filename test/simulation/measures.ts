import { createHash } from 'node:crypto'
import type { Faults, Ledger, ServerName } from './world/ledger.ts'
import { inputTokens } from './world/server.ts'
import { baseRps, deadlineMs, type Scenario } from './scenarios.ts'

/** What a day is judged by. Shares from 0 to 1, times in milliseconds, `recoveryMs` and `returnMs` in whole seconds. */
export type Measures = {
  /** Of all counted calls, and of those that arrived in the bad time: answered whole within the deadline. */
  readonly success: number
  readonly successInBadTime: number
  readonly latencyP50Ms: number
  readonly latencyP99Ms: number
  /** From the arrival of the call to the first token of the attempt that answered it. */
  readonly firstTokenP50Ms: number
  readonly firstTokenP99Ms: number
  readonly attempts: number
  /** Of the calls that arrived in the bad time: got the default response, and how late nearly all of them did. */
  readonly degraded: number
  readonly degradedP99Ms: number
  /** Requests per second at the worst of the faulty servers in the bad time. */
  readonly faultyRps: number
  readonly waste: number
  readonly dollarsPer1k: number
  readonly recoveryMs: number
  readonly returnMs: number
  /** Most requests at P in one second of the minute after the bad time, as a multiple of the base rate. */
  readonly peak: number
  readonly faults: number
}

export type MeasureName = keyof Measures

export function measure(ledger: Ledger, scenario: Scenario): Measures {
  const { arrivals } = ledger
  const whole = columns(ledger, { fromMs: scenario.countedFromMs, toMs: scenario.endMs })
  const bad = columns(ledger, scenario.bad)
  const after = { ledger, fromMs: scenario.bad.toMs, endMs: scenario.endMs }
  const calls = Math.max(1, whole.numbers.length)
  const sum = (column: { readonly [call: number]: number }): number =>
    whole.numbers.reduce((total, call) => total + (column[call] ?? 0), 0)
  const delivered = whole.succeeded.reduce((total, call) => total + inputTokens + arrivals.outputTokens[call]!, 0)
  const latencies = bad.answered.map(call => ledger.settledAt[call]! - arrivals.at[call]!)
  const firstTokens = bad.answered.map(call => ledger.attemptFirstTokenAt[ledger.answeredBy[call]!]! - arrivals.at[call]!)
  const defaults = bad.numbers.filter(call => ledger.degraded[call] === 1)
  const peaks = requestsPerSecond(ledger, 'P', { fromMs: scenario.bad.toMs, toMs: scenario.bad.toMs + 60_000 })
  return {
    success: whole.succeeded.length / calls,
    successInBadTime: bad.succeeded.length / Math.max(1, bad.numbers.length),
    latencyP50Ms: percentile(latencies, 0.5),
    latencyP99Ms: percentile(latencies, 0.99),
    firstTokenP50Ms: percentile(firstTokens, 0.5),
    firstTokenP99Ms: percentile(firstTokens, 0.99),
    attempts: sum(ledger.attempts) / calls,
    degraded: defaults.length / Math.max(1, bad.numbers.length),
    degradedP99Ms:
      percentile(
        defaults.map(call => ledger.settledAt[call]! - arrivals.at[call]!),
        0.99,
      ) || 0,
    faultyRps: Math.max(0, ...scenario.faulty.map(name => faultyRps(ledger, scenario, name))),
    waste: (sum(ledger.billedInput) + sum(ledger.billedOutput)) / Math.max(1, delivered) - 1,
    dollarsPer1k: (sum(ledger.dollars) / calls) * 1000,
    recoveryMs: firstGoodSecond(after, 10, share => share >= 0.99, succeeded(ledger)),
    returnMs: firstGoodSecond(after, 5, share => share >= 0.9, servedByPrimary(ledger)),
    peak: Math.max(0, ...peaks) / baseRps,
    faults: faultCount(ledger.faults),
  }
}

export function faultCount(faults: Faults): number {
  return Object.values(faults).reduce((total, count) => total + count, 0)
}

/** Targets are judged on the mean of the seeds. */
export function mean(all: readonly Measures[]): Measures {
  const names = Object.keys(all[0] ?? {}) as MeasureName[]
  const entries = names.map(name => [name, all.reduce((total, one) => total + one[name], 0) / all.length])
  const means = Object.fromEntries(entries) as Measures
  return { ...means, faults: all.reduce((total, one) => total + one.faults, 0) }
}

/** Two days are the same only if every call ended at the same time in the same way. */
export function fingerprint({ settledAt, answeredBy, attempts, attemptFirstTokenAt }: Ledger): string {
  const hash = createHash('sha256')
  for (const column of [settledAt, answeredBy, attempts, Float64Array.from(attemptFirstTokenAt)]) hash.update(column)
  return hash.digest('hex').slice(0, 16)
}

export function succeeded(ledger: Ledger): (call: number) => boolean {
  const { arrivals, settledAt, answeredBy } = ledger
  return call => answeredBy[call]! > 0 && settledAt[call]! - arrivals.at[call]! <= deadlineMs + 1
}

function servedByPrimary(ledger: Ledger): (call: number) => boolean {
  const good = succeeded(ledger)
  return call => good(call) && ledger.attemptServer[ledger.answeredBy[call]!] === 'P'
}

type Columns = {
  readonly numbers: readonly number[]
  readonly answered: readonly number[]
  readonly succeeded: readonly number[]
}

/** The calls that arrive in a span of time; those answered at all; those answered in time. */
function columns(ledger: Ledger, span: { fromMs: number; toMs: number }): Columns {
  const numbers: number[] = []
  const { at } = ledger.arrivals
  for (let call = 0; call < at.length; call++) if (at[call]! >= span.fromMs && at[call]! < span.toMs) numbers.push(call)
  return {
    numbers,
    answered: numbers.filter(call => ledger.answeredBy[call]! > 0),
    succeeded: numbers.filter(succeeded(ledger)),
  }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

function requestsPerSecond(ledger: Ledger, name: ServerName, span: { fromMs: number; toMs: number }): number[] {
  const seconds: number[] = []
  for (let second = span.fromMs / 1000; second < span.toMs / 1000; second++) seconds.push(ledger.requests[name][second] ?? 0)
  return seconds
}

function faultyRps(ledger: Ledger, scenario: Scenario, name: ServerName): number {
  const fromMs = scenario.faultyFromMs ?? scenario.bad.fromMs
  const seconds = requestsPerSecond(ledger, name, { fromMs, toMs: scenario.bad.toMs })
  return seconds.reduce((total, requests) => total + requests, 0) / seconds.length
}

/** Milliseconds until the first second from which a span of arrivals is good; `Infinity` when there is none. */
function firstGoodSecond(
  { ledger, fromMs, endMs }: { ledger: Ledger; fromMs: number; endMs: number },
  spanSeconds: number,
  isGood: (share: number) => boolean,
  test: (call: number) => boolean,
): number {
  const seconds = Math.floor((endMs - fromMs) / 1000)
  const total = new Float64Array(seconds)
  const good = new Float64Array(seconds)
  ledger.arrivals.at.forEach((at, call) => {
    const second = Math.floor((at - fromMs) / 1000)
    if (second < 0 || second >= seconds) return
    total[second]!++
    if (test(call)) good[second]!++
  })
  const sum = (column: Float64Array, from: number): number =>
    column.subarray(from, from + spanSeconds).reduce((one, other) => one + other, 0)
  for (let second = 0; second + spanSeconds <= seconds; second++) {
    if (isGood(sum(good, second) / Math.max(1, sum(total, second)))) return second * 1000
  }
  return seconds === 0 ? 0 : Infinity
}
