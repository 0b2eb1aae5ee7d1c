import { answerText } from '../wire.ts'
import { enabled, streamURL } from './subjects.ts'
import type { Bench, Figure, Measure } from '../bench.ts'
import type { ClientName, Job, Work } from '../jobs.ts'

const calls = 20
const shortAnswer = 27
const longAnswer = 427

type Counted = { readonly name: string; readonly client: ClientName; readonly kind: 'call' | 'stream' }

const promisesOf = async (bench: Bench, { client, kind }: Counted, tokens: number): Promise<number> => {
  const work: Work = { kind, url: streamURL(bench, tokens, 'each') }
  const job: Extract<Job, { type: 'promises' }> = { type: 'promises', work, calls, expected: answerText(tokens) }
  await bench.runner(client).run<'promises'>(job)
  return (await bench.runner(client).run<'promises'>(job)).perCall
}

/** How many promises a streamed call makes, and each further token, where every token comes in a write of its own. */
export const promises: Measure = async bench => {
  const counted: readonly Counted[] = enabled(bench, [
    { name: 'undici', client: 'undici', kind: 'stream' },
    { name: 'openai', client: 'openai', kind: 'stream' },
    { name: 'ai streamText', client: 'ai', kind: 'stream' },
    { name: 'unbusy stream', client: 'unbusy', kind: 'stream' },
    { name: 'unbusy generate', client: 'unbusy', kind: 'call' },
  ])
  const found: Figure[] = []
  for (const one of counted) {
    const ofShort = await promisesOf(bench, one, shortAnswer)
    const ofLong = await promisesOf(bench, one, longAnswer)
    const about = { measure: 'promises', subject: one.name, unit: '', ratio: undefined } as const
    found.push({ ...about, case: 'a call of 27 tokens', value: ofShort })
    found.push({ ...about, case: 'per streamed token', value: (ofLong - ofShort) / (longAnswer - shortAnswer) })
  }
  return found
}
