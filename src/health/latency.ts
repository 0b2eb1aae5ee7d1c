/** How long a target takes from the request to its first content, in milliseconds, over its last samples. */
export type Latency = {
  add(afterMs: number): void
  quantiles(): Quantiles | undefined
  /** Whether this time is close to the target's best times. A longer time means that requests queue at the target. */
  isPrompt(afterMs: number): boolean
}

export type Quantiles = { readonly p50: number; readonly p98: number; readonly p99: number; readonly samples: number }

/** Only the newest samples count; older ones are forgotten (R111, R139). */
const keptSamples = 400
/** A time up to this multiple of the best median is prompt; one in thirty healthy calls takes longer. */
const promptFactor = 3
/** Every new digest raises the best median by this factor, because the target may have become slower for good. */
const bestRelaxation = 1.02

export function createLatency(): Latency {
  const ring = new Float64Array(keptSamples)
  let added = 0
  let digest: Quantiles | undefined
  let digestedAt = 0
  let bestP50 = Infinity

  function quantiles(): Quantiles | undefined {
    const samples = Math.min(added, keptSamples)
    // Sorting 400 numbers takes about 20 us, so it is done when a tenth of the samples is new, not for every call.
    if (added > digestedAt && added - digestedAt >= samples / 10) {
      digest = quantilesOf(ring.subarray(0, samples).toSorted())
      digestedAt = added
      bestP50 = Math.min(digest.p50, bestP50 * bestRelaxation)
    }
    return digest
  }

  return {
    add(afterMs) {
      if (!(afterMs >= 0 && afterMs < Infinity)) return
      ring[added % keptSamples] = afterMs
      added += 1
    },
    quantiles,
    isPrompt(afterMs) {
      quantiles()
      return afterMs <= promptFactor * bestP50
    },
  }
}

/** Uses the nearest rank, so every quantile is a time that was measured. */
function quantilesOf(sorted: Float64Array): Quantiles {
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p98: at(0.98), p99: at(0.99), samples: sorted.length }
}
