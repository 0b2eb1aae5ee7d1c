import type { ClockName } from '../contract.ts'
import { ProviderError } from '../errors.ts'

/** What is told of an attempt that one of its clocks has ended. */
export function timeoutError(name: ClockName, afterMs: number): ProviderError {
  const waited = `${Math.round(afterMs)} ms`
  const what: Record<ClockName, string> = {
    connect: `No connection after ${waited} (connectMs).`,
    headers: `No response headers after ${waited} (headersMs).`,
    firstChunk: `No content after ${waited} (firstChunkMs).`,
    queued: `Still queued after ${waited}: only keep-alives came (queuedMs).`,
    chunk: `Silent for ${waited} in the middle of the answer (chunkMs).`,
    total: `The call's time was over after ${waited} (totalMs).`,
  }
  return new ProviderError(what[name], { reason: 'timeout', clock: name })
}
