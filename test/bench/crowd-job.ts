import { answerText } from './wire.ts'
import type { Job } from './jobs.ts'

export const tokenEveryMs = 400
const tokens = 12
/** So many come one by one, then the stream is silent. Enough that all still flow in the window, also where it takes a second to open them. */
const slowFrames = 8

/** So many slow streams at once. */
export const crowdJob = (origin: string, streams: number): Extract<Job, { type: 'crowd' }> => ({
  type: 'crowd',
  url: `${origin}/stream/${tokens}/${tokenEveryMs}/${slowFrames}`,
  releaseUrl: `${origin}/release`,
  streams,
  windowMs: 4 * tokenEveryMs,
  silentAfterMs: (slowFrames + 1) * tokenEveryMs,
  expected: answerText(tokens),
})
