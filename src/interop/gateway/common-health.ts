import { type ClientOptions, type HealthStore, sharedHealth, type SharedHealth } from '../../index.ts'

/** Shared health for all routes, so that a key that is used in three routes has one limit. */
export type CommonHealth = {
  /** Returns the health for a client with these options. */
  of(options: ClientOptions): ClientOptions['health']
}

type Kept = { readonly settings: string; readonly clock: ClientOptions['clock']; readonly health: SharedHealth }

/** @param given the option of the config: the store of a fleet, or a health that other clients share too */
export function createCommonHealth(given: ClientOptions['health']): CommonHealth {
  if (given !== undefined && !isStore(given)) return { of: options => options.health ?? given }
  const kept: Kept[] = []
  return {
    of({ health, breaker, profile, clock }) {
      if (health !== undefined) return health
      // clients that share their health must have the same breaker settings and profile
      const settings = JSON.stringify([breaker, profile])
      const found = kept.find(one => one.settings === settings && one.clock === clock)
      if (found !== undefined) return found.health
      const made = sharedHealth({ store: given })
      kept.push({ settings, clock, health: made })
      return made
    },
  }
}

function isStore(health: HealthStore | SharedHealth): health is HealthStore {
  return 'publish' in health
}
