/** How often something happens, as a moving average. It does not fall while nothing happens: a gate that is shut keeps calls away. */
export type Rate = {
  mark(now: number): void
  perSecond(): number
}

const memoryMs = 5_000

export function createRate(): Rate {
  let level = 0
  let lastAt = Number.NEGATIVE_INFINITY
  return {
    mark(now) {
      level = level * Math.exp((lastAt - now) / memoryMs) + 1
      lastAt = now
    },
    perSecond: () => (level * 1_000) / memoryMs,
  }
}
