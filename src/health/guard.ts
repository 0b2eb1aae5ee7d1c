import type { FailureReason } from '../contract.ts'
import type { Sized } from './size.ts'

/**
 * One thing that can keep calls away from a target. All of them are asked before every attempt, so they only compare numbers.
 * `now` is handed in everywhere: no guard looks at a clock.
 */
export type Guard = {
  /** From when on calls may pass; not after `now` when they may pass now. */
  openAt(now: number, call?: Sized): number
  /** Calls may pass, but one at a time, because nobody knows yet whether the target is well again. */
  onTrial(now: number): boolean
  /** Why it is shut. */
  why(): Why
}

export type Why = { readonly reason: FailureReason; readonly message: string }

/** The trial of one call: it ends well, badly or without a verdict. */
export type Trial = { end(verdict: 'good' | 'bad' | 'none', now: number): void }
