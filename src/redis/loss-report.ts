import type { Clock } from '../contract.ts'
import type { StoreMessage } from '../health/store.ts'

/** Tells of a loss once, and of its end if its beginning was told. */
export type LossReport = {
  lost(error: unknown): void
  back(): void
}

/** A Redis that comes and goes is told of once in this time: a broken one must not fill the logs (R117). */
const quietMs = 60_000

export function createLossReport(clock: Clock, tell: (message: StoreMessage) => void): LossReport {
  let isTold = false
  let toldAt = Number.NEGATIVE_INFINITY
  return {
    lost(error) {
      const now = clock.now()
      if (isTold || now - toldAt < quietMs) return
      isTold = true
      toldAt = now
      const cause = error instanceof Error && error.message !== '' ? error.message.slice(0, 200) : 'no connection'
      tell({ kind: 'lost', message: `Redis cannot be used (${cause}). This process goes on with its own memory.` })
    },
    back() {
      if (isTold) tell({ kind: 'back', message: 'Redis can be used again.' })
      isTold = false
    },
  }
}
