/**
 * One client in a process of its own: its CPU, its garbage and its compiled code are not mixed with those of the others.
 * Takes one job at a time from its parent and answers with figures.
 */

import { promiseHooks } from 'node:v8'
import { loadClient } from './load-client.ts'
import { startProfile } from './profiled.ts'
import { median } from './statistics.ts'
import type { BenchClient } from './clients/client.ts'
import type {
  ClientName,
  CrowdResult,
  FirstTokenResult,
  Job,
  JobResult,
  LoadResult,
  ProfileResult,
  PromisesResult,
  StallResult,
  Work,
} from './jobs.ts'

type Run = (onFirst?: () => void) => Promise<string>

const client = await loadClient(process.argv[2] as ClientName)
const prepared = new Map<string, Run>()

const prepare = (work: Work, from: BenchClient): Run => {
  if (work.kind === 'fallback') return from.fallback(work.busyUrl, work.url)
  return work.kind === 'call' ? from.call(work.url) : from.stream(work.url)
}

/** Clients are made once for each address, as a service would do it. */
const runOf = (work: Work): Run => {
  const key = JSON.stringify(work)
  const run = prepared.get(key) ?? prepare(work, client)
  prepared.set(key, run)
  return run
}

const check = (text: string, expected: string): void => {
  if (text !== expected) throw new Error(`${client.name} answered ${JSON.stringify(text)} instead of ${JSON.stringify(expected)}`)
}

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

const load = async ({
  work,
  concurrency,
  forMs,
  calls: enough = Infinity,
  expected,
}: Omit<Extract<Job, { type: 'load' }>, 'type'>): Promise<LoadResult> => {
  const run = runOf(work)
  const cpuBefore = cpuUs()
  const before = performance.now()
  let calls = 0
  const worker = async (): Promise<void> => {
    while (performance.now() - before < forMs && calls < enough) {
      check(await run(), expected)
      calls++
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { calls, cpuUsPerCall: (cpuUs() - cpuBefore) / calls, wallUsPerCall: ((performance.now() - before) * 1000) / calls }
}

const firstToken = async ({ url, forMs, expected }: Extract<Job, { type: 'first-token' }>): Promise<FirstTokenResult> => {
  const run = runOf({ kind: 'stream', url })
  const end = performance.now() + forMs
  const times: number[] = []
  while (performance.now() < end) {
    const before = performance.now()
    check(await run(() => times.push(performance.now() - before)), expected)
  }
  return { calls: times.length, medianUs: median(times) * 1000 }
}

/** Heap in use after a full collection: garbage does not count, what a stream holds on to does. */
const settledHeap = async (): Promise<number> => {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

const wait = (forMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, forMs))

/** Resolves when every one of so many new streams has its first token. */
const gather = async (run: Run, count: number): Promise<readonly Promise<string>[]> => {
  let started = 0
  const everybodyIsHere = Promise.withResolvers<void>()
  const arrive = (): void => {
    started++
    if (started === count) everybodyIsHere.resolve()
  }
  const answers = Array.from({ length: count }, () => run(arrive))
  await Promise.race([everybodyIsHere.promise, Promise.all(answers)])
  return answers
}

/** Streams that are there before the heap is looked at: what is made once for all, or grows by steps, is no part of one stream. */
const earlyShare = 0.3

/** The heap is looked at while all streams are silent: what is on its way at a moment would be noise. */
const crowd = async (job: Extract<Job, { type: 'crowd' }>): Promise<CrowdResult> => {
  const { url, streams, windowMs, silentAfterMs, profile = false, expected } = job
  const run = runOf({ kind: 'stream', url })
  const early = Math.round(streams * earlyShare)
  const flowing = streams - early
  const answers = [...(await gather(run, early))]
  await wait(silentAfterMs)
  const heapBefore = await settledHeap()
  const stopProfile = profile ? await startProfile('held') : undefined
  answers.push(...(await gather(run, flowing)))
  const cpuBefore = cpuUs()
  const before = performance.now()
  await wait(windowMs)
  const result = { cpuUs: cpuUs() - cpuBefore, wallMs: performance.now() - before, flowing }
  await wait(silentAfterMs - windowMs)
  const heapBytesPerStream = ((await settledHeap()) - heapBefore) / flowing
  const held = await stopProfile?.()
  await (await fetch(job.releaseUrl)).text()
  for (const answer of answers) check(await answer, expected)
  return { ...result, heapBytesPerStream, profile: held }
}

/** One call after the other; the promise of the loop itself is one in each call, for all clients alike. */
const promises = async ({ work, calls, expected }: Extract<Job, { type: 'promises' }>): Promise<PromisesResult> => {
  const run = runOf(work)
  let made = 0
  const stop = promiseHooks.onInit(() => {
    made++
  }) as () => void
  try {
    for (let call = 0; call < calls; call++) check(await run(), expected)
  } finally {
    stop()
  }
  return { perCall: made / calls }
}

const threadCpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/** Every turn of the event loop is measured, in CPU time: what others do on the machine is no part of it. */
const stall = async ({ url, dialect, ask }: Extract<Job, { type: 'stall' }>): Promise<StallResult> => {
  if (client.hostile === undefined) throw new Error(`${client.name} is asked for nothing hostile.`)
  globalThis.gc?.()
  let stallMs = 0
  let isOver = false
  let last = threadCpuMs()
  const turn = (): void => {
    const now = threadCpuMs()
    stallMs = Math.max(stallMs, now - last)
    last = now
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await client.hostile(url, dialect, ask)
  isOver = true
  await new Promise(resolve => setImmediate(resolve))
  return { stallMs }
}

const profile = async (job: Extract<Job, { type: 'profile' }>): Promise<ProfileResult> => {
  const stop = await startProfile(job.kind)
  return { ...(await load(job)), profile: await stop() }
}

const perform = (job: Job): Promise<JobResult<Job['type']>> => {
  if (job.type === 'load') return load(job)
  if (job.type === 'first-token') return firstToken(job)
  if (job.type === 'crowd') return crowd(job)
  if (job.type === 'promises') return promises(job)
  if (job.type === 'stall') return stall(job)
  return profile(job)
}

process.on('message', (job: Job) => {
  perform(job).then(
    result => process.send?.({ result }),
    (error: Error) => process.send?.({ error: error.stack }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
