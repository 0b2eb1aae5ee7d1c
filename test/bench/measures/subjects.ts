import { answerText } from '../wire.ts'
import type { Bench, Subject } from '../bench.ts'
import type { ClientName, Job, Work } from '../jobs.ts'

export const answerTokens = 27

export type Load = { readonly work: Work; readonly tokens: number; readonly concurrency: number }
export type LoadedClient = { readonly name: string; readonly client: ClientName; readonly load: Load }

export const jsonCall = (bench: Bench): Work => ({ kind: 'call', url: `${bench.origin}/json` })

export const streamURL = (bench: Bench, tokens: number, pace: string): string => `${bench.origin}/stream/${tokens}/${pace}`

/** Client CPU of one call in microseconds. */
export const cpuOf = async (bench: Bench, client: ClientName, load: Load, forMs: number): Promise<number> => {
  const { work, concurrency, tokens } = load
  const job: Extract<Job, { type: 'load' }> = { type: 'load', work, concurrency, forMs, expected: answerText(tokens) }
  return (await bench.runner(client).run<'load'>(job)).cpuUsPerCall
}

export const enabled = <T extends { readonly client: ClientName }>(bench: Bench, subjects: readonly T[]): readonly T[] =>
  subjects.filter(({ client }) => bench.clients.includes(client))

/** Brings each client's code to its final speed before anything counts. */
export const warmUp = async (bench: Bench, subjects: readonly LoadedClient[]): Promise<void> => {
  for (const { client, load } of subjects) await cpuOf(bench, client, load, bench.effort.warmUpMs)
}

export const cpuSubject = (bench: Bench, { name, client, load }: LoadedClient): Subject => ({
  name,
  client,
  sample: () => cpuOf(bench, client, load, bench.effort.sampleMs),
})
