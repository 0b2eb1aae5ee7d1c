/** What a measure is given, and what it answers with. */

import { startRunner, startServer } from './children.ts'
import { median } from './statistics.ts'
import type { Runner } from './children.ts'
import type { ClientName } from './jobs.ts'

/** How long everything takes. Many short samples: what others do on the machine then hits all subjects of a round alike. */
export type Effort = {
  readonly rounds: number
  readonly sampleMs: number
  /** The longest that one client warms up; most have made enough calls before. */
  readonly warmUpMs: number
  readonly crowdRounds: number
  readonly crowdStreams: number
}

export const efforts = {
  full: { rounds: 31, sampleMs: 80, warmUpMs: 10_000, crowdRounds: 3, crowdStreams: 1_000 },
  quick: { rounds: 15, sampleMs: 50, warmUpMs: 6_000, crowdRounds: 1, crowdStreams: 1_000 },
} as const satisfies { readonly [name: string]: Effort }

export type Bench = {
  readonly origin: string
  /** The module that is measured as unbusy. */
  readonly entry: string
  readonly effort: Effort
  readonly clients: readonly ClientName[]
  runner(name: ClientName): Runner
}

/** One figure: what `subject` costs in one case of one measure. */
export type Figure = {
  readonly measure: MeasureName
  readonly case: string
  readonly subject: string
  readonly value: number
  /** Empty for a plain number. */
  readonly unit: 'us' | 'ms' | 'KB' | 'MB' | ''
  /** To raw undici: the median of the ratios of each round, so that a slow minute hits both. */
  readonly ratio: number | undefined
}

export const measureNames = [
  'call',
  'chunk',
  'first-token',
  'fallback',
  'streams',
  'promises',
  'health',
  'telemetry',
  'import',
  'bundle',
  'partial-json',
  'stall',
  'gateway',
  'gateway-open',
] as const
export type MeasureName = (typeof measureNames)[number]
export type Measure = (bench: Bench) => Promise<readonly Figure[]>

/** One line of a table: a client and how one sample of it is taken. */
export type Subject = {
  readonly name: string
  readonly client: ClientName
  readonly sample: () => Promise<number>
}

/** Takes the samples interleaved, A B C A B C, so that the noise of the machine hits all alike. */
export const interleave = async (
  subjects: readonly Subject[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly number[]>> => {
  const samples = new Map<string, number[]>(subjects.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, sample } of subjects) samples.get(name)?.push(await sample())
  }
  return samples
}

/** Medians, and ratios to the samples of `base` in the same round. */
export const figures = (
  samples: ReadonlyMap<string, readonly number[]>,
  base: string,
  about: Pick<Figure, 'measure' | 'case' | 'unit'>,
): readonly Figure[] => {
  const baseline = samples.get(base)
  const figureOf = (subject: string, values: readonly number[]): Figure => ({
    ...about,
    subject,
    value: median(values),
    ratio: baseline && median(values.map((value, round) => value / (baseline[round] ?? Number.NaN))),
  })
  return [...samples].map(([subject, values]) => figureOf(subject, values))
}

/** Runs `work` with a server and a runner for each client; nothing outlives it. */
export const withBench = async <T>(
  options: Pick<Bench, 'entry' | 'effort' | 'clients'>,
  work: (bench: Bench) => Promise<T>,
): Promise<T> => {
  const server = await startServer()
  const runners = new Map<ClientName, Runner>()
  try {
    for (const name of options.clients) runners.set(name, await startRunner(name, options))
    const runner = (name: ClientName): Runner => {
      const found = runners.get(name)
      if (found === undefined) throw new Error(`No runner was started for ${name}.`)
      return found
    }
    return await work({ ...options, origin: server.origin, runner })
  } finally {
    for (const runner of runners.values()) runner.stop()
    server.stop()
  }
}
