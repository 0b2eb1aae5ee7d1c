import { figures, interleave } from '../bench.ts'
import { type Door, startDoor } from '../children.ts'
import { crowdJob, tokenEveryMs } from '../crowd-job.ts'
import { answerText } from '../wire.ts'
import { answerTokens, streamURL, warmCalls } from './subjects.ts'
import type { Bench, Figure, Measure, Subject } from '../bench.ts'
import type { Job, Work } from '../jobs.ts'

const base = 'pass-through'

/** CPU of the door for one request, in microseconds. The client that asks is raw undici in another process. */
const cpuOf = async (
  { runner }: Bench,
  door: Door,
  limits: { readonly work: Work; readonly forMs: number; readonly calls?: number },
): Promise<number> => {
  const job: Extract<Job, { type: 'load' }> = {
    ...{ type: 'load', concurrency: 16, expected: answerText(answerTokens) },
    ...limits,
  }
  const before = await door.tell()
  const { calls } = await runner('undici').run<'load'>(job)
  return ((await door.tell()).cpuUs - before.cpuUs) / calls
}

type Entry = { readonly name: string; readonly door: Door; readonly url: string }

const requests = async (bench: Bench, kind: 'call' | 'stream', entries: readonly Entry[]): Promise<readonly Figure[]> => {
  const work = ({ url }: Entry): Work => ({ kind, url })
  const forMs = bench.effort.sampleMs * 3
  for (const entry of entries) {
    await cpuOf(bench, entry.door, { work: work(entry), forMs: bench.effort.warmUpMs, calls: warmCalls })
  }
  const subjects = entries.map((entry): Subject => ({
    ...{ name: entry.name, client: 'undici' },
    sample: () => cpuOf(bench, entry.door, { work: work(entry), forMs }),
  }))
  const name = kind === 'call' ? 'JSON' : `stream of ${answerTokens}`
  return figures(await interleave(subjects, bench.effort.rounds), base, { measure: 'gateway', case: name, unit: 'us' })
}

/** The most that the process holds while so many streams are open, beside the same of the pass-through. */
const memory = async ({ origin, runner, effort }: Bench, doors: readonly Entry[]): Promise<readonly Figure[]> => {
  const peaks = new Map<string, number[]>()
  for (const { name, door, url } of doors) {
    const job = crowdJob(origin, effort.crowdStreams)
    await door.tell('begin')
    await runner('undici').run<'crowd'>({ ...job, url })
    peaks.set(name, [(await door.tell()).rssMb])
  }
  return figures(peaks, base, { measure: 'gateway', case: `RSS, ${effort.crowdStreams} streams`, unit: 'MB' })
}

const slow = `stream/12/${tokenEveryMs}/8`

/** What a request costs the gateway, beside a bare pass-through of node:http; server and clients are other processes. */
export const gateway: Measure = async bench => {
  const { origin } = bench
  const doors = {
    pass: await startDoor('pass-through', origin),
    events: await startDoor('gateway', streamURL(bench, answerTokens, 'whole')),
    json: await startDoor('gateway-json', `${origin}/json`),
    slow: await startDoor('gateway', `${origin}/${slow}`),
  }
  try {
    const ours = [
      { name: 'gateway, upstream streams', door: doors.events, url: doors.events.origin },
      { name: 'gateway, upstream JSON', door: doors.json, url: doors.json.origin },
    ]
    const streamed = { name: base, door: doors.pass, url: `${doors.pass.origin}/stream/${answerTokens}/whole` }
    return [
      ...(await requests(bench, 'call', [{ name: base, door: doors.pass, url: `${doors.pass.origin}/json` }, ...ours])),
      ...(await requests(bench, 'stream', [
        streamed,
        { ...ours[0], name: 'gateway', door: doors.events, url: doors.events.origin },
      ])),
      ...(await memory(bench, [
        { name: base, door: doors.pass, url: `${doors.pass.origin}/${slow}` },
        { name: 'gateway', door: doors.slow, url: doors.slow.origin },
      ])),
    ]
  } finally {
    for (const door of Object.values(doors)) door.stop()
  }
}

/** So many streams at once, each whole at its end: else this throws. */
const open = async ({ origin, runner }: Bench, door: Door, streams: number): Promise<Figure> => {
  await door.tell('begin')
  await runner('undici').run<'crowd'>({ ...crowdJob(origin, streams), url: door.origin })
  const { rssMb } = await door.tell()
  return { measure: 'gateway-open', case: `RSS, ${streams}`, subject: 'gateway', value: rssMb, unit: 'MB', ratio: undefined }
}

/** So many streams at once through the gateway, each whole at its end: a server over a socket each, and a target in memory. */
export const gatewayOpen: Measure = async bench => {
  const slowDoor = await startDoor('gateway', `${bench.origin}/${slow}`)
  const memoryDoor = await startDoor('gateway-memory', `12/${tokenEveryMs}`)
  try {
    return [await open(bench, slowDoor, 4_000), await open(bench, memoryDoor, 10_000)]
  } finally {
    slowDoor.stop()
    memoryDoor.stop()
  }
}
