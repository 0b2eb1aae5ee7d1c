import { answerText } from '../wire.ts'
import type { Bench, Subject } from '../bench.ts'
import type { ClientName, Job, Work } from '../jobs.ts'

export const answerTokens = 27

export type Load = { readonly work: Work; readonly tokens: number; readonly concurrency: number }
export type LoadedClient = { readonly name: string; readonly client: ClientName; readonly load: Load }

export const jsonCall = (bench: Bench): Work => ({ kind: 'call', url: `${bench.origin}/json` })

export const streamURL = (bench: Bench, tokens: number, pace: string): string => `${bench.origin}/stream/${tokens}/${pace}`

/** Client CPU of one call in microseconds. Ends after `forMs`, or after so many `calls`. */
export const cpuOf = async (
  bench: Bench,
  client: ClientName,
  { work, concurrency, tokens }: Load,
  { forMs, calls }: { readonly forMs: number; readonly calls?: number },
): Promise<number> => {
  const expected = answerText(tokens)
  const job: Extract<Job, { type: 'load' }> = { type: 'load', work, concurrency, forMs, calls, expected }
  return (await bench.runner(client).run<'load'>(job)).cpuUsPerCall
}

export const enabled = <T extends { readonly client: ClientName }>(bench: Bench, subjects: readonly T[]): readonly T[] =>
  subjects.filter(({ client }) => bench.clients.includes(client))

/** Raw undici has its final speed after so many calls. A slow client reaches `warmUpMs` before. */
export const warmCalls = 15_000

/** Brings each client's code to its final speed before anything counts, as it is in a service that has run for a minute. */
export const warmUp = async (bench: Bench, subjects: readonly LoadedClient[], calls = warmCalls): Promise<void> => {
  for (const { client, load } of subjects) await cpuOf(bench, client, load, { forMs: bench.effort.warmUpMs, calls })
}

export const cpuSubject = (bench: Bench, { name, client, load }: LoadedClient): Subject => ({
  name,
  client,
  sample: () => cpuOf(bench, client, load, { forMs: bench.effort.sampleMs }),
})
