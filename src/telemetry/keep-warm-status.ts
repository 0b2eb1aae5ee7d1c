import type { FailureReason } from '../contract-failures.ts'

/** The results of the pings of one target. Plain data. */
export type KeepWarmStatus = {
  /** How many pings were sent, and how many of them failed. */
  readonly sent: number
  readonly failed: number
  /** When the last ping ended, in the format of `Date.toISOString()`; undefined if there was none. */
  readonly lastAt: string | undefined
  /** How long the last ping took, in milliseconds. */
  readonly lastMs: number | undefined
  /** Why the last ping failed; undefined if it succeeded. */
  readonly lastReason: FailureReason | undefined
}
