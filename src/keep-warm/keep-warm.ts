import type { ChainTarget } from '../chain/state.ts'
import type { Clock } from '../contract.ts'
import type { AttemptRecord, ClientEvent } from '../contract-events.ts'
import type { HealthStore } from '../health/store.ts'
import { nameInFleet } from '../health/loopback.ts'
import { createTimer, type Timer } from '../health/timer.ts'
import type { KeepWarmStatus } from '../telemetry/keep-warm-status.ts'
import { type Ping, ping, type WarmTarget } from './ping.ts'
import { warmUp, type WarmUpOptions, type WarmUpResult } from './warm-up.ts'

/** Keeps idle targets of one client warm. */
export type Warmer = {
  /** Records that an attempt of a call has ended. */
  attempted(record: AttemptRecord): void
  warmUp(options: WarmUpOptions): Promise<readonly WarmUpResult[]>
  /** Returns undefined for a target that is not kept warm. */
  status(targetIndex: number): KeepWarmStatus | undefined
  close(): void
}

export type WarmerOptions = {
  readonly targets: readonly ChainTarget[]
  readonly clock: Clock
  readonly random: () => number
  /** The time of day, as `Date.toISOString()` writes it. */
  readonly wallTime: () => string
  readonly store: HealthStore | undefined
  /** Receives the events; undefined if the client has no listener. */
  readonly tell: ((event: ClientEvent) => void) | undefined
}

/** The default of `everyMs`: less than half of the five minutes after which Ollama unloads a model. */
export const everyMs = 120_000
/** How often a lost server is pinged until it is back, in milliseconds. */
const lostEveryMs = 2_000
/** Each interval is extended by up to this share, so that processes do not ping together. */
const jitter = 0.1

type Kept = {
  readonly target: WarmTarget
  readonly timer: Timer
  readonly everyMs: number
  /** The server was unreachable or loading its model, and has answered no request since: its memory and cache are empty. */
  wasLost: boolean
  isPinging: boolean
  status: KeepWarmStatus
}

/**
 * When a target last had a request in flight, as far as the clients that keep it warm know. Clients that share their health share this time,
 * so that only one of them pings.
 */
const lastUses = new WeakMap<object, number>()

function use({ target }: Kept, now: number): void {
  lastUses.set(target.health, now)
}

function lastUse({ target }: Pick<Kept, 'target'>): number {
  return lastUses.get(target.health) ?? -Infinity
}

type Warming = WarmerOptions & { readonly kept: readonly Kept[]; readonly ending: AbortController }

/** Creates the warmer for all targets with the option `keepWarm`. Returns undefined if there are none. */
export function createWarmer(options: WarmerOptions): Warmer | undefined {
  const warm = options.targets.filter(isWarm)
  if (warm.length === 0) return undefined
  const warming: Warming = {
    ...options,
    kept: warm.map(target => keep(target, entry => due(warming, entry))),
    ending: new AbortController(),
  }
  function keep(target: WarmTarget, fire: (entry: Kept) => void): Kept {
    const entry: Kept = {
      target,
      timer: createTimer(options.clock, () => fire(entry), { keepsProcess: false }),
      everyMs: target.keepWarm.everyMs ?? everyMs,
      ...{ wasLost: false, isPinging: false },
      status: { sent: 0, failed: 0, lastAt: undefined, lastMs: undefined, lastReason: undefined },
    }
    return entry
  }
  for (const entry of warming.kept) {
    if (lastUse(entry) === -Infinity) use(entry, options.clock.now())
    plan(warming, entry)
  }
  return {
    attempted: record => attempted(warming, record),
    warmUp: given =>
      warmUp(warm, {
        ...given,
        clock: options.clock,
        ending: warming.ending.signal,
        onPing: (target, end) => ended(warming, target, end),
      }),
    status: targetIndex => warming.kept.find(({ target }) => target.targetIndex === targetIndex)?.status,
    close() {
      warming.ending.abort()
      for (const { timer } of warming.kept) timer.clear()
    },
  }
}

function isWarm(target: ChainTarget): target is WarmTarget {
  return target.keepWarm !== undefined
}

function attempted(warming: Warming, { targetIndex, outcome, reason }: AttemptRecord): void {
  const entry = warming.kept.find(({ target }) => target.targetIndex === targetIndex)
  if (entry === undefined || outcome === 'skipped') return
  use(entry, warming.clock.now())
  // The call has warmed the server.
  if (outcome === 'answered') entry.wasLost = false
  if (reason !== 'network' && reason !== 'loading') return
  entry.wasLost = true
  plan(warming, entry)
}

/** Schedules the next ping: soon after a loss, otherwise after a whole interval without a request. If that is over, the target is blocked. */
function plan({ clock, random, ending }: Warming, entry: Kept): void {
  if (ending.signal.aborted) return
  const { timer, target, wasLost } = entry
  const now = clock.now()
  if (wasLost) timer.set(now + lostEveryMs)
  else if (isPeriodic(target)) {
    const at = lastUse(entry) + entry.everyMs * (1 + jitter * random())
    // a timer that is due already would fire at once, again and again, as long as the target is blocked
    timer.set(at > now ? at : now + Math.min(entry.everyMs, lostEveryMs))
  } else timer.clear()
}

/** A server that never unloads its model needs no regular pings for the model, only for a prompt in its cache. */
function isPeriodic({ provider, keepWarm: { prompt } }: WarmTarget): boolean {
  return prompt !== undefined || provider.keepLoaded !== 'always'
}

function due(warming: Warming, entry: Kept): void {
  const { clock } = warming
  if (entry.target.health.inFlight() > 0) use(entry, clock.now())
  if (!isDue(entry, clock.now())) return plan(warming, entry)
  entry.isPinging = true
  void send(warming, entry).then(() => {
    entry.isPinging = false
    plan(warming, entry)
  })
}

function isDue({ target, everyMs: interval, wasLost, isPinging }: Kept, now: number): boolean {
  const { health } = target
  if (isPinging || health.inFlight() > 0) return false
  const { state } = health.check()
  // A ping may be the first request to a server that was down. Otherwise only healthy targets are pinged.
  if (wasLost) return state !== 'blocked'
  return state === 'available' && !health.isUnsure() && now - lastUse({ target }) >= interval
}

async function send(warming: Warming, entry: Kept): Promise<void> {
  const { clock, ending } = warming
  const { target } = entry
  if (!(await isOurs(warming, entry))) {
    // Another process pings this server.
    use(entry, clock.now())
    entry.wasLost = false
    return
  }
  // A call may have started while the lease was requested.
  if (target.health.inFlight() > 0 || ending.signal.aborted) return
  ended(warming, target, await ping(target, { clock, deadline: Infinity, signal: ending.signal }))
}

/** Only one process of a fleet pings. If the store does not answer, each process pings on its own. */
async function isOurs({ store }: Warming, { target, everyMs: interval, wasLost }: Kept): Promise<boolean> {
  const { identity } = target.provider
  if (store === undefined || identity === undefined || identity.inFleet === false) return true
  const key = ['keep-warm', nameInFleet(identity.origin), identity.path ?? '', target.model].join('\n')
  const forMs = wasLost ? lostEveryMs : interval * (1 - jitter)
  return store.lease(key, forMs).catch(() => true)
}

function ended(warming: Warming, target: WarmTarget, { job, ok, ms, reason }: Ping): void {
  const { clock, wallTime, tell, ending } = warming
  const entry = warming.kept.find(each => each.target === target)
  if (entry === undefined || ending.signal.aborted) return
  use(entry, clock.now())
  if (ok) entry.wasLost = false
  else if (reason === 'network' || reason === 'loading') entry.wasLost = true
  const { sent, failed } = entry.status
  entry.status = { sent: sent + 1, failed: failed + (ok ? 0 : 1), lastAt: wallTime(), lastMs: Math.round(ms), lastReason: reason }
  const { provider, model, name, targetIndex, step } = target
  const names = { provider: provider.name, model, name, targetIndex, step }
  tell?.({ type: 'keep-warm', at: clock.now(), ...names, job, ok, durationMs: ms, reason })
}
