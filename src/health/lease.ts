/** Allows one probe at a time. A lease expires by itself, so that a lost probe does not block the target forever. */
export type Lease = {
  /** Takes the lease and returns the number of its holder; undefined while another holder has the lease. */
  take(now: number): number | undefined
  holds(id: number): boolean
  /** Gives the lease back, so that the next probe may start at once, or from `freeAt` on. */
  giveBack(id: number, freeAt?: number): void
  /** Takes the lease away from its holder. */
  reset(): void
  /** When the next probe may start. It is a plain value, because every guard reads it before every attempt. */
  readonly freeAt: number
}

export function createLease(leaseMs: number): Lease {
  let holder = 0
  let issued = 0
  const lease = {
    freeAt: Number.NEGATIVE_INFINITY,
    take(now: number) {
      if (now < lease.freeAt) return undefined
      issued += 1
      holder = issued
      lease.freeAt = now + leaseMs
      return issued
    },
    holds: (id: number) => id !== 0 && id === holder,
    giveBack(id: number, freeAt = Number.NEGATIVE_INFINITY) {
      if (id === 0 || id !== holder) return
      holder = 0
      lease.freeAt = freeAt
    },
    reset() {
      holder = 0
      lease.freeAt = Number.NEGATIVE_INFINITY
    },
  }
  return lease
}
