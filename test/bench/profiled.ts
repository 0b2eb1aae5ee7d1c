import { Session } from 'node:inspector/promises'
import type { LoadResult, ProfileKind, ProfileResult } from './jobs.ts'

const cpuIntervalUs = 200
const heapIntervalBytes = 2_048

const starts = {
  async cpu(session: Session) {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: cpuIntervalUs })
    await session.post('Profiler.start')
  },
  // objects that are garbage by the end count too: what is asked for is what the collector has to work for
  async heap(session: Session) {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: heapIntervalBytes,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
  },
} as const

const stops = {
  cpu: async (session: Session): Promise<unknown> => (await session.post('Profiler.stop')).profile,
  heap: async (session: Session): Promise<unknown> => (await session.post('HeapProfiler.stopSampling')).profile,
} as const

/** Does `work` under a profiler of this process. */
export const profiled = async (kind: ProfileKind, work: () => Promise<LoadResult>): Promise<ProfileResult> => {
  const session = new Session()
  session.connect()
  try {
    await starts[kind](session)
    const result = await work()
    return { ...result, profile: await stops[kind](session) }
  } finally {
    session.disconnect()
  }
}
