/** A gate that the test controls: code that awaits `released` continues when the test calls `release()`. */
export type Hold = {
  readonly released: Promise<void>
  /** Opens the gate. Further calls do nothing. */
  release(): void
}

/**
 * Makes a gate, so that a test decides when a server continues, instead of sleeping for "long enough".
 *
 * @example
 * const gate = hold()
 * const server = await startServer(answer('Hello', { firstChunkUntil: gate.released }))
 * const call = client.generate('Hi')
 * await server.untilRequests(1)     // the request is there, and nothing was answered yet
 * gate.release()
 * await call
 */
export function hold(): Hold {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { released: promise, release: resolve }
}
