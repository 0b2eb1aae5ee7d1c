import type { Call, Clock, Target } from '../contract.ts'
import { type Conditions, isAllowed } from './conditions.ts'
import type { ChainTarget } from './state.ts'

/**
 * Which replica is asked first; the others follow in the same order when it fails.
 *
 * - `least-busy`: the one with the fewest of our requests in flight, then with the shortest queue that it reports itself, then by chance.
 * - `weighted`: by chance, in proportion to `weights`.
 * - `latency`: of two taken by chance, the one whose first token usually comes sooner.
 */
export type PoolStrategy = 'least-busy' | 'weighted' | 'latency'

export type PoolOptions = {
  /** @default 'least-busy' */
  readonly strategy?: PoolStrategy | undefined
  /** For `weighted`: one number, 0 or more, for each target; 0 means only when no other is left. @default all the same */
  readonly weights?: readonly number[] | undefined
  /**
   * Calls with the same key go to the same replica as long as it answers, so that its prompt cache is used. `undefined` from it leaves
   * the call to the strategy.
   * @example call => call.metadata.sessionId as string
   */
  readonly affinity?: ((call: Call) => string | undefined) | undefined
}

/** Several targets as one step of the chain. */
export type Pool = { readonly pool: readonly Target[] } & PoolOptions

/**
 * Makes one step of the chain of several targets: replicas of a private deployment, or several keys of one account. A dead replica is
 * left alone by its own breaker; when the first one chosen fails, the others are asked before the next step.
 *
 * @example
 * createClient({ chain: [deepseek(), pool([vllm('r1', { baseURL: a }), vllm('r1', { baseURL: b })]), llama()] })
 */
export function pool(targets: readonly Target[], options: PoolOptions = {}): Pool {
  // spread, a text would become an option for each of its letters
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError("pool: options must be an object like { strategy: 'least-busy' }.")
  return { pool: targets, ...options }
}

/** A pool with every target resolved. */
export type ChainPool = PoolOptions & { readonly targets: readonly ChainTarget[]; readonly queues: QueueWatch }

/** In which order the replicas are asked for this call. */
export function orderPool(
  { targets, strategy, weights, affinity, queues }: ChainPool,
  call: Call,
  { random, conditions }: { readonly random: () => number; readonly conditions: Conditions | undefined },
): ChainTarget[] {
  queues.refresh(conditions)
  const chance = new Map(targets.map(target => [target, random()]))
  const by = (rank: (target: ChainTarget) => number) => (one: ChainTarget, other: ChainTarget) => rank(one) - rank(other)
  const atRandom = targets.toSorted(by(target => chance.get(target) ?? 0))
  const key = affinity?.(call)
  if (typeof key === 'object') throw new TypeError('pool: affinity must return a text or undefined, at once.')
  // rendezvous hashing: when a replica goes, only its own keys move
  if (key !== undefined) return targets.toSorted(by(target => -hash(`${key}\n${target.targetIndex}`)))
  switch (strategy) {
    case 'weighted':
      return targets.toSorted(by(target => weighted(chance.get(target) ?? 0, weights?.[targets.indexOf(target)] ?? 1)))
    case 'latency':
      return betterOfTwo(atRandom)
    default:
      // the sort is stable: who is equally busy stays in the order of chance
      return atRandom
        .toSorted(by(queues.of))
        .toSorted(by(({ health }) => health.inFlight()))
        .toSorted(by(target => (target.health.isUnsure() && (chance.get(target) ?? 0) < lastShare ? 1 : 0)))
  }
}

/** A replica in doubt, for example one that loaded its model, comes last for nine calls of ten; the tenth finds out. */
const lastShare = 0.9

/** The smallest of exponential times comes first in proportion to its rate. */
function weighted(chance: number, weight: number): number {
  return weight === 0 ? Number.MAX_VALUE : -Math.log(1 - chance) / weight
}

function betterOfTwo([first, second, ...rest]: readonly ChainTarget[]): ChainTarget[] {
  if (first === undefined || second === undefined) return first === undefined ? [] : [first]
  const usual = ({ health }: ChainTarget) => health.firstChunk()?.p50 ?? 0
  return usual(first) <= usual(second) ? [first, second, ...rest] : [second, first, ...rest]
}

/** What servers say of their own queues. Asked in the background when a pool is used, never waited for. */
export type QueueWatch = { refresh(conditions: Conditions | undefined): void; of(target: ChainTarget): number; close(): void }

/** Figures older than this are asked for anew. */
const staleMs = 2_000
/** A server that does not say in this time says nothing. */
const patienceMs = 1_000

export function watchQueues(targets: readonly ChainTarget[], clock: Clock): QueueWatch {
  const queues = new Map<ChainTarget, number>()
  let askedAt = -Infinity
  let controller = new AbortController()
  let timer: unknown

  const ask = async (target: ChainTarget, signal: AbortSignal) => {
    try {
      const load = await target.provider.load?.(signal)
      if (load !== undefined) queues.set(target, load.running + load.waiting)
    } catch {
      // it has no figures, or is not there: then its own failures say so
      queues.delete(target)
    }
  }
  const stop = () => {
    clock.clearTimeout(timer)
    controller.abort()
  }
  return {
    refresh(conditions) {
      const now = clock.now()
      if (now - askedAt < staleMs) return
      askedAt = now
      // nothing at all goes where `when` forbids this call
      const asked = targets.filter(target => target.provider.load !== undefined && isAllowed(target, conditions))
      if (asked.length === 0) return
      stop()
      controller = new AbortController()
      timer = clock.setTimeout(stop, patienceMs)
      const { signal } = controller
      void Promise.all(asked.map(async target => ask(target, signal))).then(() => clock.clearTimeout(timer))
    },
    of: target => queues.get(target) ?? 0,
    close: stop,
  }
}

/** FNV-1a, then mixed: neighbours must not end up side by side. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
