import type { Clock, Price, Provider } from '../contract.ts'
import type { TargetNames } from './condition.ts'
import { createHearing } from './hearing.ts'
import type { FleetNames, HealthEvent } from './herald.ts'
import { createKeyMemory } from './key-memory.ts'
import type { KeyMemory } from './key-memory.ts'
import { createLocalFault } from './local-fault.ts'
import type { HealthSettings } from './settings.ts'
import { createPace } from './pace.ts'
import { snapshotOf } from './snapshot.ts'
import type { TargetSnapshot } from './snapshot.ts'
import type { HealthStore } from './store.ts'
import { createTargetMemory } from './target-memory.ts'
import type { TargetHealth, TargetMemory } from './target-memory.ts'

export type { HealthEvent } from './herald.ts'
export type { Charged } from '../contract.ts'
export type { Permit } from './permit.ts'
export type { TargetSnapshot } from './snapshot.ts'
export type { Standing } from './standing.ts'
export type { TargetHealth } from './target-memory.ts'

/** What a client remembers of its targets between calls. Nothing of one call is in it. */
export type Health = {
  /**
   * The memory of one target. Two targets of one identity (origin, path, model, credential) share it, and a refused key is shared by
   * all targets of one credential at one origin. A target without identity has a memory of its own.
   */
  of(target: HealthTarget): TargetHealth
  /** One entry for every target that was asked for, by index. */
  snapshot(): readonly TargetSnapshot[]
  /** Clears every timer; who still waits is not woken any more. It may be used again afterwards. */
  close(): void
}

/** A little more than such a probe may take. */
const thinkingLeaseMs = 65_000

export type HealthTarget = {
  readonly provider: Provider
  readonly model: string
  readonly name?: string | undefined
  /** Its place among all targets, members of pools counted one by one. */
  readonly index: number
  /** Its place in the chain; a pool is one step. */
  readonly step?: number | undefined
  readonly price?: Price | undefined
}

export type HealthOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly settings: HealthSettings
  /** Undefined: nobody listens. */
  readonly emit: ((event: HealthEvent) => void) | undefined
  /** The memory of a fleet. */
  readonly store?: HealthStore | undefined
}

type Known = { readonly target: HealthTarget; readonly memory: TargetMemory; readonly origin: string }

export function createHealth({ clock, random, settings, emit, store }: HealthOptions): Health {
  const known: Known[] = []
  const memories = new Map<string, TargetMemory>()
  const keys = new Map<string, KeyMemory>()
  /** Asked before every attempt: no string is built for a target that was the last one at its index. */
  const latest: (Known | undefined)[] = []

  const pace = createPace()
  const localFault = createLocalFault({
    settings: settings.localFault,
    onSuspect({ origins, providers, since, now }) {
      emit?.({ type: 'local-network-suspected', at: now, providers })
      for (const { memory, origin } of known) if (origins.includes(origin)) memory.pardon(since, now)
    },
    onEnd() {
      for (const { memory } of known) memory.pump()
    },
  })
  const hearing = createHearing({ clock, emit: event => emit?.(event) })
  const unsubscribe = store?.subscribe(hearing.hear)
  function of(target: HealthTarget): TargetHealth {
    const last = latest[target.index]
    if (last !== undefined && isSame(last.target, target)) return last.memory
    const entry = known.find(each => isSame(each.target, target)) ?? meet(target)
    latest[target.index] = entry
    return entry.memory
  }

  function meet(target: HealthTarget): Known {
    const names = namesOf(target, known.length)
    const memory = memories.get(names.target) ?? remember(target, names)
    memories.set(names.target, memory)
    const entry = { target, memory, origin: names.origin }
    known.push(entry)
    return entry
  }

  function remember(target: HealthTarget, names: Names): TargetMemory {
    const { provider } = target
    const key = keys.get(names.credential) ?? createKeyMemory(settings.gate, random)
    keys.set(names.credential, key)
    hearing.attach(names.credential, fact => key.learn(fact, clock.now()))
    const isShared = provider.identity !== undefined && provider.identity.inFleet !== false
    const fleet: FleetNames | undefined = store === undefined || !isShared ? undefined : { store, ...names }
    const watch = localFault.of(names.origin, provider.name)
    const about = { names: namesIn(target), key, watch, pace, fleet, emit, clock, random }
    const memory = createTargetMemory({ ...about, settings: settingsFor(settings, provider) })
    hearing.attach(names.target, memory.learn)
    return memory
  }

  return {
    of,
    snapshot: () => snapshotsOf(known, clock.now()),
    close() {
      unsubscribe?.()
      for (const memory of memories.values()) memory.close()
    },
  }
}

function snapshotsOf(known: readonly Known[], now: number): readonly TargetSnapshot[] {
  const byIndex = known.toSorted((a, b) => a.target.index - b.target.index)
  return byIndex.map(({ target, memory }) => snapshotOf(namesIn(target), memory, now))
}

function namesIn({ provider, model, name, index, step = index }: HealthTarget): TargetNames {
  return { provider: provider.name, model, name, targetIndex: index, step }
}

function isSame(a: HealthTarget, b: HealthTarget): boolean {
  return a.provider === b.provider && a.model === b.model && a.index === b.index
}

type Names = { readonly origin: string; readonly credential: string; readonly target: string }

/** Without identity nothing is known about whom a target has in common with others: its place among them is its name. */
function namesOf({ provider: { name, identity }, model }: HealthTarget, place: number): Names {
  const origin = identity?.origin ?? `${name} (${place})`
  const path = identity?.path === undefined ? [] : [identity.path]
  const credential = JSON.stringify([origin, identity?.credential ?? ''])
  return { origin, credential, target: JSON.stringify([origin, identity?.credential ?? '', ...path, model]) }
}

/** A probe of one that thinks in silence lasts longer, and is not to be replaced by the next one meanwhile (F9). */
function settingsFor(settings: HealthSettings, { capabilities }: Provider): HealthSettings {
  const { breaker } = settings
  if (capabilities?.hidesReasoning !== true || breaker === false) return settings
  return { ...settings, breaker: { ...breaker, probeLeaseMs: Math.max(breaker.probeLeaseMs, thinkingLeaseMs) } }
}
