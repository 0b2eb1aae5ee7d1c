import type { RetryBudgetSettings } from './settings.ts'

/** A bucket of tokens: every first content adds part of a token, and every retry takes one. A target that never answers gets few retries. */
export type RetryBudget = {
  deposit(): void
  /** Takes one token. Returns false if there is no whole token. */
  take(): boolean
  tokens(): number
}

export function createRetryBudget(settings: RetryBudgetSettings): RetryBudget {
  let tokens = settings.start
  return {
    deposit() {
      tokens = Math.min(settings.capacity, tokens + settings.perFirstChunk)
    },
    take() {
      // Floating point: ten deposits of 0.1 are 0.9999999999999999.
      if (tokens < 1 - 1e-9) return false
      tokens = Math.max(0, tokens - 1)
      return true
    },
    tokens: () => tokens,
  }
}
