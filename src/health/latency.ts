/** How long a target takes from the request to its first content, in milliseconds, over its last samples. */
export type Latency = {
  add(afterMs: number): void
  quantiles(): Quantiles | undefined
}

export type Quantiles = { readonly p50: number; readonly p98: number; readonly p99: number; readonly samples: number }

/** The newest so many samples are kept and all others forgotten (R111, R139). */
const keptSamples = 400

export function createLatency(): Latency {
  const ring = new Float64Array(keptSamples)
  let added = 0
  let digest: Quantiles | undefined
  let digestedAt = 0

  return {
    add(afterMs) {
      if (!(afterMs >= 0 && afterMs < Infinity)) return
      ring[added % keptSamples] = afterMs
      added += 1
    },
    quantiles() {
      const samples = Math.min(added, keptSamples)
      // Sorting 400 numbers costs about 20 us: once for every tenth part that is new, not for every call.
      if (added > digestedAt && (digest === undefined || added - digestedAt >= samples / 10)) {
        digest = quantilesOf(ring.subarray(0, samples).toSorted())
        digestedAt = added
      }
      return digest
    },
  }
}

/** Nearest rank: always a time that was really measured. */
function quantilesOf(sorted: Float64Array): Quantiles {
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p98: at(0.98), p99: at(0.99), samples: sorted.length }
}
