import type { Ledger, ServerName } from './world/ledger.ts'
import type { Server } from './world/server.ts'
import type { VirtualTime } from '../helpers/virtual-time.ts'

/** A window on one day, for finding out why it went as it did. */
export type Trace = {
  watch(world: Watched): void
  /** Something the world saw happen to a call. */
  note(call: number, text: string): void
  /** Something the client of a process told; without a call it is about the whole process. */
  tell(process: number, text: string, call: number | undefined): void
}

type Watched = {
  readonly time: VirtualTime
  readonly ledger: Ledger
  readonly servers: Readonly<Record<ServerName, Server>>
  readonly endMs: number
}

export type TraceOptions = {
  /** Tell everything about these calls. */
  readonly calls: ReadonlySet<number>
  /** Tell everything about every call between these times. */
  readonly between: { readonly fromMs: number; readonly toMs: number } | undefined
  /** One line for every second: requests, load and settled calls. */
  readonly seconds: boolean
  /** What clients tell of their targets. */
  readonly health: boolean
  readonly print: (line: string) => void
}

export function createTrace({ calls, between, seconds, health, print }: TraceOptions): Trace {
  let world: Watched | undefined
  const isWatched = (call: number): boolean => calls.has(call) || (between !== undefined && isNow(between))
  const isNow = ({ fromMs, toMs }: NonNullable<TraceOptions['between']>): boolean => {
    const now = world?.time.now() ?? 0
    return now >= fromMs && now <= toMs
  }
  const stamp = (): string => ((world?.time.now() ?? 0) / 1000).toFixed(3).padStart(9)

  const sample = (watched: Watched, before: Counts): void => {
    const { time, servers, ledger } = watched
    const counts = countsOf(watched)
    const perServer = (['P', 'S', 'L'] as const).map(name => {
      const { running, waiting } = servers[name].load()
      const requests = ledger.requests[name][Math.round(time.now() / 1000) - 1] ?? 0
      return `${name} ${pad(requests)}/s ${pad(running)} running ${pad(waiting)} waiting`
    })
    const settled = `${pad(counts.arrived - before.arrived)} arrive ${pad(counts.answered - before.answered)} answered`
    print(`${stamp()}  ${settled} ${pad(counts.failed - before.failed)} failed | ${perServer.join(' | ')}`)
    if (time.now() < watched.endMs) time.at(time.now() + 1000, () => sample(watched, counts))
  }

  return {
    watch(watched) {
      world = watched
      if (seconds) watched.time.at(1000, () => sample(watched, { arrived: 0, answered: 0, failed: 0 }))
    },
    note(call, text) {
      if (isWatched(call)) print(`${stamp()}  call ${call}: ${text}`)
    },
    tell(process, text, call) {
      if (call === undefined ? health : isWatched(call))
        print(`${stamp()}  ${call === undefined ? `process ${process}` : `call ${call}`}: client: ${text}`)
    },
  }
}

type Counts = { readonly arrived: number; readonly answered: number; readonly failed: number }

function countsOf({ time, ledger }: Watched): Counts {
  let arrived = 0
  let answered = 0
  let failed = 0
  const { arrivals, settledAt, answeredBy } = ledger
  while (arrived < arrivals.count && arrivals.at[arrived]! <= time.now()) {
    if (answeredBy[arrived]! > 0) answered++
    else if (!Number.isNaN(settledAt[arrived])) failed++
    arrived++
  }
  return { arrived, answered, failed }
}

function pad(count: number): string {
  return String(count).padStart(4)
}
