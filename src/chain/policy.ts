import type { Charged, Decision, Failure, FailureReason } from '../contract-failures.ts'

/**
 * Whether another round, after all targets have failed, asks this target again. `yes`: the failure may pass. `once`: the target would
 * probably stay silent again, so it is asked once more, after all others. `no`: the failure is permanent.
 */
export type Again = 'yes' | 'once' | 'no'

type Rule = { readonly decision: Decision; readonly charged: Charged; readonly again: Again }

/** The whole policy. `retry` is subject to `maxRetries`, the retry budget and the remaining time; without these it becomes `next`. */
export const policy = {
  network: { decision: 'retry', charged: 'target', again: 'yes' },
  overloaded: { decision: 'retry', charged: 'target', again: 'yes' },
  'server-error': { decision: 'retry', charged: 'target', again: 'yes' },
  truncated: { decision: 'retry', charged: 'target', again: 'yes' },
  'malformed-response': { decision: 'retry', charged: 'target', again: 'no' },
  // a silent target is not retried: the retry would only wait again
  timeout: { decision: 'next', charged: 'target', again: 'once' },
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
  // no fallback: the call must not look for a model with a laxer filter
  'content-filter': { decision: 'stop', charged: 'nobody', again: 'no' },
  excluded: { decision: 'next', charged: 'nobody', again: 'no' },
  budget: { decision: 'next', charged: 'nobody', again: 'no' },
} satisfies Record<FailureReason, Rule>

/** The longest Retry-After that a call waits for by default while another target could answer. */
const defaultWaitForMs = 2_500

/** Returns what this failure leads to. @param longestMs the caller's own `waitForMs` */
export function decide(failure: Failure, longestMs: number = defaultWaitForMs): Decision {
  const { decision } = policy[failure.reason]
  // an immediate retry would be refused in the same way
  if (decision === 'retry' && refusedAgain.has(failure.charged)) return 'next'
  if (failure.retryAfterMs === undefined) return decision
  // The server named a time: the call waits out a short one, and asks the next target during a long one.
  if (decision === 'retry' || failure.reason === 'rate-limit') return failure.retryAfterMs <= longestMs ? 'retry' : 'next'
  return decision
}

/** Checks the result of the caller's `decide`, which may be any value. */
export function checkedDecision(said: unknown): Decision | undefined {
  if (said === undefined || said === 'retry' || said === 'next' || said === 'stop') return said
  // it may be a promise that rejects
  Promise.resolve(said).catch(() => {})
  throw new TypeError("decide must return 'retry', 'next', 'stop' or undefined, not a promise or another value.")
}

const refusedAgain: ReadonlySet<Charged | undefined> = new Set(['request', 'model', 'key'])

/** Returns whether another round asks the target again. */
export function againAfter(failure: Failure): Again {
  return refusedAgain.has(failure.charged) ? 'no' : policy[failure.reason].again
}

/** A provider's own `charged` takes precedence over the table. */
export function chargeOf(failure: Failure): Charged {
  return failure.charged ?? policy[failure.reason].charged
}
