import type { EventListener } from '../contract-events.ts'

/**
 * Passes every event to every listener. A listener that throws, or returns a promise that rejects, affects neither the call nor the
 * other listeners.
 *
 * @param listeners may grow later
 */
export function createTeller(listeners: readonly EventListener[]): EventListener {
  return event => {
    for (const listener of listeners) tellOne(listener, event)
  }
}

/** Calls one listener and ignores its errors. */
export function tellOne<Event>(listener: (event: Event) => unknown, event: Event): void {
  try {
    const returned = listener(event)
    // duck typing also covers promises of other libraries and other realms, which test runners create
    if (typeof returned === 'object' && returned !== null && 'then' in returned) Promise.resolve(returned).catch(() => {})
  } catch {
    // a listener must not break the call
  }
}
