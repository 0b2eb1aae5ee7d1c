import type { Guard, Probe } from './availability.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import { isLoopback } from './loopback.ts'

/** When failures of several services count as a fault on our side. `docs/health.md` lists these numbers. */
export const localFaultSettings = {
  /** Services that begin to fail within this time of each other, in milliseconds, fail together. */
  withinMs: 5_000,
  /** How long none of them gets a request then, in milliseconds; doubled while the fault lasts. */
  pauseMs: 1_000,
  /** The longest such pause, in milliseconds. */
  maxPauseMs: 4_000,
} as const

/**
 * When unrelated services become unreachable in the same seconds, the fault is most likely on our side: DNS, a proxy or the network.
 * Then the failures are charged to no target, no service gets a request for a moment, and one call at a time probes.
 */
export type LocalFault = { of(origin: string, provider: string): OriginNetwork }

/** Whether the network between this process and one origin works. */
export type OriginNetwork = Guard & {
  /** Records that the origin could not be reached. Returns whether the fault is most likely on our side. */
  fail(now: number): boolean
  /** Records that the origin answered, with any status. */
  reach(): void
  /** Returns a probe; undefined if no fault is suspected, or while another call probes. */
  takeProbe(now: number): Probe | undefined
}

export type LocalFaultOptions = {
  /** Called once for every fault. */
  readonly onSuspect: (fault: SuspectedFault) => void
  /** Called when one of the services has answered, so that all of them are available again. */
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
  /** When the origin became unreachable; undefined if its last call reached it. */
  failingSince: number | undefined
  failedAt: number
  isSuspect: boolean
}

type Network = LocalFaultOptions & {
  readonly origins: Map<string, Origin>
  readonly lease: Lease
  /** When the suspicion expires by itself. After an idle hour an old suspicion proves nothing. */
  suspectUntil: number
  pauseUntil: number
  pauses: number
}

const never = Number.NEGATIVE_INFINITY
const cause = {
  reason: 'network',
  message: 'Several services cannot be reached at once, so the fault is most likely on this side.',
} as const

const { withinMs, pauseMs, maxPauseMs } = localFaultSettings

export function createLocalFault(options: LocalFaultOptions): LocalFault {
  const lease = createLease(withinMs)
  const network: Network = { ...options, origins: new Map(), lease, suspectUntil: never, pauseUntil: never, pauses: 0 }
  return { of: (name, provider) => networkOf(network, originNamed(network, name, provider)) }
}

function originNamed({ origins }: Network, name: string, provider: string): Origin {
  const origin = origins.get(name) ?? { name, provider, failingSince: undefined, failedAt: never, isSuspect: false }
  origins.set(name, origin)
  return origin
}

function networkOf(network: Network, origin: Origin): OriginNetwork {
  const isSuspect = (now: number) => origin.isSuspect && now < network.suspectUntil
  return {
    blockedUntil: now => (isSuspect(now) ? Math.max(network.pauseUntil, network.lease.freeAt) : never),
    needsProbe: isSuspect,
    cause: () => cause,
    fail: now => fail(network, origin, now),
    reach: () => reach(network, origin),
    takeProbe: now => (isSuspect(now) ? takeProbe(network.lease, now) : undefined),
  }
}

function fail(network: Network, origin: Origin, now: number): boolean {
  origin.failingSince ??= now
  origin.failedAt = now
  // A server on this machine needs no network, so its failures say nothing about the network.
  if (isLoopback(origin.name)) return false
  if (now < network.suspectUntil) {
    origin.isSuspect = true
    pause(network, now)
    return true
  }
  const others = failingTogether(network, origin, now)
  if (others.length === 0) return false
  suspect(network, [...others, origin], now)
  return true
}

/** Returns the origins that began to fail together with this one. An origin that has been down for long proves nothing. */
function failingTogether({ origins }: Network, origin: Origin, now: number): Origin[] {
  const beganWith = (other: Origin) => Math.abs((other.failingSince ?? never) - (origin.failingSince ?? now)) <= withinMs
  const isRecent = (other: Origin) => now - other.failedAt <= withinMs
  return [...origins.values()].filter(other => other !== origin && !isLoopback(other.name) && beganWith(other) && isRecent(other))
}

function suspect(network: Network, members: readonly Origin[], now: number): void {
  network.pauses = 0
  network.pauseUntil = never
  pause(network, now)
  for (const member of members) member.isSuspect = true
  network.onSuspect({
    origins: members.map(member => member.name),
    providers: members.map(member => member.provider),
    since: Math.min(...members.map(member => member.failingSince ?? now)),
    now,
  })
}

function pause(network: Network, now: number): void {
  // Failures of calls that were in flight together count as one failure.
  if (now >= network.pauseUntil) {
    network.pauseUntil = now + Math.min(maxPauseMs, pauseMs * 2 ** network.pauses)
    network.pauses += 1
  }
  network.suspectUntil = network.pauseUntil + withinMs
}

function reach(network: Network, origin: Origin): void {
  origin.failingSince = undefined
  if (!origin.isSuspect) return
  for (const each of network.origins.values()) each.isSuspect = false
  network.suspectUntil = never
  network.onEnd()
}

function takeProbe(lease: Lease, now: number): Probe | undefined {
  const id = lease.take(now)
  return id === undefined ? undefined : { end: () => lease.giveBack(id) }
}
