import type * as promClientModule from 'prom-client'
import type { Counter, OpenMetricsContentType, Registry } from 'prom-client'
import { loadPackage } from '../telemetry/optional-package.ts'
import { makeGauges, type Watched } from './gauges.ts'
import { createHistogram, type Histogram } from './histogram.ts'
import { targetNames } from './labels.ts'

/** A registry of prom-client, with either of its two content types. */
export type AnyRegistry = Registry | Registry<OpenMetricsContentType>

const ofCall = ['client', 'outcome']
const ofTarget = [...targetNames]

export type CounterName = keyof typeof counters

/** The help text and the labels of each counter. */
const counters = {
  calls_total: ['Calls that ended: answered, degraded (default response), failed, aborted.', ofCall],
  attempts_total: ['Requests that ended: answered, failed (with the reason), abandoned.', [...ofTarget, 'outcome', 'reason']],
  waits_seconds_total: ['Seconds that calls waited before requests. A wait without a request after it does not count.', ofTarget],
  skips_total: ['Targets that a call skipped, by reason.', [...ofTarget, 'reason']],
  retries_total: ['Requests to a target that the same call had already asked.', ofTarget],
  hedges_total: ['Hedges, which are second requests because the first was late: won, lost, failed.', [...ofTarget, 'result']],
  tokens_total: ['Tokens that targets reported; cached_input is part of input, reasoning of output.', [...ofTarget, 'type']],
  cost_dollars_total: ['US dollars for requests that answered, and for all others (wasted).', [...ofTarget, 'part']],
  keep_warm_total: ['Requests that keep a server warm: ok, failed. No other series counts them.', [...ofTarget, 'outcome']],
  usage_unknown_total: ['Requests that may have been billed, but reported no usage.', ofTarget],
} as const

const histograms = {
  call_duration_seconds: 'From the start of a call to its end, with waits and retries.',
  attempt_duration_seconds: 'From the start of a request to its end.',
  first_chunk_seconds: 'From the start of a request to its first content.',
} as const

/** All metrics of one registry with one prefix, shared by all clients that use that registry. */
export type Metrics = Readonly<Record<CounterName, Counter> & Record<keyof typeof histograms, Histogram>> & {
  readonly buckets: readonly number[]
  /** The open clients. */
  readonly watched: Set<Watched>
}

type PromClient = typeof promClientModule

const known = new WeakMap<AnyRegistry, Map<string, Metrics>>()

/** Returns the default registry of prom-client. */
export function defaultRegistry(): AnyRegistry {
  return promClient().register
}

/**
 * Returns the metrics of a registry, which are created at the first call. A second client uses the same metrics.
 *
 * @throws {Error} The registry already has a metric with one of our names that is not ours.
 */
export function metricsIn(register: AnyRegistry, prefix: string, buckets: readonly number[]): Metrics {
  const all = known.get(register) ?? new Map<string, Metrics>()
  known.set(register, all)
  const before = all.get(prefix)
  // the registry may have been cleared in the meantime
  if (before !== undefined && register.getSingleMetric(`${prefix}calls_total`) === before.calls_total) return before
  const metrics = makeMetrics(register as Registry, prefix, buckets)
  all.set(prefix, metrics)
  return metrics
}

function promClient(): PromClient {
  return loadPackage('prom-client', 'unbusy/prometheus') as PromClient
}

function makeMetrics(register: Registry, prefix: string, buckets: readonly number[]): Metrics {
  const { Counter, Gauge } = promClient()
  const watched = new Set<Watched>()
  const flush = (): void => {
    for (const one of watched) one.flush()
  }
  const made = [
    ...Object.entries(counters).map(([name, [help, labelNames]]) => [
      name,
      new Counter({ name: `${prefix}${name}`, help, labelNames, registers: [register], collect: flush }),
    ]),
    ...Object.entries(histograms).map(([name, help]) => [
      name,
      createHistogram({ register, name: `${prefix}${name}`, help, buckets: [...buckets] }),
    ]),
  ]
  makeGauges({ Gauge, register, prefix, watched })
  return { ...(Object.fromEntries(made) as Omit<Metrics, 'buckets' | 'watched'>), buckets, watched }
}
