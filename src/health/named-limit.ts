/** A limit that was told: taken at its word, and slowly doubted afterwards, because accounts are raised. */
export type NamedLimit = {
  set(limit: number, now: number): void
  /** Infinity: none was told. */
  at(now: number): number
}

export function createNamedLimit(relaxPerMinute: number): NamedLimit {
  let told = Infinity
  let toldAt = 0
  return {
    set(limit, now) {
      told = Math.max(1, Math.floor(limit))
      toldAt = now
    },
    at(now) {
      if (told === Infinity) return Infinity
      return Math.floor(told * relaxPerMinute ** Math.floor((now - toldAt) / 60_000))
    },
  }
}
