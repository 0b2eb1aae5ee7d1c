import type { Registry } from 'prom-client'

/** One series of a histogram, to be kept by whoever observes. */
export type Series = {
  /** @param seconds a finite number */
  observe(seconds: number): void
}

export type Histogram = {
  /** Returns the series with these labels, which is shown from then on. */
  of(labels: Labels): Series
}

type Labels = Readonly<Record<string, string>>
type Value = { readonly metricName: string; readonly labels: Readonly<Record<string, string | number>>; readonly value: number }
type Shown = Series & { values(name: string): readonly Value[]; reset(): void }

export type HistogramOptions = {
  readonly register: Registry
  readonly name: string
  readonly help: string
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[]
}

/**
 * A histogram in a registry of prom-client. It counts by itself: prom-client's own histogram joins all labels into a text to find the series
 * of each value, which takes longer than everything else that is counted for a call.
 *
 * @throws {Error} The registry already has a metric of this name.
 */
export function createHistogram({ register, name, help, buckets }: HistogramOptions): Histogram {
  const all = new Map<string, Shown>()
  const metric = {
    ...{ name, help, type: 'histogram', aggregator: 'sum' },
    async get() {
      return { name, help, type: 'histogram', aggregator: 'sum', values: [...all.values()].flatMap(one => one.values(name)) }
    },
    reset() {
      for (const one of all.values()) one.reset()
    },
  }
  // the types of prom-client know its own metrics only; its registry reads nothing else from them
  register.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0])
  return {
    of(labels) {
      const key = JSON.stringify(labels)
      const series = all.get(key) ?? createSeries(labels, buckets)
      all.set(key, series)
      return series
    },
  }
}

function createSeries(labels: Labels, buckets: readonly number[]): Shown {
  const counts = buckets.map(() => 0)
  let count = 0
  let sum = 0
  return {
    observe(seconds) {
      count += 1
      sum += seconds
      let at = 0
      while (at < buckets.length && seconds > (buckets[at] ?? Infinity)) at += 1
      if (at < counts.length) counts[at] = (counts[at] ?? 0) + 1
    },
    values(name) {
      let below = 0
      const bucket = `${name}_bucket`
      return [
        ...buckets.map((bound, at) => {
          below += counts[at] ?? 0
          return { metricName: bucket, labels: { le: bound, ...labels }, value: below }
        }),
        { metricName: bucket, labels: { le: '+Inf', ...labels }, value: count },
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ]
    },
    reset() {
      counts.fill(0)
      count = 0
      sum = 0
    },
  }
}
