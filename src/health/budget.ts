import type { BudgetSettings } from './settings.ts'

/** A bucket of tokens: every first content earns a little, every retry takes one. Without successes there are soon no retries. */
export type Budget = {
  deposit(): void
  /** Takes one token, or answers false and takes none. */
  take(): boolean
  tokens(): number
}

export function createBudget(settings: BudgetSettings): Budget {
  let tokens = settings.start
  return {
    deposit() {
      tokens = Math.min(settings.capacity, tokens + settings.perFirstChunk)
    },
    take() {
      // Ten deposits of 0.1 are 0.9999999999999999.
      if (tokens < 1 - 1e-9) return false
      tokens = Math.max(0, tokens - 1)
      return true
    },
    tokens: () => tokens,
  }
}
