import type { ClientEvent, EventListener } from '../contract.ts'

/**
 * Tells every listener of every event. One that throws, or returns a promise that rejects, harms neither the call nor the other
 * listeners.
 */
export function createTeller(listeners: readonly EventListener[]): EventListener {
  if (listeners.length === 0) return () => {}
  return event => {
    for (const listener of listeners) tellOne(listener, event)
  }
}

function tellOne(listener: (event: ClientEvent) => unknown, event: ClientEvent): void {
  try {
    const returned = listener(event)
    if (returned instanceof Promise) returned.catch(() => {})
  } catch {
    // a listener's trouble is its own: the call goes on
  }
}
