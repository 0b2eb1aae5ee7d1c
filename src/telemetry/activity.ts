import type { Clock, ServerLoad } from '../contract.ts'
import type { AttemptRecord, ClientEvent } from '../contract-events.ts'
import type { FailureReason } from '../contract-failures.ts'
import type { TargetSnapshot } from '../health/health.ts'
import type { KeepWarmStatus } from './keep-warm-status.ts'

type Outcome = Extract<ClientEvent, { readonly type: 'call-end' }>['outcome']

/** One failed attempt, without any text of a prompt, an answer or an error. */
export type FailureNote = {
  /** When the attempt ended, in the format of `Date.toISOString()`. */
  readonly at: string
  readonly reason: FailureReason | undefined
  readonly status: number | undefined
  /** The request id from the provider, cut to 128 characters. */
  readonly requestId: string | undefined
}

/** The current health of one target, and the results of this client's attempts there. */
export type TargetStatus = TargetSnapshot & {
  /** The number of attempts since the client was created, including probes. */
  readonly answered: number
  readonly failed: number
  /** Attempts that lost a race or were aborted by the caller. */
  readonly abandoned: number
  /** The cost in US dollars, as far as price and usage are known. */
  readonly cost: number
  /** Attempts that may have been billed but did not report their usage. */
  readonly unknownUsage: number
  /** The last ten failures, newest first. */
  readonly lastFailures: readonly FailureNote[]
  /** Attempts of the last five minutes. */
  readonly recent: { readonly seconds: number; readonly answered: number; readonly failed: number }
  /** Pings of `keepWarm` and `warmUp()`; undefined if the target is not kept warm. */
  readonly keepWarm: KeepWarmStatus | undefined
  /** The load that the server last reported; undefined if it reports none. Servers outside of pools are never asked. */
  readonly server: ServerLoad | undefined
}

/** The number of calls by outcome. */
export type CallCounts = {
  /** Answered by any target. */
  readonly answered: number
  /** The part of `answered` that did not come from the first step. Replicas of a pool are one step. */
  readonly fallback: number
  /** Answered by the default response. */
  readonly degraded: number
  readonly failed: number
  readonly aborted: number
}

/** What `client.status()` returns: plain data that can be serialised as JSON. */
export type ClientStatus = {
  /** When `status()` was called, and when the client was created, in the format of `Date.toISOString()`. */
  readonly at: string
  readonly since: string
  readonly closed: boolean
  /** In the order of the chain. */
  readonly targets: readonly TargetStatus[]
  /** Calls that ended in the last five minutes. */
  readonly recent: CallCounts & {
    readonly seconds: number
    /** The same counts in steps of time, oldest first; the last step is still in progress. */
    readonly steps: readonly (CallCounts & { readonly seconds: number })[]
  }
}

/** Counts the calls and attempts of one client. It always counts, because `status()` may be called at any time. */
export type Activity = {
  /** Counts an ended attempt. It is not an event, because probes that outlive their call count too, and there may be no listener. */
  attempted(record: AttemptRecord): void
  /** @param step the step of the target that answered */
  called(outcome: Outcome, step: number | undefined): void
  status(
    health: readonly TargetSnapshot[],
    more: { readonly closed: boolean; readonly keepWarm: WarmOf | undefined; readonly server: LoadOf },
  ): ClientStatus
}

type WarmOf = (targetIndex: number) => KeepWarmStatus | undefined
type LoadOf = (targetIndex: number) => ServerLoad | undefined

const steps = 20
const stepSeconds = 15
const stepMs = stepSeconds * 1_000
const seconds = steps * stepSeconds
const keptFailures = 10
const longestId = 128

/** The counts of one step of time, in the order of `callFields` or `attemptFields`. */
type Step = { time: number; readonly counts: number[] }

const callFields = ['answered', 'fallback', 'degraded', 'failed', 'aborted'] as const
const attemptFields = ['answered', 'failed'] as const

/** @param wall the time of day in milliseconds since 1970, now */
export function createActivity({ clock, wall }: { readonly clock: Clock; readonly wall: () => number }): Activity {
  const targets: Counted[] = []
  const calls = createRing(callFields.length)
  const since = new Date(wall()).toISOString()

  function of(targetIndex: number): Counted {
    return (targets[targetIndex] ??= createCounted({ clock, wall }))
  }

  return {
    attempted: record => of(record.targetIndex).count(record),
    called(outcome, step) {
      const { counts } = calls.at(clock.now())
      add(counts, callFields.indexOf(outcome))
      if (outcome === 'answered' && step !== undefined && step > 0) add(counts, 1)
    },
    status(health, { closed, keepWarm, server }) {
      const now = clock.now()
      return {
        at: new Date(wall()).toISOString(),
        since,
        closed,
        targets: health.map(snapshot => ({
          ...snapshot,
          ...of(snapshot.targetIndex).status(now),
          keepWarm: keepWarm?.(snapshot.targetIndex),
          server: server(snapshot.targetIndex),
        })),
        recent: {
          seconds,
          ...callCounts(calls.sum(now)),
          steps: calls.list(now).map(counts => ({ seconds: stepSeconds, ...callCounts(counts) })),
        },
      }
    },
  }
}

/** Returns whether the attempt may have been billed an unknown amount: it was not refused, and no usage was reported. */
export function isUsageUnknown({ outcome, cost, usage }: AttemptRecord): boolean {
  return outcome !== 'skipped' && cost === undefined && usage?.outputTokens === undefined
}

type Counted = {
  count(record: AttemptRecord): void
  status(now: number): Omit<TargetStatus, keyof TargetSnapshot | 'keepWarm' | 'server'>
}

function createCounted({ clock, wall }: { readonly clock: Clock; readonly wall: () => number }): Counted {
  const ring = createRing(attemptFields.length)
  const totals = { answered: 0, failed: 0, abandoned: 0, cost: 0, unknownUsage: 0 }
  const failures: { readonly at: number; readonly note: Omit<FailureNote, 'at'> }[] = []
  return {
    count(record) {
      const { outcome, cost } = record
      if (outcome === 'skipped') return
      totals[outcome] += 1
      totals.cost += cost ?? 0
      if (isUsageUnknown(record)) totals.unknownUsage += 1
      if (outcome === 'abandoned') return
      add(ring.at(clock.now()).counts, outcome === 'answered' ? 0 : 1)
      if (outcome === 'answered') return
      const { reason, status, requestId } = record
      failures.push({ at: wall(), note: { reason, status, requestId: requestId?.slice(0, longestId) } })
      if (failures.length > keptFailures) failures.shift()
    },
    status(now) {
      const [answered = 0, failed = 0] = ring.sum(now)
      return {
        ...totals,
        lastFailures: failures.toReversed().map(({ at, note }) => ({ at: new Date(at).toISOString(), ...note })),
        recent: { seconds, answered, failed },
      }
    },
  }
}

function callCounts([answered = 0, fallback = 0, degraded = 0, failed = 0, aborted = 0]: readonly number[]): CallCounts {
  return { answered, fallback, degraded, failed, aborted }
}

function add(counts: number[], index: number): void {
  counts[index] = (counts[index] ?? 0) + 1
}

type Ring = {
  /** Returns the current step. */
  at(now: number): Step
  /** Returns the counts of every step, oldest first. */
  list(now: number): readonly (readonly number[])[]
  sum(now: number): readonly number[]
}

/** The counts of the last five minutes, without a timer: an old step is ignored when read and cleared when its slot is reused. */
function createRing(fields: number): Ring {
  const zeros = (): number[] => Array.from({ length: fields }, () => 0)
  const ring: Step[] = Array.from({ length: steps }, () => ({ time: -Infinity, counts: zeros() }))
  const empty = zeros()

  function list(now: number): readonly (readonly number[])[] {
    const newest = Math.floor(now / stepMs)
    return Array.from({ length: steps }, (_, place) => {
      const time = newest - steps + 1 + place
      const step = ring[indexOf(time)]
      return step?.time === time ? step.counts : empty
    })
  }

  return {
    at(now) {
      const time = Math.floor(now / stepMs)
      const step = ring[indexOf(time)] ?? { time, counts: zeros() }
      if (step.time !== time) {
        step.time = time
        step.counts.fill(0)
      }
      return step
    },
    list,
    sum: now => list(now).reduce((sums, counts) => sums.map((sum, index) => sum + (counts[index] ?? 0)), empty),
  }
}

/** Works for negative times too, because a clock may start below zero. */
function indexOf(time: number): number {
  return ((time % steps) + steps) % steps
}
