import { createLastCalls } from './last-calls.ts'
import { createRecentCalls } from './recent-calls.ts'
import type { Count } from './recent-calls.ts'
import type { BreakerSettings } from './settings.ts'

/** The recent outcomes of one target's calls, and whether they are those of a broken target. */
export type Outcomes = {
  /** Answers a number by which this success can be taken back. */
  succeed(now: number): number
  fail(now: number): void
  /** An answer that had begun broke off: its success becomes a failure (R105). */
  takeBack(success: number, now: number): void
  areBroken(now: number): boolean
  /** Forgets everything but what is usual for this target. */
  clear(): void
}

/** How much a target may fail and still be called usual, as a share of the ratio: whatever came before, an outage opens (R138). */
const pardonedShare = 0.6
/** Below this share of the ratio nothing is usual: the thresholds hold as they are. */
const healthyShare = 0.1
/**
 * How improbable failures must be, as a power of e, to be called unusual. Chosen by simulation: by the bare thresholds a target that
 * fails 30 % of its calls opens up to 66 times an hour (at 2 calls a second), with this less than once at any rate.
 */
const unusualFrom = 12

export function createOutcomes(settings: BreakerSettings): Outcomes {
  const recent = createRecentCalls(settings.windowMs)
  const last = createLastCalls(settings)

  function isUnusual({ calls, failures }: Count): boolean {
    const usual = Math.min(last.usual(), pardonedShare * settings.failureRatio)
    if (usual <= healthyShare * settings.failureRatio) return true
    return calls * divergence(failures / calls, usual) >= unusualFrom
  }

  return {
    succeed(now) {
      recent.add(now, { calls: 1, failures: 0 })
      return last.add(now, false)
    },
    fail(now) {
      recent.add(now, { calls: 1, failures: 1 })
      last.add(now, true)
    },
    takeBack(success, now) {
      recent.add(now, { calls: 0, failures: 1 })
      last.turn(success, now)
    },
    areBroken(now) {
      const ofWindow = recent.count(now)
      const ofLast = last.count(now)
      const longer = ofWindow.calls >= ofLast.calls ? ofWindow : ofLast
      const isRatio = longer.calls >= settings.minimumCalls && longer.failures >= settings.failureRatio * longer.calls
      if (isRatio && isUnusual(longer)) return true
      if (ofWindow.calls >= settings.minimumCalls) return false
      const run = last.run(now)
      return run >= settings.consecutiveFailures && isUnusual({ calls: run, failures: run })
    },
    clear() {
      recent.clear()
      last.clear()
    },
  }
}

/** How far a share is from the usual one, in nats a call: the logarithm of how improbable it is (Chernoff's bound). */
function divergence(share: number, usual: number): number {
  const part = (seen: number, expected: number) => (seen === 0 ? 0 : seen * Math.log(seen / expected))
  return share <= usual ? 0 : part(share, usual) + part(1 - share, 1 - usual)
}
