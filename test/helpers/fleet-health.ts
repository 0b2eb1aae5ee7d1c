import type { HealthFact, HealthStore, StoreMessage } from '../../src/health/store.ts'
import { createWorld, healthIn, type World } from './health-world.ts'

/** A store in this process: what one publishes the others hear at once, and one lease for each key. */
export function createStore(world: World) {
  const facts: (HealthFact & { readonly by: string; readonly at: number })[] = []
  const listeners = new Map<string, (message: StoreMessage) => void>()
  const leases = new Map<string, { readonly by: string; readonly until: number }>()
  const asked: string[] = []
  const storeOf = (name: string): HealthStore => ({
    publish(fact) {
      facts.push({ ...fact, by: name, at: world.now() })
      for (const [other, listener] of listeners) if (other !== name) listener(fact)
    },
    subscribe(listener) {
      listeners.set(name, listener)
      for (const { by: _, at, ...fact } of facts) listener({ ...fact, forMs: Math.max(0, fact.forMs - (world.now() - at)) })
      return () => void listeners.delete(name)
    },
    async release(key) {
      if (leases.get(key)?.by === name) leases.delete(key)
    },
    async lease(key, forMs) {
      asked.push(name)
      const held = leases.get(key)
      if (held !== undefined && held.by !== name && held.until > world.now()) return false
      leases.set(key, { by: name, until: world.now() + forMs })
      return true
    },
  })
  return { storeOf, facts, asked, say: (message: StoreMessage) => listeners.forEach(listener => listener(message)) }
}

/** Lets promises settle; time stands still. */
export const settled = () => new Promise<void>(resolve => setImmediate(resolve))

/** A client in each of these processes, and their store. */
export function fleet(...names: readonly string[]) {
  const world = createWorld()
  const store = createStore(world)
  const members = names.map(name => healthIn(world, { store: store.storeOf(name) }))
  return { world, store, members }
}
