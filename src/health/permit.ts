import type { Charged, Failure } from '../contract.ts'

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
