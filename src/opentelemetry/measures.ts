import type { Attributes, Counter, Histogram, Meter, MeterProvider, BatchObservableCallback } from '@opentelemetry/api'
import type { AttemptRecord, ClientEvent } from '../contract-events.ts'
import type { TargetSnapshot } from '../health/health.ts'
import { isUsageUnknown } from '../telemetry/activity.ts'
import { alike, hedgeResultOf, isAmount } from '../telemetry/measured.ts'
import { createSums, type Sum, type Sums } from '../telemetry/sums.ts'
import { createDurations, type Durations } from './durations.ts'
import { createGauges } from './gauges.ts'
import { attributes, metricNames, ours, providerName, secondsBoundaries } from './names.ts'
import { operation, type Target, targetOf } from './spans.ts'

type EventOf<Type extends ClientEvent['type']> = Extract<ClientEvent, { readonly type: Type }>

/** The address of an attempt. The start event has it, the end event does not. */
export type Address = { readonly address: string | undefined; readonly port: number | undefined }

/** An open client. */
export type Watched = { health(): readonly TargetSnapshot[]; sums(): Iterable<{ flush(): void }> }

/** The instruments of one meter provider, shared by all clients that use it. */
export type Measures = {
  /** Returns what one client counts of its calls. */
  callSums(): CallSums
  /** Returns what one client counts of one target. The attributes are built once, because that takes longer than adding. */
  targetSums(target: Target, address: Address | undefined): TargetSums
  /** Reports the state of a client's targets and its sums until the returned function is called. */
  watch(watched: Watched): () => void
}

export type CallSums = { ended(event: EventOf<'call-end'>): void; flush(): void }

export type TargetSums = {
  attemptEnded(record: AttemptRecord): void
  /** @param detail the value of the attribute in which the series of this counter differ */
  of(name: CounterName, detail?: string): Sum
  /** Sets the address of the target, which is known from its first request on. */
  isAt(address: Address): void
  flush(): void
}

const known = new WeakMap<MeterProvider, Measures>()

/** Created on first use, because a meter that is created before the application has set its provider never records anything. */
export function measuresOf(provider: MeterProvider): Measures {
  const measures = known.get(provider) ?? createMeasures(provider.getMeter('unbusy'))
  known.set(provider, measures)
  return measures
}

type CounterName =
  | ('inputTokens' | 'outputTokens' | 'cachedTokens' | 'reasoningTokens' | 'calls' | 'attempts' | 'retries')
  | ('hedges' | 'skips' | 'waits' | 'cost' | 'unknown' | 'keepWarm')

const counterNames: Readonly<Record<CounterName, readonly [name: string, unit: string]>> = {
  ...{ inputTokens: [metricNames.inputTokens, '{token}'], outputTokens: [metricNames.outputTokens, '{token}'] },
  ...{ cachedTokens: [metricNames.cachedTokens, '{token}'], reasoningTokens: [metricNames.reasoningTokens, '{token}'] },
  ...{ calls: ['unbusy.calls', '{call}'], attempts: ['unbusy.attempts', '{attempt}'], retries: ['unbusy.retries', '{attempt}'] },
  ...{ hedges: ['unbusy.hedges', '{attempt}'], skips: ['unbusy.skips', '{skip}'], waits: ['unbusy.waits', 's'] },
  ...{ cost: ['unbusy.cost', 'USD'], unknown: ['unbusy.usage.unknown', '{attempt}'] },
  keepWarm: ['unbusy.keep_warm', '{ping}'],
}

type Histograms = { readonly duration: Histogram; readonly firstChunk: Histogram; readonly call: Histogram }

/** The attributes of a counter besides those of its target, from the value of the one in which its series differ. */
const details: Readonly<Partial<Record<CounterName, (detail: string) => Attributes>>> = {
  inputTokens: modality => ({ [attributes.tokenModality]: modality }),
  outputTokens: modality => ({ [attributes.tokenModality]: modality }),
  cachedTokens: modality => ({ [attributes.tokenModality]: modality }),
  reasoningTokens: modality => ({ [attributes.tokenModality]: modality }),
  attempts: detail =>
    detail === 'answered' || detail === 'abandoned' || detail === 'skipped'
      ? { [ours.outcome]: detail }
      : { [ours.outcome]: 'failed', [ours.reason]: detail },
  hedges: result => ({ [ours.result]: result }),
  skips: reason => (reason === '' ? {} : { [ours.reason]: reason }),
  cost: part => ({ [ours.part]: part }),
  keepWarm: outcome => ({ [ours.outcome]: outcome }),
}

function createMeasures(meter: Meter): Measures {
  const counters = createCounters(meter)
  const histograms = createHistograms(meter)
  const gauges = createGauges(meter)
  const watched = new Set<Watched>()
  // sums are passed on at collection time, so that calls do not pay for it
  const collect: BatchObservableCallback = result => {
    for (const { sums } of watched) for (const each of sums()) each.flush()
    for (const { labels, same } of alike(labelled(watched)))
      gauges.observe((gauge, value, more) => result.observe(gauge, value, { ...labels, ...more }), same)
  }
  return {
    callSums: () => createCallSums(counters.calls, histograms.call),
    targetSums: (target, address) => createTargetSums({ counters, histograms }, target, address),
    watch(one) {
      if (watched.size === 0) meter.addBatchObservableCallback(collect, [...gauges.all])
      watched.add(one)
      return () => {
        for (const each of one.sums()) each.flush()
        watched.delete(one)
        if (watched.size === 0) meter.removeBatchObservableCallback(collect, [...gauges.all])
      }
    },
  }
}

function createHistograms(meter: Meter): Histograms {
  const options = { unit: 's', advice: { explicitBucketBoundaries: secondsBoundaries } }
  return {
    duration: meter.createHistogram(metricNames.duration, options),
    firstChunk: meter.createHistogram(metricNames.timeToFirstChunk, options),
    call: meter.createHistogram('unbusy.call.duration', options),
  }
}

type Counters = Readonly<Record<CounterName, Counter>>

function createCounters(meter: Meter): Counters {
  const made = Object.entries(counterNames).map(([name, [full, unit]]) => [name, meter.createCounter(full, { unit })])
  return Object.fromEntries(made) as Counters
}

function createSumsOfCounters(): Sums<Counter, Attributes> {
  return createSums((counter, labels, value) => counter.add(value, labels))
}

function createCallSums(counter: Counter, histogram: Histogram): CallSums {
  const sums = createSumsOfCounters()
  const durations = new Map<string, Durations>()
  const begin = (outcome: string): Durations => {
    const labels = { [ours.outcome]: outcome }
    const begun = createDurations(histogram, labels)
    durations.set(outcome, begun)
    sums.begin('calls', outcome, [counter, labels])
    return begun
  }
  return {
    ended({ outcome, durationMs }) {
      const own = durations.get(outcome) ?? begin(outcome)
      own.add(durationMs / 1_000)
      const calls = sums.find('calls', outcome)
      if (calls !== undefined) calls.value += 1
    },
    flush() {
      sums.flush()
      for (const each of durations.values()) each.flush()
    },
  }
}

type Instruments = { readonly counters: Counters; readonly histograms: Histograms }

function createTargetSums({ counters, histograms }: Instruments, target: Target, address: Address | undefined): TargetSums {
  const sums = createSumsOfCounters()
  const labels = targetOf(target)
  let at = address
  let inference = createInference(histograms, inferenceOf(target, address))
  const of = (name: CounterName, detail = ''): Sum => {
    const sum = sums.find(name, detail)
    if (sum !== undefined) return sum
    const base = name.endsWith('Tokens') ? inference.labels : labels
    return sums.begin(name, detail, [counters[name], { ...base, ...details[name]?.(detail) }])
  }
  return {
    of,
    flush() {
      sums.flush()
      inference.flush()
    },
    isAt(here) {
      if (at !== undefined) return
      at = here
      inference.flush()
      inference = createInference(histograms, inferenceOf(target, here))
    },
    attemptEnded(record) {
      const { outcome, reason = '_OTHER', durationMs, firstChunkMs } = record
      inference.durations(outcome === 'failed' ? reason : '').add(durationMs / 1_000)
      if (firstChunkMs !== undefined) inference.firstChunks.add(firstChunkMs / 1_000)
      countAttempt(of, record)
    },
  }
}

/** The histograms of the conventions, for one target. */
type Inference = {
  readonly labels: Attributes
  readonly firstChunks: Durations
  /** @param errorType empty if the request did not fail */
  durations(errorType: string): Durations
  flush(): void
}

function createInference({ duration, firstChunk }: Histograms, labels: Attributes): Inference {
  const durations = new Map<string, Durations>()
  const firstChunks = createDurations(firstChunk, labels)
  const begin = (errorType: string): Durations => {
    const begun = createDurations(duration, errorType === '' ? labels : { ...labels, [attributes.errorType]: errorType })
    durations.set(errorType, begun)
    return begun
  }
  return {
    labels,
    firstChunks,
    durations: errorType => durations.get(errorType) ?? begin(errorType),
    flush() {
      firstChunks.flush()
      for (const each of durations.values()) each.flush()
    },
  }
}

function countAttempt(of: TargetSums['of'], record: AttemptRecord): void {
  const { outcome, reason = '_OTHER', waitMs, kind, cost } = record
  of('attempts', outcome === 'failed' ? reason : outcome).value += 1
  if (kind === 'retry') of('retries').value += 1
  if (kind === 'hedge') of('hedges', hedgeResultOf(outcome)).value += 1
  if (waitMs > 0) of('waits').value += waitMs / 1_000
  if (isAmount(cost)) of('cost', outcome === 'answered' ? 'answered' : 'wasted').value += cost
  if (isUsageUnknown(record)) of('unknown').value += 1
  countTokens(of, record)
}

function countTokens(of: TargetSums['of'], { usage, outcome }: AttemptRecord): void {
  if (isAmount(usage?.inputTokens)) of('inputTokens', 'text').value += usage.inputTokens
  if (isAmount(usage?.outputTokens)) of('outputTokens', 'text').value += usage.outputTokens
  if (isAmount(usage?.cachedInputTokens)) of('cachedTokens', 'text').value += usage.cachedInputTokens
  if (isAmount(usage?.reasoningTokens)) of('reasoningTokens', 'text').value += usage.reasoningTokens
  // the conventions require 0 for an operation that failed before there was any usage
  if (usage !== undefined || outcome !== 'failed') return
  of('inputTokens', 'unknown')
  of('outputTokens', 'unknown')
}

/** Uses the configured model, never the one that the server reports, which may be any text. */
function inferenceOf({ provider, model }: Target, at: Address | undefined): Attributes {
  return {
    [attributes.operation]: operation,
    [attributes.provider]: providerName(provider),
    [attributes.requestModel]: model,
    ...(at?.address === undefined ? {} : { [attributes.serverAddress]: at.address, [attributes.serverPort]: at.port }),
  }
}

function* labelled(watched: ReadonlySet<Watched>): Iterable<readonly [Attributes, TargetSnapshot]> {
  for (const { health } of watched) for (const target of health()) yield [targetOf(target), target]
}
