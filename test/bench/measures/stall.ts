import { hostileReplies } from '../hostile.ts'
import { median } from '../statistics.ts'
import type { Bench, Figure, Measure } from '../bench.ts'
import type { HostileReply } from '../hostile.ts'
import type { Job } from '../jobs.ts'

const rounds = 3
const mebibyte = 1024 * 1024

const longestTurn = async (bench: Bench, name: string, { dialect, ask = 'text' }: HostileReply): Promise<number> => {
  const url = `${bench.origin}/hostile/${encodeURIComponent(name)}`
  const job: Extract<Job, { type: 'stall' }> = { type: 'stall', url, dialect, ask, expected: '' }
  // the first one compiles
  await bench.runner('unbusy').run<'stall'>(job)
  const stalls: number[] = []
  for (let round = 0; round < rounds; round++) stalls.push((await bench.runner('unbusy').run<'stall'>(job)).stallMs)
  return median(stalls)
}

const sizeClass = (bytes: number): string => {
  if (bytes <= 2 * mebibyte) return 'up to 2 MiB'
  return bytes <= 8 * mebibyte ? 'up to 8 MiB' : 'up to 16 MiB'
}

/**
 * How long a reply that means harm stops the process: the longest turn of its event loop while one is read, by `generate()` and by
 * `stream()`. A table of all shapes, and the worst of each size, which has a floor.
 */
export const stall: Measure = async bench => {
  if (!bench.clients.includes('unbusy')) return []
  const found: Figure[] = []
  const worst = new Map<string, number>()
  for (const [name, reply] of hostileReplies()) {
    const size = sizeClass(Buffer.byteLength(reply.body()))
    const value = await longestTurn(bench, name, reply)
    worst.set(size, Math.max(worst.get(size) ?? 0, value))
    found.push({ measure: 'stall', subject: name, case: size, value, unit: 'ms', ratio: undefined })
  }
  for (const [size, value] of worst) {
    found.push({ measure: 'stall', subject: 'worst stall of a hostile reply', case: size, value, unit: 'ms', ratio: undefined })
  }
  return found
}
