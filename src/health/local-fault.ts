import type { Guard, Trial } from './guard.ts'
import { createLease } from './lease.ts'
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
  /** Told once for every fault. `since` is when the first of these services began to fail. */
  onSuspect(fault: {
    readonly origins: readonly string[]
    readonly providers: readonly string[]
    readonly since: number
    readonly now: number
  }): void
  /** One of them answered: all may be asked again. */
  onEnd(): void
}

type Origin = {
  readonly name: string
  readonly provider: string
  /** When it began to be unreachable; undefined when it answered last. */
  failingSince: number | undefined
  failedAt: number
  isSuspect: boolean
}

export function createLocalFault({ settings, onSuspect, onEnd }: LocalFaultOptions): LocalFault {
  const origins = new Map<string, Origin>()
  const lease = createLease(settings.withinMs)
  const why = {
    reason: 'network',
    message: 'Several services cannot be reached at once: most likely the fault is on our side.',
  } as const
  let suspectUntil = Number.NEGATIVE_INFINITY
  let pauseUntil = Number.NEGATIVE_INFINITY
  let pauses = 0

  const isSuspected = (now: number) => now < suspectUntil

  function pause(now: number): void {
    // An old suspicion ends by itself: after an idle hour nothing is known any more.
    if (now >= pauseUntil) {
      pauseUntil = now + Math.min(settings.maxPauseMs, settings.pauseMs * 2 ** pauses)
      pauses += 1
    }
    suspectUntil = pauseUntil + settings.withinMs
  }

  /** Those that began to fail together with it. One that has been down for long is no witness. */
  function companions(of: Origin, now: number): Origin[] {
    const together = (other: Origin) =>
      other.failingSince !== undefined &&
      of.failingSince !== undefined &&
      Math.abs(other.failingSince - of.failingSince) <= settings.withinMs &&
      now - other.failedAt <= settings.withinMs
    return [...origins.values()].filter(other => other !== of && !isLoopback(other.name) && together(other))
  }

  function fail(origin: Origin, now: number): boolean {
    origin.failingSince ??= now
    origin.failedAt = now
    if (isLoopback(origin.name)) return false
    const others = isSuspected(now) ? [] : companions(origin, now)
    if (!isSuspected(now) && others.length === 0) return false
    origin.isSuspect = true
    if (isSuspected(now)) pause(now)
    else suspect([...others, origin], now)
    return true
  }

  function suspect(members: readonly Origin[], now: number): void {
    pauses = 0
    pause(now)
    for (const member of members) member.isSuspect = true
    const since = Math.min(...members.map(member => member.failingSince ?? now))
    onSuspect({ origins: members.map(member => member.name), providers: members.map(member => member.provider), since, now })
  }

  function reach(origin: Origin): void {
    origin.failingSince = undefined
    if (!origin.isSuspect) return
    for (const each of origins.values()) each.isSuspect = false
    suspectUntil = Number.NEGATIVE_INFINITY
    pauseUntil = Number.NEGATIVE_INFINITY
    onEnd()
  }

  function take(now: number): Trial | undefined {
    const id = lease.take(now)
    return id === undefined ? undefined : { end: () => lease.giveBack(id) }
  }

  return {
    of(name, provider) {
      const known = origins.get(name)
      const origin = known ?? { name, provider, failingSince: undefined, failedAt: Number.NEGATIVE_INFINITY, isSuspect: false }
      origins.set(name, origin)
      const isShut = (now: number) => origin.isSuspect && isSuspected(now)
      return {
        openAt: now => (isShut(now) ? Math.max(pauseUntil, lease.freeAt()) : Number.NEGATIVE_INFINITY),
        onTrial: isShut,
        why: () => why,
        fail: now => fail(origin, now),
        reach: () => reach(origin),
        take: now => (isShut(now) ? take(now) : undefined),
      }
    },
  }
}

/** A server on this machine is reached without a network: whether it runs says nothing about the network. */
function isLoopback(origin: string): boolean {
  return /^[a-z]+:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(origin)
}
