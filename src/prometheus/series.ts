import type { Counter } from 'prom-client'
import type { AttemptRecord, ClientEvent } from '../contract-events.ts'
import type { FailureReason } from '../contract-failures.ts'
import { createSums, type Sum, type Sums } from '../telemetry/sums.ts'
import type { Series } from './histogram.ts'
import type { TargetLabels } from './labels.ts'
import type { CounterName, Metrics } from './metrics.ts'

type Labels = Readonly<Record<string, string>>
type CallEnd = Extract<ClientEvent, { readonly type: 'call-end' }>
type Outcome = AttemptRecord['outcome']

/** A label is never omitted: without a reason, this is its value. */
export const none = 'none'

/** The series of the calls of one client. */
export type CallSeries = { ended(event: CallEnd): void; flush(): void }

const callOutcomes = ['answered', 'degraded', 'failed', 'aborted'] as const satisfies readonly CallEnd['outcome'][]

/** Every series begins at 0, because `rate()` and `increase()` miss the first increase of a series that starts at 1. */
export function callSeries({ calls_total: counter, call_duration_seconds: histogram }: Metrics, client: string): CallSeries {
  const sums = sumsOfCounters()
  const made = callOutcomes.map(outcome => {
    const labels = { client, outcome }
    return [outcome, { calls: sums.begin('calls_total', outcome, [counter, labels]), durations: histogram.of(labels) }]
  })
  const of = Object.fromEntries(made) as Readonly<Record<CallEnd['outcome'], { readonly calls: Sum; readonly durations: Series }>>
  return {
    ended({ outcome, durationMs }) {
      const { calls, durations } = of[outcome]
      calls.value += 1
      durations.observe(durationMs / 1_000)
    },
    flush: sums.flush,
  }
}

/** The series of one target of one client. */
export type TargetSeries = {
  readonly sums: Sums<Counter, Labels>
  readonly durations: Readonly<Record<Outcome, Series>>
  readonly firstChunks: Series
  /** @param detail the value of the label that only this counter has */
  of(name: TargetCounter, detail?: string): Sum
}

type TargetCounter = Exclude<CounterName, 'calls_total'>

/** The labels of a counter besides those of its target. */
const details: Readonly<Partial<Record<TargetCounter, (detail: string) => Labels>>> = {
  attempts_total: detail =>
    detail === 'answered' || detail === 'abandoned' || detail === 'skipped'
      ? { outcome: detail, reason: none }
      : { outcome: 'failed', reason: detail },
  skips_total: reason => ({ reason }),
  hedges_total: result => ({ result }),
  tokens_total: type => ({ type }),
  cost_dollars_total: part => ({ part }),
  keep_warm_total: outcome => ({ outcome }),
}

/** The reasons why a request can fail. `excluded` and `budget` only apply to requests that were not made. */
const reasons: Readonly<Record<Exclude<FailureReason, 'excluded' | 'budget'>, true>> = {
  ...{ network: true, overloaded: true, 'server-error': true, truncated: true, 'malformed-response': true, timeout: true },
  ...{ loading: true, 'rate-limit': true, quota: true, authentication: true, permission: true, 'not-found': true },
  ...{ 'context-length': true, 'invalid-request': true, empty: true, 'invalid-output': true, 'content-filter': true },
}

/** The series that begin at 0 for every target, by the detail of each. */
const begun: readonly (readonly [TargetCounter, readonly string[]])[] = [
  ['attempts_total', ['answered', 'abandoned', ...Object.keys(reasons)]],
  ['hedges_total', ['won', 'lost', 'failed']],
  ['retries_total', ['']],
  ['waits_seconds_total', ['']],
  ['usage_unknown_total', ['']],
]

/** @param more `keepWarm`: the target is kept warm, so the counter of its pings begins at 0 too */
export function targetSeries(metrics: Metrics, labels: TargetLabels, more: { readonly keepWarm: boolean }): TargetSeries {
  const sums = sumsOfCounters()
  const of: TargetSeries['of'] = (name, detail = '') =>
    sums.find(name, detail) ?? sums.begin(name, detail, [metrics[name], { ...labels, ...details[name]?.(detail) }])
  for (const [name, each] of begun) for (const detail of each) of(name, detail)
  if (more.keepWarm) for (const outcome of ['ok', 'failed']) of('keep_warm_total', outcome)
  const durationsOf = (outcome: Outcome): Series => metrics.attempt_duration_seconds.of({ ...labels, outcome })
  const [answered, failed, abandoned] = [durationsOf('answered'), durationsOf('failed'), durationsOf('abandoned')]
  return {
    sums,
    of,
    // a request that was skipped is reported as a skip, never as an attempt
    durations: { answered, failed, abandoned, skipped: abandoned },
    firstChunks: metrics.first_chunk_seconds.of({ ...labels }),
  }
}

function sumsOfCounters(): Sums<Counter, Labels> {
  return createSums((counter, labels, value) => counter.inc(labels, value))
}
