/** One trial at a time. It gives itself back after a while, so that a trial that was lost blocks nobody for ever. */
export type Lease = {
  /** A number by which the trial is known; undefined while another one runs. */
  take(now: number): number | undefined
  holds(id: number): boolean
  /** Lets the next trial start at once, or from `freeAt` on. */
  giveBack(id: number, freeAt?: number): void
  /** Nobody holds it any more. */
  reset(): void
  /** When the next trial may start; not after `now` when it may start now. */
  freeAt(): number
}

export function createLease(leaseMs: number): Lease {
  let holder = 0
  let issued = 0
  let until = Number.NEGATIVE_INFINITY
  return {
    take(now) {
      if (now < until) return undefined
      issued += 1
      holder = issued
      until = now + leaseMs
      return issued
    },
    holds: id => id !== 0 && id === holder,
    giveBack(id, freeAt = Number.NEGATIVE_INFINITY) {
      if (id === 0 || id !== holder) return
      holder = 0
      until = freeAt
    },
    reset() {
      holder = 0
      until = Number.NEGATIVE_INFINITY
    },
    freeAt: () => until,
  }
}
