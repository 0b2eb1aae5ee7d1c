import { createRandom, exponential, logNormal } from '../../helpers/random.ts'

/** All calls of a day, made before it begins: every policy sees the same ones. */
export type Arrivals = {
  readonly count: number
  readonly at: Float64Array
  readonly outputTokens: Float64Array
  /** Which process of the fleet makes the call. */
  readonly process: Uint16Array
}

const outputLength = { median: 200, sigma: 0.7 }
const shortestOutput = 10

export function createArrivals(options: { seed: number; perSecond: number; endMs: number; processes: number }): Arrivals {
  const random = createRandom(options.seed, 1)
  const lengths = createRandom(options.seed, 2)
  const processes = createRandom(options.seed, 3)
  const times: number[] = []
  for (let at = 0; ;) {
    at += exponential(random, 1000 / options.perSecond)
    if (at >= options.endMs) break
    times.push(at)
  }
  return {
    count: times.length,
    at: Float64Array.from(times),
    outputTokens: Float64Array.from(times, () => Math.max(shortestOutput, Math.round(logNormal(lengths, outputLength)))),
    process: Uint16Array.from(times, () => Math.floor(processes() * options.processes)),
  }
}
