import { createMemory } from './memory.ts'
import type { Memory, MemoryClient } from './memory.ts'
import type { HealthStore } from './store.ts'

/** Options of `sharedHealth()`. */
export type SharedHealthOptions = {
  /** A store that shares this memory with other processes, for example `redisHealth(redis)`. @default this process alone */
  readonly store?: HealthStore | undefined
}

/** One memory for several clients of a process. Created by {@link sharedHealth}, and passed to each client as `health`. */
export type SharedHealth = {
  /** @internal Joins a client, and returns the memory that it uses until it leaves. */
  readonly [joining]: (client: MemoryClient) => Memory
  /** @internal */
  readonly [sharing]: HealthStore | undefined
}

const joining: unique symbol = Symbol('unbusy: shared health')
const sharing: unique symbol = Symbol('unbusy: store')

/**
 * Creates one memory for several clients of a process. They share gates, breakers, `limits`, queues, retry budgets and probes, so three
 * clients with a target of `limits: { concurrency: 3 }` send it three requests at once, not nine. Targets are the same if their address,
 * model and key are. A provider of your own without these is shared only as the same object at the same place of the chains.
 *
 * The clients need the same `breaker`, `profile` and `clock`. The last `close()` clears the memory, which may then be used again.
 *
 * @example
 * const health = sharedHealth()
 * const chat = createClient({ chain: [deepseek(), openai()], health })
 * const search = createClient({ chain: [deepseek()], timeout: { totalMs: 5_000 }, health })
 *
 * @throws {TypeError} The options are invalid.
 */
export function sharedHealth(options: SharedHealthOptions = {}): SharedHealth {
  const { store } = checked(options)
  let memory: Memory | undefined
  return {
    [sharing]: store,
    [joining](client) {
      const joined = memory ?? createMemory(client, store)
      joined.join(client)
      memory = joined
      return {
        ...joined,
        leave(left) {
          const isLast = joined.leave(left)
          if (isLast) memory = undefined
          return isLast
        },
      }
    },
  }
}

/** Joins a client to its own memory, to that of a fleet, or to a shared memory. */
export function joinMemory(client: MemoryClient, health: HealthStore | SharedHealth | undefined): Memory {
  return isSharedHealth(health) ? health[joining](client) : createMemory(client, health)
}

/** Returns the store that a client shares with other processes. */
export function storeOf(health: HealthStore | SharedHealth | undefined): HealthStore | undefined {
  return isSharedHealth(health) ? health[sharing] : health
}

export function isSharedHealth(value: unknown): value is SharedHealth {
  return typeof value === 'object' && value !== null && joining in value
}

/** Whether the value can be the memory of a fleet. */
export function isHealthStore(value: unknown): value is HealthStore {
  if (typeof value !== 'object' || value === null) return false
  return ['publish', 'subscribe', 'lease'].every(method => typeof Reflect.get(value, method) === 'function')
}

function checked(options: SharedHealthOptions): SharedHealthOptions {
  if (isHealthStore(options)) throw new TypeError('sharedHealth: the store is an option. Write sharedHealth({ store }).')
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError('sharedHealth: options must be an object like { store: redisHealth(redis) }.')
  const unknown = Object.keys(options).find(name => name !== 'store')
  if (unknown !== undefined) throw new TypeError(`sharedHealth: there is no option '${unknown}'. The only option is store.`)
  if (options.store !== undefined && !isHealthStore(options.store))
    throw new TypeError("sharedHealth: store must be a store, for example redisHealth(redis) from 'unbusy/redis'.")
  return options
}
