import type { TargetState as StateName } from '../contract-events.ts'
import type { FailureReason } from '../contract-failures.ts'
import type { LimitsSnapshot } from './limits.ts'
import { namesOf } from './memory.ts'
import type { HealthTarget, MemoryClient } from './memory.ts'
import { joinMemory } from './shared-health.ts'
import type { SharedHealth } from './shared-health.ts'
import type { HealthStore } from './store.ts'
import type { TargetHealth, TrackedTarget } from './target-health.ts'
import type { TargetNames } from './target-state.ts'

export type { Charged } from '../contract-failures.ts'
export type { Availability } from './availability.ts'
export type { HealthEvent } from './fleet.ts'
export type { LimitsSnapshot } from './limits.ts'
export type { Permit } from './outcome.ts'
export type { TargetHealth } from './target-health.ts'

/** What a client remembers of its targets between calls. It holds nothing of a single call. */
export type Health = {
  /**
   * Returns the health of one target. Two targets of one identity (origin, path, model, credential) share it, and a refused key is shared by
   * all targets of one credential at one origin. A target without identity shares nothing.
   */
  of(target: HealthTarget): TargetHealth
  /** Returns one entry for every target that was asked for, by index. */
  snapshot(): readonly TargetSnapshot[]
  /** Clears every timer, unless other clients use the memory. Calls that still wait are no longer woken. */
  close(): void
}

/** What is known of one target now. Plain data: JSON keeps all of it. */
export type TargetSnapshot = {
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  readonly targetIndex: number
  /** The place of the target in the chain, from 0; a pool is one step. */
  readonly step: number
  readonly state: StateName
  /** Why the state is not `closed`. */
  readonly reason: FailureReason | undefined
  /** How long the state lasts, in milliseconds from now; undefined = not known. */
  readonly untilMs: number | undefined
  /** How long the state has lasted, in milliseconds. */
  readonly sinceMs: number
  /** Requests in flight, of all clients that share this health. */
  readonly inFlight: number
  /** How many requests may be in flight, configured or learned; undefined = not limited. */
  readonly limit: number | undefined
  /** How much of the configured `limits` is used; undefined = there are none. */
  readonly limits: LimitsSnapshot | undefined
  /** Calls that wait until the target is available. */
  readonly waiting: number
  /** The time to the first content, in milliseconds. */
  readonly firstChunkMs: { readonly p50: number; readonly p98: number } | undefined
  /** How many retries the target may get now. */
  readonly retriesLeft: number
}

export type HealthOptions = MemoryClient & {
  /** The memory of a fleet, or of several clients. */
  readonly store?: HealthStore | SharedHealth | undefined
}

type Known = { readonly target: HealthTarget; readonly tracked: TrackedTarget }

/** @throws {TypeError} The clients of one `sharedHealth()` have different settings, or targets of one identity have different limits. */
export function createHealth({ store, ...client }: HealthOptions): Health {
  const memory = joinMemory(client, store)
  const known: Known[] = []
  /** The last target at each index. It is checked first, so that most attempts build no string to find their target. */
  const latest: (Known | undefined)[] = []

  function of(target: HealthTarget): TargetHealth {
    const last = latest[target.index]
    if (last !== undefined && isSame(last.target, target)) return last.tracked
    const entry = known.find(each => isSame(each.target, target)) ?? add(target)
    latest[target.index] = entry
    return entry.tracked
  }

  function add(target: HealthTarget): Known {
    const entry = { target, tracked: memory.track(client, target) }
    known.push(entry)
    return entry
  }

  return {
    of,
    snapshot: () => snapshotsOf(known, client.clock.now()),
    close: () => void memory.leave(client),
  }
}

function snapshotsOf(known: readonly Known[], now: number): readonly TargetSnapshot[] {
  const inOrder = known.toSorted((one, other) => one.target.index - other.target.index)
  return inOrder.map(({ target, tracked }) => snapshotOf(namesOf(target), tracked, now))
}

function snapshotOf(names: TargetNames, tracked: TrackedTarget, now: number): TargetSnapshot {
  const { limiter, latency, budget, limits: configured } = tracked.state
  const limits = configured?.look(now)
  const limit = Math.min(limiter.limit(now), limits?.concurrency?.limit ?? Infinity)
  const quantiles = latency.quantiles()
  const { state, reason, until, since } = tracked.look(now)
  return {
    ...names,
    ...{ state, reason, untilMs: until === Infinity ? undefined : until - now, sinceMs: now - since },
    inFlight: limiter.inFlight(),
    limit: limit === Infinity ? undefined : limit,
    limits,
    waiting: tracked.waiting(),
    firstChunkMs: quantiles === undefined ? undefined : { p50: quantiles.p50, p98: quantiles.p98 },
    retriesLeft: Math.floor(budget.tokens() + 1e-9),
  }
}

function isSame(a: HealthTarget, b: HealthTarget): boolean {
  return a.provider === b.provider && a.model === b.model && a.index === b.index
}
