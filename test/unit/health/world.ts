import type { Clock, Failure, FailureReason, Provider } from '../../../src/contract.ts'
import { createHealth } from '../../../src/health/health.ts'
import type { Charged, Health, HealthEvent, Permit, TargetHealth } from '../../../src/health/health.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import type { HealthSettings } from '../../../src/health/settings.ts'
import type { HealthStore } from '../../../src/health/store.ts'

/** Virtual time without promises: nothing in health awaits anything. Timers behave as Node's, so that a wrong delay is seen. */
export type World = Clock & {
  /** Moves time by so many milliseconds; timers fire at their own times. */
  pass(byMs: number): void
  /** Timers that are set. */
  timers(): number
  /** The longest delay that was ever asked for. */
  longestDelay(): number
}

export function createWorld(startAt = 1_000_000): World {
  let now = startAt
  let issued = 0
  let longest = 0
  const timers = new Map<number, { at: number; listener: () => void }>()

  function next(until: number): number | undefined {
    let soonest: number | undefined
    for (const [id, { at }] of timers) if (at <= until && (soonest === undefined || at < timers.get(soonest)!.at)) soonest = id
    return soonest
  }

  return {
    now: () => now,
    setTimeout(listener, delayMs) {
      longest = Math.max(longest, delayMs)
      issued += 1
      const asNode = delayMs >= 1 && delayMs <= 2 ** 31 - 1 ? Math.trunc(delayMs) : 1
      timers.set(issued, { at: now + asNode, listener })
      return issued
    },
    clearTimeout: handle => void timers.delete(handle as number),
    pass(byMs) {
      const until = now + byMs
      for (let id = next(until); id !== undefined; id = next(until)) {
        const { at, listener } = timers.get(id)!
        timers.delete(id)
        now = Math.max(now, at)
        listener()
      }
      now = until
    },
    timers: () => timers.size,
    longestDelay: () => longest,
  }
}

/** The same numbers for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type TargetOptions = {
  readonly name?: string
  readonly model?: string
  readonly index?: number
  /** `null`: a provider without identity. */
  readonly origin?: string | null
  readonly credential?: string
}

export type HealthWorld = {
  readonly world: World
  readonly health: Health
  readonly events: readonly HealthEvent[]
  target(options?: TargetOptions): TargetHealth
}

/** Health in virtual time with a list of what it told. */
export function healthIn(
  world: World,
  options: { settings?: HealthSettings; random?: () => number; store?: HealthStore; isHeard?: boolean } = {},
): HealthWorld {
  const { settings = loadFirst, random = () => 0.5, store, isHeard = true } = options
  const events: HealthEvent[] = []
  const providers = new Map<string, Provider>()
  const health = createHealth({
    clock: world,
    random,
    settings,
    store,
    emit: isHeard ? event => void events.push(event) : undefined,
  })
  return {
    world,
    health,
    events,
    target({ name = 'deepseek', model = 'flash', index = 0, origin, credential = 'k1' } = {}) {
      const identity = origin === null ? undefined : { origin: origin ?? `https://${name}.example`, credential }
      const key = JSON.stringify([name, identity, index])
      const provider = providers.get(key) ?? { name, identity, stream: async () => {} }
      providers.set(key, provider)
      return health.of({ provider, model, index })
    },
  }
}

export function failureOf(reason: FailureReason, more: Partial<Failure> = {}): Failure {
  return {
    reason,
    message: `It failed: ${reason}.`,
    provider: 'deepseek',
    model: 'flash',
    status: reason === 'network' || reason === 'timeout' ? undefined : 503,
    retryAfterMs: undefined,
    requestId: undefined,
    clock: undefined,
    contextTokens: undefined,
    requestedTokens: undefined,
    concurrencyLimit: undefined,
    ...more,
  }
}

/** Enters or throws: for tests in which the target must be open. */
export function enter(target: TargetHealth, kind: 'call' | 'probe' | 'hedge' = 'call'): Permit {
  const permit = target.enter(kind)
  if (permit === undefined) throw new Error(`The target may not be entered: ${JSON.stringify(target.check())}`)
  return permit
}

/** One call that fails at once. */
export function fail(target: TargetHealth, failure: Failure, charged: Charged = 'target'): void {
  enter(target).end({ failure, charged })
}

/** One call that is answered at once. */
export function answer(target: TargetHealth, firstChunkMs = 500): void {
  const permit = enter(target)
  permit.firstChunk(firstChunkMs)
  permit.end('answered')
}

/** Three failures in a row at low volume open the breaker. */
export function open(target: TargetHealth): void {
  for (let count = 0; count < 3; count += 1) fail(target, failureOf('server-error'))
}
