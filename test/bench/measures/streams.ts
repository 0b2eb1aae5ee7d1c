import { figures, interleave } from '../bench.ts'
import { answerText } from '../wire.ts'
import { enabled, streamURL } from './subjects.ts'
import type { Bench, Measure, Subject } from '../bench.ts'
import type { CrowdResult, Job } from '../jobs.ts'

const everyMs = 400
const windowMs = 4 * everyMs
/** Long enough that nobody is done before the window is over, also where it takes a second to open all streams. */
const tokens = 12

const crowdOf = (bench: Bench, client: Subject['client'], streams: number): Promise<CrowdResult> => {
  const url = streamURL(bench, tokens, String(everyMs))
  const job: Extract<Job, { type: 'crowd' }> = { type: 'crowd', url, streams, windowMs, expected: answerText(tokens) }
  return bench.runner(client).run<'crowd'>(job)
}

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
      const { heapBytesPerStream, cpuUs, wallMs } = await crowdOf(bench, client, crowdStreams)
      perToken.get(name)?.push(cpuUs / (crowdStreams * (wallMs / everyMs)))
      return heapBytesPerStream / 1024
    },
  }))
  const heaps = await interleave(sampled, crowdRounds)
  return [
    ...figures(heaps, 'undici', { measure: 'streams', case: 'heap of one', unit: 'KB' }),
    ...figures(perToken, 'undici', { measure: 'streams', case: 'CPU of a token', unit: 'us' }),
  ]
}
