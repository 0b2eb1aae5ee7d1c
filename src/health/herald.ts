import type { ClientEvent, FailureReason } from '../contract.ts'
import type { BreakerOptions } from './breaker.ts'
import { longestFactMs } from './store.ts'
import type { HealthFact, HealthStore } from './store.ts'

export type HealthEvent = Extract<ClientEvent, { readonly type: 'health-change' | 'local-network-suspected' | 'health-store' }>

/** What the fleet calls a target and its credential. */
export type FleetNames = { readonly store: HealthStore; readonly target: string; readonly credential: string }

export type HeraldOptions = {
  readonly provider: string
  readonly model: string
  readonly emit: (event: HealthEvent) => void
  readonly fleet: FleetNames | undefined
}

/** Tells every change of one target once: to whoever listens, and to the fleet. */
export type Herald = {
  breakerChanged: BreakerOptions['onChange']
  gated(reason: FailureReason, until: number, now: number): void
  /** Calls pass; told only after it was told that they do not. */
  passable(now: number): void
  /** To the fleet, unless it is the fleet that told us. */
  publish(fact: Omit<HealthFact, 'key'>, about?: 'target' | 'credential'): void
  /** Runs what another process told without telling it back. */
  quietly(learn: () => void): void
}

/** A gate that moves by less than this is the same gate, or a hundred refusals at once would be a hundred events. */
const sameGateMs = 1_000

export function createHerald({ provider, model, emit, fleet }: HeraldOptions): Herald {
  let gatedUntil: number | undefined
  let isQuiet = false

  function publish(fact: Omit<HealthFact, 'key'>, about: 'target' | 'credential' = 'target'): void {
    if (fleet === undefined || isQuiet) return
    try {
      fleet.store.publish({ key: fleet[about], ...fact, forMs: Math.min(fact.forMs, longestFactMs) })
    } catch {
      // A store that fails must not fail a call; it tells by itself that it is lost.
    }
  }

  return {
    breakerChanged({ state, reason, until, now }) {
      const untilMs = until === undefined ? undefined : until - now
      emit({ type: 'health-change', at: now, provider, model, state, reason: state === 'closed' ? undefined : reason, untilMs })
      if (state === 'open') publish({ kind: 'open', reason, forMs: untilMs ?? 0 })
      if (state === 'closed') publish({ kind: 'closed', reason, forMs: 0 })
    },
    gated(reason, until, now) {
      if (gatedUntil !== undefined && now < gatedUntil && until - gatedUntil < sameGateMs) return
      gatedUntil = until
      emit({ type: 'health-change', at: now, provider, model, state: 'gated', reason, untilMs: until - now })
    },
    passable(now) {
      if (gatedUntil === undefined) return
      gatedUntil = undefined
      emit({ type: 'health-change', at: now, provider, model, state: 'ungated', reason: undefined, untilMs: undefined })
    },
    publish,
    quietly(learn) {
      isQuiet = true
      try {
        learn()
      } finally {
        isQuiet = false
      }
    },
  }
}
