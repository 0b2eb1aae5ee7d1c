import { checkOptions, isRecord, kindOf } from '../check.ts'
import type { AttemptRecord } from '../contract-events.ts'
import { isUsageUnknown } from '../telemetry/activity.ts'
import { hedgeResultOf, isAmount } from '../telemetry/measured.ts'
import type { TelemetryClient, TelemetryHooks, TelemetryPart } from '../telemetry/part.ts'
import { targetLabels } from './labels.ts'
import { type AnyRegistry, defaultRegistry, type Metrics, metricsIn } from './metrics.ts'
import { callSeries, none, targetSeries, type TargetSeries } from './series.ts'

/** A `Registry` of prom-client. Declared here, so that our types compile without prom-client. */
export type PrometheusRegistry = {
  /** Returns the metric of this name, undefined if there is none. */
  getSingleMetric(name: string): unknown
  /** Adds a metric. Throws if there is one of its name. */
  registerMetric(metric: never): void
  /** Resolves with all metrics as text, as a scrape gets them. */
  metrics(): Promise<string>
}

/** Options of `prometheus()`. */
export type PrometheusOptions = {
  /** The registry for the metrics. @default the registry `register` of prom-client */
  readonly register?: PrometheusRegistry | undefined
  /** The prefix of each metric name. @default 'unbusy_' */
  readonly prefix?: string | undefined
  /** The upper bounds of the buckets of all histograms, in seconds, ascending. @default 0.05 to 600 in 14 steps */
  readonly buckets?: readonly number[] | undefined
  /** The label `client`, which distinguishes clients of one registry. Clients with the same label are added up. @default '' */
  readonly client?: string | undefined
}

/** The last bucket is ten minutes, which a queued request may take. */
const defaultBuckets: readonly number[] = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600]

/**
 * Metrics for Prometheus, for the client option `telemetry`. Needs the package prom-client. docs/monitoring.md lists them.
 *
 * @throws {TypeError} An option is wrong.
 * @throws {Error} prom-client is not installed, or the registry already has a metric with one of these names.
 *
 * @example
 * const client = createClient({ chain, telemetry: [prometheus()] })
 * app.get('/metrics', async (_, response) => response.type(register.contentType).send(await register.metrics()))
 */
export function prometheus(options: PrometheusOptions = {}): TelemetryPart {
  checkOptions(options, { register: registry, prefix: metricName, buckets: bounds, client: label }, 'prometheus')
  const { prefix = 'unbusy_', buckets = defaultBuckets, client = '' } = options
  const register = (options.register as AnyRegistry | undefined) ?? defaultRegistry()
  const metrics = metricsIn(register, prefix, buckets)
  if (options.buckets !== undefined && String(buckets) !== String(metrics.buckets))
    throw new TypeError(
      'prometheus: this registry already has these metrics with other buckets. Write the same buckets, or another prefix.',
    )
  return { attach: watched => hooksFor(watched, metrics, client) }
}

function hooksFor({ health, status }: TelemetryClient, metrics: Metrics, client: string): TelemetryHooks {
  const calls = callSeries(metrics, client)
  const isKeptWarm = new Set(
    status().targets.flatMap(({ keepWarm, targetIndex }) => (keepWarm === undefined ? [] : [targetIndex])),
  )
  const targets = health().map(target =>
    targetSeries(metrics, targetLabels(client, target), { keepWarm: isKeptWarm.has(target.targetIndex) }),
  )
  const watched = {
    client,
    health,
    flush() {
      calls.flush()
      for (const { sums } of targets) sums.flush()
    },
  }
  metrics.watched.add(watched)
  return {
    onEvent(event) {
      if (event.type === 'call-end') return calls.ended(event)
      if (event.type !== 'attempt-end' && event.type !== 'keep-warm' && event.type !== 'target-skip') return
      const target = targets[event.targetIndex]
      if (target === undefined) return
      if (event.type === 'attempt-end') attemptEnded(target, event.record)
      else if (event.type === 'keep-warm') target.of('keep_warm_total', event.ok ? 'ok' : 'failed').value += 1
      else target.of('skips_total', event.reason ?? none).value += 1
    },
    close() {
      watched.flush()
      metrics.watched.delete(watched)
    },
  }
}

function attemptEnded({ of, durations, firstChunks }: TargetSeries, record: AttemptRecord): void {
  const { outcome, durationMs, firstChunkMs, waitMs, kind, cost } = record
  of('attempts_total', outcome === 'failed' ? (record.reason ?? none) : outcome).value += 1
  durations[outcome].observe(durationMs / 1_000)
  if (firstChunkMs !== undefined) firstChunks.observe(firstChunkMs / 1_000)
  if (waitMs > 0) of('waits_seconds_total').value += waitMs / 1_000
  if (kind === 'retry') of('retries_total').value += 1
  if (kind === 'hedge') of('hedges_total', hedgeResultOf(outcome)).value += 1
  if (isAmount(cost)) of('cost_dollars_total', outcome === 'answered' ? 'answered' : 'wasted').value += cost
  if (isUsageUnknown(record)) of('usage_unknown_total').value += 1
  tokensUsed(of, record)
}

function tokensUsed(of: TargetSeries['of'], { usage }: AttemptRecord): void {
  if (isAmount(usage?.inputTokens)) of('tokens_total', 'input').value += usage.inputTokens
  if (isAmount(usage?.cachedInputTokens)) of('tokens_total', 'cached_input').value += usage.cachedInputTokens
  if (isAmount(usage?.outputTokens)) of('tokens_total', 'output').value += usage.outputTokens
  if (isAmount(usage?.reasoningTokens)) of('tokens_total', 'reasoning').value += usage.reasoningTokens
}

function registry(value: unknown, name: string): void {
  if (!isRecord(value) || typeof value['registerMetric'] !== 'function' || typeof value['getSingleMetric'] !== 'function')
    throw new TypeError(`${name} must be a registry of prom-client, for example new Registry(), not ${kindOf(value)}.`)
}

function metricName(value: unknown, name: string): void {
  if (typeof value !== 'string' || !/^(?:[a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(value))
    throw new TypeError(
      `${name} must be a string of letters, digits and _ with which the names of the metrics begin, for example 'unbusy_'.`,
    )
}

function bounds(value: unknown, name: string): void {
  const isList = Array.isArray(value) && value.length > 0
  // the bucket of all values is always there
  const ascends =
    isList &&
    value.every((one: unknown, index) => Number.isFinite(one) && Number(one) > (index === 0 ? 0 : Number(value[index - 1])))
  if (!ascends)
    throw new TypeError(
      `${name} must be an ascending list of seconds above 0 without Infinity, for example [0.1, 1, 10], not ${kindOf(value)}.`,
    )
}

function label(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, for example 'chat', not ${kindOf(value)}.`)
}
