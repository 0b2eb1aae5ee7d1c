import type { Clock, Provider } from '../contract.ts'
import type { Price, TargetLimits } from '../contract-targets.ts'
import { createSubscriber } from './fleet.ts'
import type { FleetNames, HealthEvent, Subscriber } from './fleet.ts'
import { createKeyState } from './key.ts'
import type { KeyState } from './key.ts'
import { createLocalFault } from './local-fault.ts'
import type { LocalFault } from './local-fault.ts'
import { nameInFleet } from './loopback.ts'
import { isSameSettings } from './settings.ts'
import type { HealthSettings } from './settings.ts'
import type { HealthStore } from './store.ts'
import { trackTarget } from './target-health.ts'
import type { TrackedTarget } from './target-health.ts'
import type { TargetNames } from './target-state.ts'
import { createArrivalRate } from './waiters.ts'
import type { ArrivalRate } from './waiters.ts'

/** The memory of targets between calls, of one client or of all clients of a `sharedHealth()`. */
export type Memory = {
  /** @throws {TypeError} The client's settings differ from those of the clients that already use this memory. */
  join(client: MemoryClient): void
  /**
   * Returns the tracked target, and reports its changes to this client under the client's own names.
   *
   * @throws {TypeError} Another target of the same identity has different limits.
   */
  track(client: MemoryClient, target: HealthTarget): TrackedTarget
  /** Removes a client, which receives no more events. Returns whether it was the last client; then every timer is cleared. */
  leave(client: MemoryClient): boolean
}

/** A client as its memory sees it. */
export type MemoryClient = {
  readonly clock: Clock
  readonly random: () => number
  readonly settings: HealthSettings
  /** Receives the events; undefined if the client has no listener. */
  readonly emit: ((event: HealthEvent) => void) | undefined
}

export type HealthTarget = {
  readonly provider: Provider
  readonly model: string
  readonly name?: string | undefined
  /** The place of the target among all targets; the members of pools count one by one. */
  readonly index: number
  /** The place of the target in the chain; a pool is one step. */
  readonly step?: number | undefined
  readonly price?: Price | undefined
  readonly limits?: TargetLimits | undefined
}

type Entry = { readonly tracked: TrackedTarget; readonly origin: string }

type MemoryState = {
  readonly first: MemoryClient
  readonly store: HealthStore | undefined
  readonly clients: Set<MemoryClient>
  readonly entries: Map<string, Entry>
  readonly keys: Map<string, KeyState>
  /** Numbers for providers without identity. */
  readonly strangers: WeakMap<Provider, number>
  strangersMet: number
  readonly rate: ArrivalRate
  readonly localFault: LocalFault
  readonly subscriber: Subscriber
  /** How many processes share the store. */
  processes: number
}

/** @param first the client whose clock, randomness and settings apply to all */
export function createMemory(first: MemoryClient, store: HealthStore | undefined): Memory {
  const { clock } = first
  const clients = new Set<MemoryClient>()
  const entries = new Map<string, Entry>()
  const emit = (event: HealthEvent) => {
    for (const client of clients) client.emit?.(event)
  }
  const state: MemoryState = {
    ...{ first, store, clients, entries, keys: new Map(), strangers: new WeakMap(), strangersMet: 0, processes: 1 },
    rate: createArrivalRate(),
    localFault: createLocalFault({
      onSuspect({ origins, providers, since, now }) {
        emit({ type: 'local-network-suspected', at: now, providers })
        for (const { tracked, origin } of entries.values()) if (origins.includes(origin)) tracked.forgive(since, now)
      },
      onEnd() {
        for (const { tracked } of entries.values()) tracked.pump()
      },
    }),
    subscriber: createSubscriber({ clock, emit, onProcesses: count => divide(state, count) }),
  }
  // The store may report events at once, and this client must receive them.
  clients.add(first)
  const unsubscribe = store?.subscribe(state.subscriber.receive)
  return {
    join: client => join(state, client),
    track: (client, target) => track(state, client, target),
    leave(client) {
      clients.delete(client)
      for (const { tracked } of entries.values()) tracked.unlisten(client)
      if (clients.size > 0) return false
      unsubscribe?.()
      for (const { tracked } of entries.values()) tracked.close()
      return true
    },
  }
}

function join({ first, clients }: MemoryState, client: MemoryClient): void {
  if (client.clock !== first.clock)
    throw new TypeError('createClient: all clients of one sharedHealth() must use the same clock.')
  if (!isSameSettings(client.settings, first.settings)) {
    throw new TypeError(
      'createClient: another client of this sharedHealth() has other settings. Give all of them the same breaker and profile options.',
    )
  }
  clients.add(client)
}

function track(state: MemoryState, client: MemoryClient, target: HealthTarget): TrackedTarget {
  const identity = identityOf(state, target)
  const { tracked } = state.entries.get(identity.target) ?? addEntry(state, target, identity)
  checkLimits(target, tracked)
  tracked.listen(client, namesOf(target))
  return tracked
}

function addEntry(state: MemoryState, target: HealthTarget, identity: Identity): Entry {
  const { first, store, keys, localFault, rate, subscriber } = state
  const { clock, random, settings } = first
  const { provider, limits } = target
  const key = keys.get(identity.credential) ?? createKeyState(random)
  keys.set(identity.credential, key)
  subscriber.attach(identity.credential, fact => key.learn(fact, clock.now()))
  const isShared = provider.identity !== undefined && provider.identity.inFleet !== false
  const fleet: FleetNames | undefined = store === undefined || !isShared ? undefined : { store, ...identity }
  const network = localFault.of(identity.origin, provider.name)
  const shared = { key, network, rate, fleet, clock, random, limits }
  const tracked = trackTarget({ ...shared, settings: settingsFor(settings, provider) })
  tracked.divide(state.processes)
  subscriber.attach(identity.target, tracked.learn)
  const entry = { tracked, origin: identity.origin }
  state.entries.set(identity.target, entry)
  return entry
}

function divide(state: MemoryState, processes: number): void {
  state.processes = processes
  for (const { tracked } of state.entries.values()) tracked.divide(processes)
}

/** Targets of one identity share their counters, so they cannot have different limits. */
function checkLimits({ provider, model, limits, step = 0 }: HealthTarget, { state }: TrackedTarget): void {
  if (state.limits === undefined ? hasNone(limits) : state.limits.isSame(limits)) return
  throw new TypeError(
    `createClient: chain[${step}] (${provider.name} ${model}) has other limits than another target with the same address, model and ` +
      'key, with which it shares them. Give both the same limits.',
  )
}

function hasNone({ concurrency, requestsPerMinute, tokensPerMinute }: TargetLimits = {}): boolean {
  return concurrency === undefined && requestsPerMinute === undefined && tokensPerMinute === undefined
}

export function namesOf({ provider, model, name, index, step = index }: HealthTarget): TargetNames {
  return { provider: provider.name, model, name, targetIndex: index, step }
}

type Identity = { readonly origin: string; readonly credential: string; readonly target: string }

function identityOf(state: MemoryState, { provider, model, index }: HealthTarget): Identity {
  const { name, identity } = provider
  const origin = identity?.origin ?? `${name} (${strangerOf(state, provider)}.${index})`
  const path = identity?.path === undefined ? [] : [identity.path]
  const place = state.store === undefined ? origin : nameInFleet(origin)
  const credential = JSON.stringify([place, identity?.credential ?? ''])
  return { origin, credential, target: JSON.stringify([place, identity?.credential ?? '', ...path, model]) }
}

/**
 * A provider without identity may have nothing in common with others, so it shares its health with no other object, nor with itself at
 * another place of the chain.
 */
function strangerOf(state: MemoryState, provider: Provider): number {
  const known = state.strangers.get(provider)
  if (known !== undefined) return known
  state.strangersMet += 1
  state.strangers.set(provider, state.strangersMet)
  return state.strangersMet
}

/** A probe of a model that thinks in silence takes up to a minute; this lease, in milliseconds, is a little longer. */
const thinkingLeaseMs = 65_000

/** A probe of a model that thinks in silence takes longer, and the next probe must not replace it meanwhile (F9). */
function settingsFor(settings: HealthSettings, { capabilities }: Provider): HealthSettings {
  const { breaker } = settings
  if (capabilities?.hidesReasoning !== true || breaker === false) return settings
  return { ...settings, breaker: { ...breaker, probeLeaseMs: Math.max(breaker.probeLeaseMs, thinkingLeaseMs) } }
}
