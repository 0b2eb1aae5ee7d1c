import type { Guard, Trial } from './guard.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import type { LocalFaultSettings } from './settings.ts'

/**
 * When services that have nothing to do with each other become unreachable in the same seconds, the fault is most likely on our side:
 * DNS, a proxy, the network. Then nobody is charged, nobody is asked for a moment, and one call at a time finds out.
 */
export type LocalFault = { of(origin: string, provider: string): OriginWatch }

export type OriginWatch = Guard & {
  /** It could not be reached. Answers whether that is most likely our own fault. */
  fail(now: number): boolean
  /** It answered, no matter what. */
  reach(): void
  /** The one call that finds out; undefined when there is nothing to find out, or when another one does. */
  take(now: number): Trial | undefined
}

export type LocalFaultOptions = {
  readonly settings: LocalFaultSettings
  /** Told once for every fault. */
  readonly onSuspect: (fault: SuspectedFault) => void
  /** One of them answered: all may be asked again. */
  readonly onEnd: () => void
}

export type SuspectedFault = {
  readonly origins: readonly string[]
  readonly providers: readonly string[]
  /** When the first of these services began to fail. */
  readonly since: number
  readonly now: number
}

type Origin = {
  readonly name: string
  readonly provider: string
  /** When it began to be unreachable; undefined when it answered last. */
  failingSince: number | undefined
  failedAt: number
  isSuspect: boolean
}

type Memory = LocalFaultOptions & {
  readonly origins: Map<string, Origin>
  readonly lease: Lease
  /** The suspicion ends then by itself: after an idle hour nothing is known any more. */
  suspectUntil: number
  pauseUntil: number
  pauses: number
}

const never = Number.NEGATIVE_INFINITY
const why = {
  reason: 'network',
  message: 'Several services cannot be reached at once: most likely the fault is on our side.',
} as const

export function createLocalFault(options: LocalFaultOptions): LocalFault {
  const lease = createLease(options.settings.withinMs)
  const memory: Memory = { ...options, origins: new Map(), lease, suspectUntil: never, pauseUntil: never, pauses: 0 }
  return { of: (name, provider) => watch(memory, originNamed(memory, name, provider)) }
}

function originNamed({ origins }: Memory, name: string, provider: string): Origin {
  const origin = origins.get(name) ?? { name, provider, failingSince: undefined, failedAt: never, isSuspect: false }
  origins.set(name, origin)
  return origin
}

function watch(memory: Memory, origin: Origin): OriginWatch {
  const isShut = (now: number) => origin.isSuspect && now < memory.suspectUntil
  return {
    openAt: now => (isShut(now) ? Math.max(memory.pauseUntil, memory.lease.freeAt()) : never),
    onTrial: isShut,
    why: () => why,
    fail: now => fail(memory, origin, now),
    reach: () => reach(memory, origin),
    take: now => (isShut(now) ? take(memory.lease, now) : undefined),
  }
}

function fail(memory: Memory, origin: Origin, now: number): boolean {
  origin.failingSince ??= now
  origin.failedAt = now
  if (isLoopback(origin.name)) return false
  if (now < memory.suspectUntil) {
    origin.isSuspect = true
    pause(memory, now)
    return true
  }
  const others = companions(memory, origin, now)
  if (others.length === 0) return false
  suspect(memory, [...others, origin], now)
  return true
}

/** Those that began to fail together with it. One that has been down for long is no witness. */
function companions({ origins, settings: { withinMs } }: Memory, origin: Origin, now: number): Origin[] {
  const beganWith = (other: Origin) => Math.abs((other.failingSince ?? never) - (origin.failingSince ?? now)) <= withinMs
  const isRecent = (other: Origin) => now - other.failedAt <= withinMs
  return [...origins.values()].filter(other => other !== origin && !isLoopback(other.name) && beganWith(other) && isRecent(other))
}

function suspect(memory: Memory, members: readonly Origin[], now: number): void {
  memory.pauses = 0
  memory.pauseUntil = never
  pause(memory, now)
  for (const member of members) member.isSuspect = true
  memory.onSuspect({
    origins: members.map(member => member.name),
    providers: members.map(member => member.provider),
    since: Math.min(...members.map(member => member.failingSince ?? now)),
    now,
  })
}

function pause(memory: Memory, now: number): void {
  const { pauseMs, maxPauseMs, withinMs } = memory.settings
  // Failures of calls that were under way together are one failure.
  if (now >= memory.pauseUntil) {
    memory.pauseUntil = now + Math.min(maxPauseMs, pauseMs * 2 ** memory.pauses)
    memory.pauses += 1
  }
  memory.suspectUntil = memory.pauseUntil + withinMs
}

function reach(memory: Memory, origin: Origin): void {
  origin.failingSince = undefined
  if (!origin.isSuspect) return
  for (const each of memory.origins.values()) each.isSuspect = false
  memory.suspectUntil = never
  memory.onEnd()
}

function take(lease: Lease, now: number): Trial | undefined {
  const id = lease.take(now)
  return id === undefined ? undefined : { end: () => lease.giveBack(id) }
}

/** A server on this machine is reached without a network: whether it runs says nothing about the network. */
function isLoopback(origin: string): boolean {
  return /^[a-z]+:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(origin)
}
