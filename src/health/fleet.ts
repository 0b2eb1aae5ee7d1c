import type { Clock } from '../contract.ts'
import type { ClientEvent } from '../contract-events.ts'
import type { FailureReason } from '../contract-failures.ts'
import type { Guard } from './availability.ts'
import type { BreakerOptions } from './breaker.ts'
import { longestFactMs } from './store.ts'
import type { HealthFact, HealthStore, StoreMessage } from './store.ts'
import type { Condition, TargetNames } from './target-state.ts'
import { createTimer } from './timer.ts'

export type HealthEvent = Extract<ClientEvent, { readonly type: 'health-change' | 'local-network-suspected' | 'health-store' }>

/** How the fleet names a target and its credential. */
export type FleetNames = { readonly store: HealthStore; readonly target: string; readonly credential: string }

export type PublisherOptions = {
  readonly clock: Clock
  readonly fleet: FleetNames | undefined
}

/** A client that receives the changes. Each client has its own names for a target. */
export type Listener = { readonly emit: ((event: HealthEvent) => void) | undefined }

/** Reports every change of one target once, when it happens: to the listeners of the client, and to the fleet. */
export type Publisher = {
  /** Why the target is in doubt, which means that it was blocked and no attempt has succeeded since. */
  readonly doubt: FailureReason | undefined
  breakerChanged: BreakerOptions['onChange']
  /** Records that the gate, the key or the model was blocked. */
  blocked(reason: FailureReason, now: number): void
  /** Records that an attempt succeeded while the target was in doubt. */
  succeeded(now: number): void
  /** Reports a change if there is one. Returns the condition of the target, and when it began. */
  look(now: number): Condition & { readonly since: number }
  /** Sends a fact to the fleet, unless it came from the fleet. */
  publish(fact: Omit<HealthFact, 'key'>, about?: 'target' | 'credential'): void
  /** Runs a function without publishing its changes: another process has published them, or they are about this process alone. */
  withoutPublishing<Result>(run: () => Result): Result
  /** A target that stands at two places of a chain keeps the names of the first place. */
  listen(listener: Listener, names: TargetNames): void
  unlisten(listener: Listener): void
  close(): void
}

type Mutable = { -readonly [name in keyof Publisher]: Publisher[name] }

/** A gate that moves by less than this counts as the same gate. Otherwise a hundred refusals at once would cause a hundred events. */
const sameGateMs = 1_000

/** @param conditionAt returns the condition by the guards and the breaker */
export function createPublisher({ clock, fleet }: PublisherOptions, conditionAt: (now: number) => Condition): Publisher {
  const listeners = new Map<Listener, TargetNames>()
  let reported: Condition = { state: 'closed', reason: undefined, until: Infinity }
  let since = clock.now()
  // The timer reports to the listeners of an idle service that a target is back. Without listeners it is not set.
  const timer = createTimer(clock, () => look(clock.now()), { keepsProcess: false })

  function current(now: number): Condition {
    const condition = conditionAt(now)
    if (condition.state !== 'closed' || publisher.doubt === undefined) return condition
    return { state: 'half-open', reason: publisher.doubt, until: Infinity }
  }

  function look(now: number): Condition & { readonly since: number } {
    const condition = current(now)
    const { state, reason, until } = condition
    const isSame = state === reported.state && (state !== 'gated' || until - reported.until < sameGateMs)
    // A gate or an opening that has expired changed at its due time, however late that is noticed.
    const changedAt = isSame ? since : Math.min(now, Math.max(since, reported.until))
    if (!isSame) {
      const untilMs = until === Infinity ? undefined : until - now
      const change = { type: 'health-change' as const, at: now, state, reason, untilMs, sinceMs: changedAt - since }
      for (const [{ emit }, names] of listeners) emit?.({ ...change, ...names })
      if (state !== reported.state) since = changedAt
      reported = condition
      if (listeners.size > 0 && until !== Infinity) timer.set(until)
      else timer.clear()
    }
    return { ...condition, since }
  }

  const { publish, withoutPublishing } = publishingTo(fleet)
  const publisher: Mutable = {
    doubt: undefined,
    breakerChanged({ state, reason, until, now }) {
      publisher.doubt = state === 'closed' ? undefined : reason
      look(now)
      if (state === 'open') publish({ kind: 'open', reason, forMs: (until ?? now) - now })
      if (state === 'closed') publish({ kind: 'closed', reason, forMs: 0 })
    },
    blocked(reason, now) {
      publisher.doubt = reason
      look(now)
    },
    succeeded(now) {
      if (conditionAt(now).state !== 'closed') return
      publisher.doubt = undefined
      look(now)
    },
    look,
    publish,
    withoutPublishing,
    listen(listener, names) {
      if (listener.emit !== undefined && !listeners.has(listener)) listeners.set(listener, names)
    },
    unlisten: listener => void listeners.delete(listener),
    close: timer.clear,
  }
  return publisher
}

function publishingTo(fleet: FleetNames | undefined): Pick<Publisher, 'publish' | 'withoutPublishing'> {
  let isQuiet = false
  return {
    publish(fact, about = 'target') {
      if (fleet === undefined || isQuiet) return
      try {
        fleet.store.publish({ key: fleet[about], ...fact, forMs: Math.min(fact.forMs, longestFactMs) })
      } catch {
        // A store that fails must not fail a call. The store itself reports that it is lost.
      }
    },
    withoutPublishing(run) {
      isQuiet = true
      try {
        return run()
      } finally {
        isQuiet = false
      }
    },
  }
}

/** Receives facts from other processes, and passes each fact on to its target or key. */
export type Subscriber = {
  receive(message: StoreMessage): void
  /** Passes facts about `name` to `learn` from now on, and also earlier facts, with the time that they have left. */
  attach(name: string, learn: (fact: HealthFact) => void): void
}

/** The most facts that are kept for targets that this process has not used yet: a large store must not fill its memory. */
const mostEarlyFacts = 1_000

/**
 * How long after its time an opening of another process counts as half-open here, in milliseconds: a process that first uses the target
 * in this time requests the probe first.
 */
const halfOpenMs = 30_000

type EarlyFact = { readonly fact: HealthFact; readonly at: number }

export function createSubscriber({
  clock,
  emit,
  onProcesses,
}: {
  readonly clock: Clock
  readonly emit: (event: HealthEvent) => void
  /** Called with the number of processes in the fleet. */
  readonly onProcesses: (count: number) => void
}): Subscriber {
  const learners = new Map<string, (fact: HealthFact) => void>()
  const early = new Map<string, EarlyFact>()

  function keep(fact: HealthFact, at: number): void {
    const place = `${fact.kind} ${fact.key}`
    // Facts are learned in the order in which they came: what is newer must come last.
    early.delete(place)
    if (early.size < mostEarlyFacts) early.set(place, { fact, at })
  }

  return {
    receive(message) {
      const at = clock.now()
      if ('message' in message) {
        emit({ type: 'health-store', at, state: message.kind, message: message.message })
        return
      }
      if ('count' in message) {
        if (Number.isInteger(message.count) && message.count >= 1) onProcesses(message.count)
        return
      }
      if (!isCredible(message)) return
      const learn = learners.get(message.key)
      if (learn !== undefined) learn(message)
      else keep(message, at)
    },
    attach(name, learn) {
      learners.set(name, learn)
      for (const [place, { fact, at }] of early) {
        if (fact.key !== name) continue
        early.delete(place)
        const endedMs = clock.now() - at - fact.forMs
        const leftMs = fact.kind === 'open' && endedMs < halfOpenMs ? Math.max(1, -endedMs) : -endedMs
        if (fact.forMs === 0 || leftMs > 0) learn({ ...fact, forMs: Math.max(0, leftMs) })
      }
    },
  }
}

function isCredible({ forMs, limit }: HealthFact): boolean {
  return forMs >= 0 && forMs <= longestFactMs && (limit === undefined || limit >= 1)
}

export type FleetProbeOptions = {
  readonly clock: Clock
  readonly store: HealthStore
  readonly key: string
  readonly leaseMs: number
  /** Returns whether the guards of this process would let a probe in. */
  mayProbe(now: number): boolean
  /** Called when the store has answered. */
  onAnswer(): void
}

/** Lets only one process of a fleet probe a target (R107). The lease is requested in the background; no call waits for it. */
export type FleetProbe = Guard & {
  /** Releases the lease, because this process's own network failed: another process may probe, and this one asks again later (F93). */
  giveUp(now: number): void
}

/** How long this process waits for the store's answer, in milliseconds, before it probes without a lease (R117). No call waits meanwhile. */
const patienceMs = 200

export function createFleetProbe({ clock, store, key, leaseMs, mayProbe, onAnswer }: FleetProbeOptions): FleetProbe {
  const cause = { reason: 'overloaded' as FailureReason, message: 'Another process is finding out whether it works again.' }
  let grantedUntil = Number.NEGATIVE_INFINITY
  let deniedUntil = Number.NEGATIVE_INFINITY
  let requestedAt: number | undefined

  function request(now: number): void {
    requestedAt = now
    let answer: Promise<boolean>
    try {
      answer = store.lease(key, leaseMs)
    } catch {
      answer = Promise.resolve(true)
    }
    answer.then(
      granted => decide(granted, now),
      () => decide(true, now),
    )
  }

  function decide(granted: boolean, requested: number): void {
    if (requestedAt !== requested) return
    requestedAt = undefined
    if (granted) grantedUntil = clock.now() + leaseMs
    else deniedUntil = clock.now() + leaseMs / 2
    onAnswer()
  }

  async function release(): Promise<void> {
    await store.release?.(key)
  }

  return {
    giveUp(now) {
      if (now >= grantedUntil) return
      grantedUntil = Number.NEGATIVE_INFINITY
      deniedUntil = now + leaseMs / 2
      // A lease that cannot be released expires by itself.
      release().catch(() => {})
    },
    blockedUntil(now) {
      if (!mayProbe(now) || now < grantedUntil) return Number.NEGATIVE_INFINITY
      if (now < deniedUntil) return deniedUntil
      if (requestedAt === undefined) request(now)
      const aloneAt = (requestedAt ?? now) + patienceMs
      if (now < aloneAt) return aloneAt
      requestedAt = undefined
      grantedUntil = now + leaseMs
      return Number.NEGATIVE_INFINITY
    },
    needsProbe: () => false,
    cause: () => cause,
  }
}
