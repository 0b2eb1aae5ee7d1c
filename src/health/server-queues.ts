import type { Clock, Provider, ServerLoad } from '../contract.ts'

/** The queues of servers, as the servers report them. Servers are asked in the background when a pool is used; no call waits for that. */
export type ServerQueues<Server> = {
  /** Asks servers again when their figures are old. Nothing is sent to a server for which `mayAsk` returns false. */
  refresh(mayAsk: (server: Server) => boolean): void
  /** Returns how busy a server is: its running and waiting requests, and among equals, how full its KV cache is. */
  of(server: Server): number
  /** Returns the last report of a server; undefined if it reports nothing. */
  loadOf(server: Server): ServerLoad | undefined
  close(): void
}

/** Figures older than this, in milliseconds, are requested again. */
const staleMs = 2_000
/** A server that does not answer within this time, in milliseconds, has no figures. */
const patienceMs = 1_000

export function watchQueues<Server extends { readonly provider: Provider }>(
  servers: readonly Server[],
  clock: Clock,
): ServerQueues<Server> {
  const loads = new Map<Server, ServerLoad | undefined>()
  let askedAt = -Infinity
  let controller = new AbortController()
  let timer: unknown

  const ask = async (server: Server, signal: AbortSignal) => {
    let load: ServerLoad | undefined
    try {
      load = await server.provider.load?.(signal)
    } catch {
      // The server has no figures or cannot be reached. Then the failures of calls decide.
    }
    loads.set(server, load)
  }
  const stop = () => {
    clock.clearTimeout(timer)
    controller.abort()
  }
  return {
    refresh(mayAsk) {
      const now = clock.now()
      if (now - askedAt < staleMs) return
      askedAt = now
      const asked = servers.filter(server => server.provider.load !== undefined && mayAsk(server))
      if (asked.length === 0) return
      stop()
      controller = new AbortController()
      timer = clock.setTimeout(stop, patienceMs)
      const { signal } = controller
      void Promise.all(asked.map(async server => ask(server, signal))).then(() => clock.clearTimeout(timer))
    },
    of: server => busyness(loads.get(server)),
    loadOf: server => loads.get(server),
    close: stop,
  }
}

/** The cache counts in tenths: a cache that is slightly fuller must not move all calls away from a server. */
function busyness(load: ServerLoad | undefined): number {
  if (load === undefined) return 0
  return load.running + load.waiting + Math.min(9, Math.round((load.kvUsage ?? 0) * 10)) / 10
}
