import type { Charged, Decision, Failure, FailureReason } from '../contract.ts'

/** Who pays for a failure: the target's breaker, its gate, everything that uses its key, its model, or nobody. */
export type Charge = Charged

type Rule = { readonly decision: Decision; readonly charged: Charge }

/** The whole policy. `retry` is subject to `maxRetries`, the retry budget and the time that is left; refused, it becomes `next`. */
export const policy = {
  network: { decision: 'retry', charged: 'target' },
  overloaded: { decision: 'retry', charged: 'target' },
  'server-error': { decision: 'retry', charged: 'target' },
  truncated: { decision: 'retry', charged: 'target' },
  'malformed-response': { decision: 'retry', charged: 'target' },
  // a route that stayed silent is not asked again: the retry would only wait once more
  timeout: { decision: 'next', charged: 'target' },
  loading: { decision: 'next', charged: 'nobody' },
  'rate-limit': { decision: 'next', charged: 'gate' },
  quota: { decision: 'next', charged: 'key' },
  authentication: { decision: 'next', charged: 'key' },
  permission: { decision: 'next', charged: 'key' },
  'not-found': { decision: 'next', charged: 'model' },
  'context-length': { decision: 'next', charged: 'nobody' },
  'invalid-request': { decision: 'next', charged: 'nobody' },
  empty: { decision: 'next', charged: 'nobody' },
  'invalid-output': { decision: 'next', charged: 'nobody' },
  // never shop around for a laxer model
  'content-filter': { decision: 'stop', charged: 'nobody' },
} satisfies Record<FailureReason, Rule>

export type DecideOptions = {
  /** The longest Retry-After that is waited out, in milliseconds. */
  readonly waitForMs: number
  readonly decide: ((failure: Failure) => Decision | undefined) | undefined
}

/** What this failure leads to. The caller's hook is asked first; `undefined` from it means the table. */
export function decide(failure: Failure, options: DecideOptions): Decision {
  const chosen = options.decide?.(failure)
  if (chosen !== undefined) return chosen
  const { decision } = policy[failure.reason]
  // asked at once, the same request would be refused in the same way
  if (decision === 'retry' && refusedAgain.has(failure.charged)) return 'next'
  if (decision === 'stop' || failure.retryAfterMs === undefined) return decision
  // The server named a time. A short one is waited out here, during a long one the next target answers.
  if (decision === 'retry' || failure.reason === 'rate-limit') return failure.retryAfterMs <= options.waitForMs ? 'retry' : 'next'
  return decision
}

const refusedAgain: ReadonlySet<Charge | undefined> = new Set(['request', 'model', 'key'])

/** What the provider knows better than its reason goes before the table. */
export function chargeOf(failure: Failure): Charge {
  return failure.charged ?? policy[failure.reason].charged
}
