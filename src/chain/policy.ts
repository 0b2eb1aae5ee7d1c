import type { Charged, Decision, Failure, FailureReason } from '../contract.ts'

/** Who pays for a failure: the target's breaker, its gate, everything that uses its key, its model, or nobody. */
export type Charge = Charged

/**
 * Whether a target that failed so is asked again, after a wait, when every other one has failed too: it may pass by itself (`yes`), it
 * would only be silent again (`last`: after all others, and once), or it stays (`no`).
 */
export type Again = 'yes' | 'last' | 'no'

type Rule = { readonly decision: Decision; readonly charged: Charge; readonly again: Again }

/** The whole policy. `retry` is subject to `maxRetries`, the retry budget and the time that is left; refused, it becomes `next`. */
export const policy = {
  network: { decision: 'retry', charged: 'target', again: 'yes' },
  overloaded: { decision: 'retry', charged: 'target', again: 'yes' },
  'server-error': { decision: 'retry', charged: 'target', again: 'yes' },
  truncated: { decision: 'retry', charged: 'target', again: 'yes' },
  'malformed-response': { decision: 'retry', charged: 'target', again: 'no' },
  // a route that stayed silent is not asked again: the retry would only wait once more
  timeout: { decision: 'next', charged: 'target', again: 'last' },
  loading: { decision: 'next', charged: 'nobody', again: 'yes' },
  'rate-limit': { decision: 'next', charged: 'gate', again: 'yes' },
  quota: { decision: 'next', charged: 'key', again: 'no' },
  authentication: { decision: 'next', charged: 'key', again: 'no' },
  permission: { decision: 'next', charged: 'key', again: 'no' },
  'not-found': { decision: 'next', charged: 'model', again: 'no' },
  'context-length': { decision: 'next', charged: 'request', again: 'no' },
  'invalid-request': { decision: 'next', charged: 'nobody', again: 'no' },
  empty: { decision: 'next', charged: 'nobody', again: 'no' },
  'invalid-output': { decision: 'next', charged: 'nobody', again: 'no' },
  // never shop around for a laxer model
  'content-filter': { decision: 'stop', charged: 'nobody', again: 'no' },
  excluded: { decision: 'next', charged: 'nobody', again: 'no' },
  budget: { decision: 'next', charged: 'nobody', again: 'no' },
} satisfies Record<FailureReason, Rule>

/** The longest Retry-After that is waited for by default while another target could answer. */
const waitForMs = 2_500

/** What this failure leads to. @param longestMs the caller's own `waitForMs` */
export function decide(failure: Failure, longestMs: number = waitForMs): Decision {
  const { decision } = policy[failure.reason]
  // asked at once, the same request would be refused in the same way
  if (decision === 'retry' && refusedAgain.has(failure.charged)) return 'next'
  if (decision === 'stop' || failure.retryAfterMs === undefined) return decision
  // The server named a time. A short one is waited out here, during a long one the next target answers.
  if (decision === 'retry' || failure.reason === 'rate-limit') return failure.retryAfterMs <= longestMs ? 'retry' : 'next'
  return decision
}

/** What the caller's `decide` said, which may be anything. */
export function decisionOf(said: unknown): Decision | undefined {
  if (said === undefined || said === 'retry' || said === 'next' || said === 'stop') return said
  if (typeof said === 'object') Promise.resolve(said).catch(() => {})
  throw new TypeError("decide must return 'retry', 'next', 'stop' or undefined, at once: a promise is none of them.")
}

const refusedAgain: ReadonlySet<Charge | undefined> = new Set(['request', 'model', 'key'])

/** Whether it is worth another round. */
export function againAfter(failure: Failure): Again {
  return refusedAgain.has(failure.charged) ? 'no' : policy[failure.reason].again
}

/** What the provider knows better than its reason goes before the table. */
export function chargeOf(failure: Failure): Charge {
  return failure.charged ?? policy[failure.reason].charged
}
