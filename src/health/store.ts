import type { FailureReason } from '../contract.ts'

/**
 * One memory for many processes. Health decides from its own memory alone and never waits for a store: it tells what it learned,
 * and learns what others tell. A store that is slow, empty or gone changes nothing but that.
 */
export type HealthStore = {
  /** Tells the other processes. Must not throw and must not take long; nobody waits for it. */
  publish(fact: HealthFact): void
  /** Calls back with what others told, at first with all that still holds. Answers how to end it. */
  subscribe(listener: (message: StoreMessage) => void): () => void
  /**
   * Whether this process may probe the target named by `key`: at most one process at a time may. True also for the process that
   * has the lease already, which then is prolonged. No answer, or a rejection, counts as yes: without a store everybody is alone.
   */
  lease(key: string, forMs: number): Promise<boolean>
  /**
   * Gives the lease of `key` up, if this process has it: another one may probe at once. Nobody waits for it, and a rejection changes
   * nothing. @default the lease ends by its time
   */
  release?(key: string): Promise<void>
}

/** No fact holds longer than a day, whatever a server names or a store says: it may be full of foreign data. */
export const longestFactMs = 86_400_000

/** Something learned about one target, or about one credential at one origin. Times are durations: clocks of machines differ. */
export type HealthFact = {
  /** Names the target or the credential, the same in every process; holds a digest of the key, never the key. */
  readonly key: string
  /**
   * `gate`: the server named a time; 0: it does not hold any more. `refused`: the key or the model is refused. `open`: the breaker opened. `closed`: it
   * closed again, or the refused key is good again. `limit`: how many requests may be in flight; published as the account's,
   * received as this process's share of it.
   */
  readonly kind: 'gate' | 'refused' | 'open' | 'closed' | 'limit'
  readonly reason: FailureReason
  /** How long it holds from now on, in milliseconds; 0 where no time belongs to it. */
  readonly forMs: number
  /** Only for `limit`. */
  readonly limit?: number | undefined
  /** Only for `gate`: the size of the refused request, where its time is long. */
  readonly tokens?: number | undefined
}

/** What a store tells: a fact of another process, or that it was lost and is back. */
export type StoreMessage = HealthFact | { readonly kind: 'lost' | 'back'; readonly message: string }
