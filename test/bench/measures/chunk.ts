import { figures, interleave } from '../bench.ts'
import { cpuOf, enabled, streamURL, warmCalls, warmUp } from './subjects.ts'
import type { Bench, Figure, Measure, Subject } from '../bench.ts'
import type { LoadedClient } from './subjects.ts'

const cases = [
  { name: 'coalesced, 16 at once', pace: 'whole', concurrency: 16 },
  { name: 'one per write, 32 at once', pace: 'each', concurrency: 32 },
] as const

type Case = (typeof cases)[number]

const shortAnswer = 20
const longAnswer = 420

const subjects = (bench: Bench, { pace, concurrency }: Case, tokens: number): readonly LoadedClient[] => {
  const load = (kind: 'call' | 'stream'): LoadedClient['load'] => ({
    work: { kind, url: streamURL(bench, tokens, pace) },
    tokens,
    concurrency,
  })
  return enabled(bench, [
    { name: 'undici + line reader + JSON.parse', client: 'undici', load: load('stream') },
    { name: 'openai', client: 'openai', load: load('stream') },
    { name: 'ai streamText', client: 'ai', load: load('stream') },
    { name: 'unbusy stream', client: 'unbusy', load: load('stream') },
    { name: 'unbusy generate', client: 'unbusy', load: load('call') },
  ])
}

/** What 400 more tokens cost: the price of the call itself is in both and falls out. */
const marginal = (bench: Bench, long: LoadedClient, short: LoadedClient): Subject => ({
  name: long.name,
  client: long.client,
  async sample() {
    const ofShort = await cpuOf(bench, short.client, short.load, { forMs: bench.effort.sampleMs / 2 })
    const ofLong = await cpuOf(bench, long.client, long.load, { forMs: bench.effort.sampleMs })
    return (ofLong - ofShort) / (longAnswer - shortAnswer)
  },
})

/** Client CPU of one more streamed token: an event of 292 bytes. */
export const chunk: Measure = async bench => {
  const found: Figure[] = []
  for (const one of cases) {
    const long = subjects(bench, one, longAnswer)
    const short = subjects(bench, one, shortAnswer)
    await warmUp(bench, long, warmCalls / 10)
    const pairs = long.flatMap((subject, index) => {
      const other = short[index]
      return other === undefined ? [] : [marginal(bench, subject, other)]
    })
    const samples = await interleave(pairs, bench.effort.rounds)
    const about = { measure: 'chunk', case: one.name, unit: 'us' } as const
    found.push(...figures(samples, 'undici + line reader + JSON.parse', about))
  }
  return found
}
