import type { Call } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import type { ServerQueues } from '../health/server-queues.ts'
import { type Conditions, isAllowed } from './conditions.ts'
import type { ChainTarget } from './state.ts'

/**
 * Which replica is asked first. When it fails, the others follow in the same order.
 *
 * - `least-busy`: the replica with the fewest of our requests in flight, then with the shortest reported queue, then at random.
 * - `weighted`: at random, in proportion to `weights`.
 * - `latency`: of two random replicas, the one whose first token usually comes sooner.
 */
export type PoolStrategy = 'least-busy' | 'weighted' | 'latency'

/** Options of `pool()`. */
export type PoolOptions = {
  /** @default 'least-busy' */
  readonly strategy?: PoolStrategy | undefined
  /** For `weighted`: one number, 0 or more, for each target; 0 means only when no other target is left. @default all the same */
  readonly weights?: readonly number[] | undefined
  /**
   * Returns a key for the call. Calls with the same key go to the same replica while it answers, so that its prompt cache is used;
   * `undefined` leaves the choice to the strategy. @default the `tag` of the call, if it has one
   * @example call => call.metadata.sessionId as string
   */
  readonly affinity?: ((call: Call) => string | undefined) | undefined
}

/** Several targets as one step of the chain. */
export type Pool = { readonly pool: readonly Target[] } & PoolOptions

/**
 * Combines several targets into one step of the chain: replicas of a private deployment, or several keys of one account. Each target's own
 * breaker takes a dead replica out; when the chosen replica fails, the call asks the others before the next step.
 *
 * @example
 * createClient({ chain: [deepseek(), pool([vllm('r1', { baseURL: a }), vllm('r1', { baseURL: b })]), llama()] })
 */
export function pool(targets: readonly Target[], options: PoolOptions = {}): Pool {
  // spreading a string would create an option for each of its letters
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError("pool: options must be an object like { strategy: 'least-busy' }.")
  return { pool: targets, ...options }
}

/** A pool with every target resolved. */
export type ChainPool = PoolOptions & { readonly targets: readonly ChainTarget[]; readonly queues: ServerQueues<ChainTarget> }

/** Returns the order in which this call asks the replicas. */
export function orderPool(
  { targets, strategy, weights, affinity, queues }: ChainPool,
  call: Call,
  { random, conditions }: { readonly random: () => number; readonly conditions: Conditions | undefined },
): ChainTarget[] {
  queues.refresh(target => isAllowed(target, conditions))
  const chance = new Map(targets.map(target => [target, random()]))
  const by = (rank: (target: ChainTarget) => number) => (one: ChainTarget, other: ChainTarget) => rank(one) - rank(other)
  const atRandom = targets.toSorted(by(target => chance.get(target) ?? 0))
  const key = affinity === undefined ? call.tag : affinity(call)
  if (typeof key === 'object')
    throw new TypeError('pool: affinity must return a string or undefined, not a promise or another object.')
  // rendezvous hashing: when a replica goes down, only its own keys move
  if (key !== undefined) return targets.toSorted(by(target => -hash(`${key}\n${target.targetIndex}`)))
  switch (strategy) {
    case 'weighted':
      return targets.toSorted(by(target => weighted(chance.get(target) ?? 0, weights?.[targets.indexOf(target)] ?? 1)))
    case 'latency':
      return betterOfTwo(atRandom)
    default:
      // the sort is stable: equally busy replicas stay in random order
      return atRandom
        .toSorted(by(queues.of))
        .toSorted(by(({ health }) => health.inFlight()))
        .toSorted(by(target => (target.health.isUnsure() && (chance.get(target) ?? 0) < lastShare ? 1 : 0)))
  }
}

/** A replica in doubt, for example one that was loading its model, comes last in nine of ten calls; the tenth call tests it. */
const lastShare = 0.9

/** The smallest of exponential times comes first in proportion to its rate. */
function weighted(chance: number, weight: number): number {
  return weight === 0 ? Number.MAX_VALUE : -Math.log(1 - chance) / weight
}

function betterOfTwo(targets: readonly ChainTarget[]): ChainTarget[] {
  const [first, second, ...rest] = targets
  if (first === undefined || second === undefined) return [...targets]
  const usual = ({ health }: ChainTarget) => health.firstChunk()?.p50 ?? 0
  return usual(first) <= usual(second) ? [first, second, ...rest] : [second, first, ...rest]
}

/** FNV-1a with a final mix, so that similar keys get very different hashes. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
