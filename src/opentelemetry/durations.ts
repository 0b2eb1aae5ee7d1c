import type { Attributes, Histogram } from '@opentelemetry/api'

/** The values of one series of a histogram. */
export type Durations = { add(seconds: number): void; flush(): void }

/** So many are kept between two collections; more are passed on at once. */
const most = 64

/**
 * Keeps values and passes them on together, at the latest when metrics are collected. The SDK finds the series of each value by a text of its
 * attributes, which takes less than half of the time if it is done in a row instead of once in each call.
 */
export function createDurations(histogram: Histogram, attributes: Attributes): Durations {
  const kept: number[] = []
  const flush = (): void => {
    for (const seconds of kept) histogram.record(seconds, attributes)
    kept.length = 0
  }
  return {
    add(seconds) {
      kept.push(seconds)
      if (kept.length >= most) flush()
    },
    flush,
  }
}
