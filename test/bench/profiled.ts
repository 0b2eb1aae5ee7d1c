import { Session } from 'node:inspector/promises'
import type { ProfileKind } from './jobs.ts'

const cpuIntervalUs = 200
const heapIntervalBytes = 2_048

const starts: { readonly [kind in ProfileKind]: (session: Session) => Promise<unknown> } = {
  async cpu(session) {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: cpuIntervalUs })
    await session.post('Profiler.start')
  },
  // objects that are garbage by the end count too: what is asked for is what the collector has to work for
  heap: session =>
    session.post('HeapProfiler.startSampling', {
      samplingInterval: heapIntervalBytes,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    }),
  held: session => session.post('HeapProfiler.startSampling', { samplingInterval: heapIntervalBytes }),
}

const stopHeap = async (session: Session): Promise<unknown> => (await session.post('HeapProfiler.stopSampling')).profile

const stops: { readonly [kind in ProfileKind]: (session: Session) => Promise<unknown> } = {
  cpu: async session => (await session.post('Profiler.stop')).profile,
  heap: stopHeap,
  held: stopHeap,
}

/** Starts a profiler of this process. Returns how to stop it and get what it found. */
export const startProfile = async (kind: ProfileKind): Promise<() => Promise<unknown>> => {
  const session = new Session()
  session.connect()
  await starts[kind](session)
  return async () => {
    try {
      return await stops[kind](session)
    } finally {
      session.disconnect()
    }
  }
}
