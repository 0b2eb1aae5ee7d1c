import type { Clock, Provider } from '../../src/contract.ts'
import type { Failure, FailureReason } from '../../src/contract-failures.ts'
import type { TargetLimits } from '../../src/contract-targets.ts'
import {
  type Charged,
  createHealth,
  type Health,
  type HealthEvent,
  type Permit,
  type TargetHealth,
} from '../../src/health/health.ts'
import { type HealthSettings, loadFirst } from '../../src/health/settings.ts'
import type { HealthStore } from '../../src/health/store.ts'
import { createVirtualTime } from './virtual-time.ts'

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
  const time = createVirtualTime(startAt)
  const clock = time.createClock()
  return { ...clock, pass: time.pass, timers: clock.alive }
}

export type TargetOptions = {
  readonly name?: string
  readonly model?: string
  readonly index?: number
  /** `null`: a provider without identity. */
  readonly origin?: string | null
  readonly credential?: string
  readonly limits?: TargetLimits
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
    target({ name = 'deepseek', model = 'flash', index = 0, origin, credential = 'k1', limits } = {}) {
      const identity = origin === null ? undefined : { origin: origin ?? `https://${name}.example`, credential }
      const key = JSON.stringify([name, identity, index])
      const provider = providers.get(key) ?? { name, identity, stream: async () => {} }
      providers.set(key, provider)
      return health.of({ provider, model, index, limits })
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
