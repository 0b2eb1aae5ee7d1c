import { figures, interleave } from '../bench.ts'
import { answerTokens, cpuSubject, enabled, streamURL, warmUp } from './subjects.ts'
import type { Bench, Measure } from '../bench.ts'
import type { LoadedClient } from './subjects.ts'

const subjects = (bench: Bench): readonly LoadedClient[] => {
  const busyUrl = `${bench.origin}/busy`
  const load = (url: string): LoadedClient['load'] => ({
    work: { kind: 'fallback', busyUrl, url },
    tokens: answerTokens,
    concurrency: 16,
  })
  const json = load(`${bench.origin}/json`)
  return enabled(bench, [
    { name: 'undici, JSON', client: 'undici', load: json },
    { name: 'openai, JSON', client: 'openai', load: json },
    { name: 'ai generateText, JSON', client: 'ai', load: json },
    { name: 'unbusy generate, streamed', client: 'unbusy', load: load(streamURL(bench, answerTokens, 'whole')) },
  ])
}

/** Client CPU of a call whose first target answers 503 and whose second answers 27 tokens. */
export const fallback: Measure = async bench => {
  const loaded = subjects(bench)
  await warmUp(bench, loaded)
  const samples = await interleave(
    loaded.map(subject => cpuSubject(bench, subject)),
    bench.effort.rounds,
  )
  return figures(samples, 'undici, JSON', { measure: 'fallback', case: '16 at once', unit: 'us' })
}
