import { figures, interleave } from '../bench.ts'
import { answerTokens, cpuSubject, enabled, jsonCall, streamURL, warmUp } from './subjects.ts'
import type { Bench, Figure, Measure } from '../bench.ts'
import type { Work } from '../jobs.ts'
import type { LoadedClient } from './subjects.ts'

const subjects = (bench: Bench, concurrency: number): readonly LoadedClient[] => {
  const json: Work = jsonCall(bench)
  const streamed = (kind: 'call' | 'stream'): Work => ({ kind, url: streamURL(bench, answerTokens, 'whole') })
  const load = (work: Work): LoadedClient['load'] => ({ work, tokens: answerTokens, concurrency })
  return enabled(bench, [
    { name: 'undici, JSON', client: 'undici', load: load(json) },
    { name: 'undici, streamed', client: 'undici', load: load(streamed('stream')) },
    { name: 'openai, JSON', client: 'openai', load: load(json) },
    { name: 'ai generateText, JSON', client: 'ai', load: load(json) },
    { name: 'unbusy generate, streamed', client: 'unbusy', load: load(streamed('call')) },
    { name: 'unbusy stream, streamed', client: 'unbusy', load: load(streamed('stream')) },
  ])
}

/** Client CPU of one call that answers 27 tokens: as one JSON document, or as 27 events that come at once. */
export const call: Measure = async bench => {
  await warmUp(bench, subjects(bench, 64))
  const found: Figure[] = []
  for (const concurrency of [1, 16, 64]) {
    const loaded = subjects(bench, concurrency).map(subject => cpuSubject(bench, subject))
    const samples = await interleave(loaded, bench.effort.rounds)
    found.push(...figures(samples, 'undici, JSON', { measure: 'call', case: `${concurrency} at once`, unit: 'us' }))
  }
  return found
}
