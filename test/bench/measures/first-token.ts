import { interleave } from '../bench.ts'
import { median } from '../statistics.ts'
import { answerText } from '../wire.ts'
import { enabled, streamURL, warmUp } from './subjects.ts'
import type { Bench, Figure, Measure, Subject } from '../bench.ts'
import type { Job } from '../jobs.ts'

const tokens = 5

const sampleFor = (bench: Bench, client: Subject['client'], forMs: number): Promise<number> => {
  const url = streamURL(bench, tokens, 'first')
  const job: Extract<Job, { type: 'first-token' }> = { type: 'first-token', url, forMs, expected: answerText(tokens) }
  return bench
    .runner(client)
    .run<'first-token'>(job)
    .then(({ medianUs }) => medianUs)
}

/** Wall time from the call to the first text in the reader's hands, one call after the other, less what raw undici takes. */
export const firstToken: Measure = async bench => {
  const subjects = enabled(bench, [
    { name: 'undici', client: 'undici' },
    { name: 'openai', client: 'openai' },
    { name: 'ai streamText', client: 'ai' },
    { name: 'unbusy stream', client: 'unbusy' },
  ])
  const work = { kind: 'stream', url: streamURL(bench, tokens, 'first') } as const
  const load = { work, tokens, concurrency: 64 }
  await warmUp(
    bench,
    subjects.map(subject => ({ ...subject, load })),
  )
  const sampled = subjects.map(({ name, client }) => ({
    name,
    client,
    sample: () => sampleFor(bench, client, bench.effort.sampleMs * 2),
  }))
  const samples = await interleave(sampled, bench.effort.rounds)
  const baseline = samples.get('undici') ?? []
  const about = { measure: 'first-token', unit: 'us' } as const
  return [...samples].flatMap(([subject, values]): readonly Figure[] => [
    { ...about, case: 'all of it', subject, value: median(values), ratio: undefined },
    {
      ...about,
      case: 'added',
      subject,
      value: median(values.map((value, round) => value - (baseline[round] ?? Number.NaN))),
      ratio: undefined,
    },
  ])
}
