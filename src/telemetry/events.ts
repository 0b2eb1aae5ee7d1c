import type { EventListener } from '../contract.ts'

/**
 * Tells every listener of every event. One that throws, or returns a promise that rejects, harms neither the call nor the other
 * listeners. Undefined where nobody listens: then no event need be made.
 */
export function createTeller(listeners: readonly EventListener[]): EventListener | undefined {
  if (listeners.length === 0) return undefined
  return event => {
    for (const listener of listeners) tellOne(listener, event)
  }
}

/** What becomes of a listener is nobody's trouble but its own. */
export function tellOne<Event>(listener: (event: Event) => unknown, event: Event): void {
  try {
    const returned = listener(event)
    // also a promise of another library, or of another realm, as test runners have them
    if (typeof returned === 'object' && returned !== null && 'then' in returned) Promise.resolve(returned).catch(() => {})
  } catch {
    // the call goes on
  }
}
