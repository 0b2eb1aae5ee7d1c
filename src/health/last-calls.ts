import type { Count } from './recent-calls.ts'
import type { BreakerSettings } from './settings.ts'

/** The last so many calls, one by one, and what is usual for those before them. */
export type LastCalls = {
  /** Answers the number of the call. */
  add(now: number, isFailure: boolean): number
  /** A call that was a success is a failure now. */
  turn(call: number, now: number): void
  count(now: number): Count
  /** How many failures there are after the last success. */
  run(now: number): number
  /** The share of failures among the calls before these. */
  usual(): number
  clear(): void
}

type Ring = {
  readonly size: number
  readonly maxAgeMs: number
  readonly times: Float64Array
  readonly failed: Uint8Array
  /** How many calls were ever added. */
  added: number
  /** Calls before this one are forgotten. */
  first: number
  usual: number
}

/** What a target is thought to be before it was ever called. */
const usualAtFirst = 0.02
/** So much does one call weigh in what is usual. */
const usualWeight = 1 / 50

export function createLastCalls({ windowCalls, maxAgeMs }: Pick<BreakerSettings, 'windowCalls' | 'maxAgeMs'>): LastCalls {
  const times = new Float64Array(windowCalls)
  const ring: Ring = {
    size: windowCalls,
    maxAgeMs,
    times,
    failed: new Uint8Array(windowCalls),
    added: 0,
    first: 0,
    usual: usualAtFirst,
  }
  return {
    add: (now, isFailure) => add(ring, now, isFailure),
    turn: (call, now) => turn(ring, call, now),
    count: now => count(ring, now),
    run: now => run(ring, now),
    usual: () => ring.usual,
    clear: () => clear(ring),
  }
}

function add(ring: Ring, now: number, isFailure: boolean): number {
  const call = ring.added
  // What falls out of the ring teaches what is usual: the failures that are being judged do not excuse themselves.
  if (call - ring.size >= ring.first) teach(ring, call - ring.size)
  ring.times[call % ring.size] = now
  ring.failed[call % ring.size] = isFailure ? 1 : 0
  ring.added += 1
  return call
}

function turn(ring: Ring, call: number, now: number): void {
  if (call >= oldest(ring)) ring.failed[call % ring.size] = 1
  else add(ring, now, true)
}

function count(ring: Ring, now: number): Count {
  let calls = 0
  let failures = 0
  for (let call = ring.added - 1; isCounted(ring, call, now); call -= 1) {
    calls += 1
    failures += failure(ring, call)
  }
  return { calls, failures }
}

function run(ring: Ring, now: number): number {
  let call = ring.added - 1
  while (isCounted(ring, call, now) && failure(ring, call) === 1) call -= 1
  return ring.added - 1 - call
}

function clear(ring: Ring): void {
  // The failures that opened the breaker are no habit; what came before them is.
  let end = ring.added
  while (end > oldest(ring) && failure(ring, end - 1) === 1) end -= 1
  for (let call = oldest(ring); call < end; call += 1) teach(ring, call)
  ring.first = ring.added
}

function teach(ring: Ring, call: number): void {
  ring.usual += (failure(ring, call) - ring.usual) * usualWeight
}

function oldest(ring: Ring): number {
  return Math.max(ring.first, ring.added - ring.size)
}

function isCounted(ring: Ring, call: number, now: number): boolean {
  return call >= oldest(ring) && now - (ring.times[call % ring.size] ?? 0) <= ring.maxAgeMs
}

function failure(ring: Ring, call: number): number {
  return ring.failed[call % ring.size] ?? 0
}
