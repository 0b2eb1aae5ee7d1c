import type { ClientEvent, Clock, FailureReason } from '../contract.ts'
import { createAlarm } from './alarm.ts'
import type { BreakerOptions } from './breaker.ts'
import type { Condition, TargetNames } from './condition.ts'
import { longestFactMs } from './store.ts'
import type { HealthFact, HealthStore } from './store.ts'

export type HealthEvent = Extract<ClientEvent, { readonly type: 'health-change' | 'local-network-suspected' | 'health-store' }>

/** What the fleet calls a target and its credential. */
export type FleetNames = { readonly store: HealthStore; readonly target: string; readonly credential: string }

export type HeraldOptions = {
  readonly clock: Clock
  readonly names: TargetNames
  /** Undefined: nobody listens. */
  readonly emit: ((event: HealthEvent) => void) | undefined
  readonly fleet: FleetNames | undefined
}

/** Tells every change of one target once, when it happens: to whoever listens, and to the fleet. */
export type Herald = {
  breakerChanged: BreakerOptions['onChange']
  /** A gate, a key or a model was shut. */
  gated(reason: FailureReason, now: number): void
  /** An attempt was good: nobody need doubt the target any more. */
  succeeded(now: number): void
  /** Something may have changed. Returns the condition, and since when it is so. */
  look(now: number): Condition & { readonly since: number }
  /** To the fleet, unless it is the fleet that told us. */
  publish(fact: Omit<HealthFact, 'key'>, about?: 'target' | 'credential'): void
  /** Runs what the fleet must not be told: another process told it, or it is about this process alone. */
  quietly<Result>(run: () => Result): Result
  close(): void
}

/** A gate that moves by less than this is the same gate, or a hundred refusals at once would be a hundred events. */
const sameGateMs = 1_000

/** @param conditionAt what gates and breaker say */
export function createHerald({ clock, names, emit, fleet }: HeraldOptions, conditionAt: (now: number) => Condition): Herald {
  /** Why it is in doubt: it was shut, and no attempt has been good since. */
  let doubt: FailureReason | undefined
  let told: Condition = { state: 'closed', reason: undefined, until: Infinity }
  let since = clock.now()
  // an idle service hears that a target is back; where nobody listens no timer is needed
  const alarm = createAlarm(clock, () => look(clock.now()), { keepsProcess: false })

  function current(now: number): Condition {
    const condition = conditionAt(now)
    if (condition.state !== 'closed' || doubt === undefined) return condition
    return { state: 'half-open', reason: doubt, until: Infinity }
  }

  function look(now: number): Condition & { readonly since: number } {
    const condition = current(now)
    const { state, reason, until } = condition
    const isSame = state === told.state && (state !== 'gated' || until - told.until < sameGateMs)
    // a gate or an opening that ran out did so when it was due, whoever looks later
    const changedAt = isSame ? since : Math.min(now, Math.max(since, told.until))
    if (!isSame) {
      const untilMs = until === Infinity ? undefined : until - now
      emit?.({ type: 'health-change', at: now, ...names, state, reason, untilMs, sinceMs: changedAt - since })
      if (state !== told.state) since = changedAt
      told = condition
      if (emit !== undefined && until !== Infinity) alarm.set(until)
      else alarm.clear()
    }
    return { ...condition, since }
  }

  const { publish, quietly } = createPublisher(fleet)
  return {
    breakerChanged({ state, reason, until, now }) {
      doubt = state === 'closed' ? undefined : reason
      look(now)
      if (state === 'open') publish({ kind: 'open', reason, forMs: until === undefined ? 0 : until - now })
      if (state === 'closed') publish({ kind: 'closed', reason, forMs: 0 })
    },
    gated(reason, now) {
      doubt = reason
      look(now)
    },
    succeeded(now) {
      if (doubt === undefined || conditionAt(now).state !== 'closed') return
      doubt = undefined
      look(now)
    },
    look,
    publish,
    quietly,
    close: alarm.clear,
  }
}

function createPublisher(fleet: FleetNames | undefined): Pick<Herald, 'publish' | 'quietly'> {
  let isQuiet = false
  return {
    publish(fact, about = 'target') {
      if (fleet === undefined || isQuiet) return
      try {
        fleet.store.publish({ key: fleet[about], ...fact, forMs: Math.min(fact.forMs, longestFactMs) })
      } catch {
        // A store that fails must not fail a call; it tells by itself that it is lost.
      }
    },
    quietly(run) {
      isQuiet = true
      try {
        return run()
      } finally {
        isQuiet = false
      }
    },
  }
}
