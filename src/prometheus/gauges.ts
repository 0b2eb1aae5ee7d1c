import type * as promClientModule from 'prom-client'
import type { Gauge, Registry } from 'prom-client'
import type { TargetSnapshot } from '../health/health.ts'
import { alike, stateValues, sumOf } from '../telemetry/measured.ts'
import { type TargetLabels, targetLabels, targetNames } from './labels.ts'

/** A client whose state the gauges report until it is closed. */
export type Watched = {
  readonly client: string
  health(): readonly TargetSnapshot[]
  /** Adds the sums since the last scrape to the counters. */
  flush(): void
}

/** Returns the values of a gauge for targets with the same labels: usually one target, or several if clients have the same chain. */
type Read = (same: readonly TargetSnapshot[]) => readonly (readonly [more: Readonly<Record<string, string>>, value: number])[]

type Shown = { readonly help: string; readonly more?: string; readonly read: Read }

const gauges: Readonly<Record<string, Shown>> = {
  target_state: {
    help: '1 for the state that the target is in, 0 for each other one.',
    more: 'state',
    read: same => stateValues(same).map(([state, value]) => [{ state }, value]),
  },
  attempts_in_flight: { help: 'Requests that are running now.', read: same => one(sumOf(same, ({ inFlight }) => inFlight)) },
  concurrency_limit: {
    help: 'Requests that may run at once; absent if there is no limit.',
    read: same => one(sumOf(same, ({ limit }) => limit)),
  },
  calls_waiting: { help: 'Calls that wait for this target.', read: same => one(sumOf(same, ({ waiting }) => waiting)) },
  retries_left: {
    help: 'Retries that may be sent to the target now.',
    read: same => one(sumOf(same, ({ retriesLeft }) => retriesLeft)),
  },
}

function one(value: number | undefined): ReturnType<Read> {
  return value === undefined ? [] : [[{}, value]]
}

type GaugesOptions = {
  readonly Gauge: typeof promClientModule.Gauge
  readonly register: Registry
  readonly prefix: string
  /** The set changes as clients are created and closed. */
  readonly watched: ReadonlySet<Watched>
}

/** The gauges are read at each scrape, so they cost nothing between scrapes. */
export function makeGauges({ Gauge, register, prefix, watched }: GaugesOptions): readonly Gauge[] {
  return Object.entries(gauges).map(([name, { help, more, read }]) => {
    const labelNames = [...targetNames, ...(more === undefined ? [] : [more])]
    return new Gauge({
      ...{ name: `${prefix}${name}`, help, labelNames, registers: [register] },
      collect() {
        this.reset()
        for (const { labels, same } of alike(labelled(watched)))
          for (const [others, value] of read(same)) this.set({ ...labels, ...others }, value)
      },
    })
  })
}

function* labelled(watched: ReadonlySet<Watched>): Iterable<readonly [TargetLabels, TargetSnapshot]> {
  for (const { client, health } of watched) for (const target of health()) yield [targetLabels(client, target), target]
}
