import { figures, interleave } from '../bench.ts'
import { crowdJob, tokenEveryMs } from '../crowd-job.ts'
import { enabled } from './subjects.ts'
import type { Bench, Measure, Subject } from '../bench.ts'
import type { CrowdResult } from '../jobs.ts'

const crowdOf = ({ origin, runner }: Bench, client: Subject['client'], streams: number): Promise<CrowdResult> =>
  runner(client).run<'crowd'>(crowdJob(origin, streams))

/** Many slow streams at once: the heap that each one holds after a full collection, and the CPU of each of their tokens. */
export const streams: Measure = async bench => {
  const { crowdStreams, crowdRounds } = bench.effort
  const subjects = enabled(bench, [
    { name: 'undici', client: 'undici' },
    { name: 'openai', client: 'openai' },
    { name: 'ai streamText', client: 'ai' },
    { name: 'unbusy stream', client: 'unbusy' },
  ])
  for (const { client } of subjects) await crowdOf(bench, client, 50)
  const perToken = new Map<string, number[]>(subjects.map(({ name }) => [name, []]))
  const sampled = subjects.map(({ name, client }) => ({
    name,
    client,
    async sample() {
      const { heapBytesPerStream, cpuUs, wallMs, flowing } = await crowdOf(bench, client, crowdStreams)
      perToken.get(name)?.push(cpuUs / (flowing * (wallMs / tokenEveryMs)))
      return heapBytesPerStream / 1024
    },
  }))
  const heaps = await interleave(sampled, crowdRounds)
  return [
    ...figures(heaps, 'undici', { measure: 'streams', case: 'heap of one', unit: 'KB' }),
    ...figures(perToken, 'undici', { measure: 'streams', case: 'CPU of a token', unit: 'us' }),
  ]
}
