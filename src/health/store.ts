import type { FailureReason } from '../contract-failures.ts'

/**
 * One memory for many processes. Health decides from its own memory alone and never waits for a store: it publishes what it learned, and
 * learns what others publish. If a store is slow, empty or gone, only this exchange suffers.
 */
export type HealthStore = {
  /** Sends a fact to the other processes. Must not throw and must not take long; no call waits for it. */
  publish(fact: HealthFact): void
  /** Calls the listener with facts that others publish, first with all that still hold. Returns a function that ends the subscription. */
  subscribe(listener: (message: StoreMessage) => void): () => void
  /**
   * Resolves to whether this process may probe the target named by `key`; only one process at a time may. Also true for the process that
   * has the lease already, which is then extended. No answer, or a rejection, counts as true: without a store each process is alone.
   */
  lease(key: string, forMs: number): Promise<boolean>
  /**
   * Releases the lease of `key`, if this process has it, so that another process may probe at once. No call waits for it, and a rejection
   * changes nothing. @default the lease expires by itself
   */
  release?(key: string): Promise<void>
}

/** No fact holds longer than a day, whatever a server or a store names: a store may be full of foreign data. */
export const longestFactMs = 86_400_000

/** A fact about one target, or about one credential at one origin. Times are durations, because the clocks of machines differ. */
export type HealthFact = {
  /** The name of the target or the credential, the same in every process. It contains a digest of the key, never the key. */
  readonly key: string
  /**
   * `gate`: the server named a time; 0: that time no longer holds. `refused`: the key or the model is refused. `open`: the breaker
   * opened. `closed`: the breaker closed again, or the refused key works again. `limit`: how many requests may be in flight; published as
   * the limit of the account, received as this process's share of it.
   */
  readonly kind: 'gate' | 'refused' | 'open' | 'closed' | 'limit'
  readonly reason: FailureReason
  /** How long the fact holds from now on, in milliseconds; 0 if it has no time. */
  readonly forMs: number
  /** Only for `limit`. */
  readonly limit?: number | undefined
  /** Only for `gate`: the size of the refused request, if its time is long. */
  readonly tokens?: number | undefined
}

/**
 * A message of a store: a fact of another process; that the store was lost or is back; or the number of live processes, including this one,
 * among which the configured `limits` of targets are divided. While the store is lost, the last number applies.
 */
export type StoreMessage =
  | HealthFact
  | { readonly kind: 'lost' | 'back'; readonly message: string }
  | { readonly kind: 'processes'; readonly count: number }
