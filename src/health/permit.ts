import type { Failure } from '../contract.ts'

/** Whom a failure is charged to; the chain's table says so. */
export type Charged = 'target' | 'gate' | 'key' | 'model' | 'nobody'

/** How an attempt ended. `abandoned`: it lost a race or the caller left; it is neither a success nor a failure (R48). */
export type Outcome = 'answered' | 'abandoned' | { readonly failure: Failure; readonly charged: Charged }

/** What one attempt holds while it runs. */
export type Permit = {
  /** The first content came, so long after the request. Counts once. */
  firstChunk(afterMs: number): void
  /**
   * It has been queued for longer than the soft clock. Counts as a failure, because a target whose queue does not move is
   * down for those who wait; the attempt may go on, and what it brings later is no second outcome.
   */
  late(): void
  /** Gives everything back. Exactly once: later calls are ignored. */
  end(outcome: Outcome): void
}

/** What happens to the target's memory; each of them at most once for one permit, in this order. */
export type PermitListener = {
  onFirstChunk(afterMs: number): void
  onLate(): void
  onAnswered(): void
  onAbandoned(): void
  onFailure(failure: Failure, charged: Charged): void
}

export function createPermit(listener: PermitListener): Permit {
  let hasBegun = false
  let isLate = false
  let hasEnded = false
  return {
    firstChunk(afterMs) {
      if (hasBegun || hasEnded) return
      hasBegun = true
      listener.onFirstChunk(afterMs)
    },
    late() {
      if (hasBegun || isLate || hasEnded) return
      isLate = true
      listener.onLate()
    },
    end(outcome) {
      if (hasEnded) return
      hasEnded = true
      if (outcome === 'answered') listener.onAnswered()
      else if (outcome === 'abandoned') listener.onAbandoned()
      else listener.onFailure(outcome.failure, outcome.charged)
    },
  }
}
