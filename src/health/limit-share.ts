import type { TargetLimits } from '../contract-targets.ts'

/** The limits of this process. */
export type Share = { concurrency: number; requests: number; tokens: number }

/** Each process has a share of at least 1, because with less it could never send a request. */
export function shareOf(limits: TargetLimits, processes: number): Share {
  const share = (limit: number | undefined) => (limit === undefined ? Infinity : Math.max(1, Math.floor(limit / processes)))
  return {
    concurrency: share(limits.concurrency),
    requests: share(limits.requestsPerMinute),
    tokens: share(limits.tokensPerMinute),
  }
}

export function isSame(limits: TargetLimits, other: TargetLimits = {}): boolean {
  return (
    limits.concurrency === other.concurrency &&
    limits.requestsPerMinute === other.requestsPerMinute &&
    limits.tokensPerMinute === other.tokensPerMinute
  )
}
