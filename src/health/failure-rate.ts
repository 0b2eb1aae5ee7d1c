import type { BreakerSettings } from './settings.ts'

/** The recent results of one target's calls, and whether they show that the target is broken. */
export type FailureRate = {
  /** Returns a number by which this success can be taken back. */
  succeed(now: number): number
  fail(now: number): void
  /** Turns a success into a failure, because the answer broke off after it had begun (R105). */
  takeBack(success: number, now: number): void
  isBroken(now: number): boolean
  /** Forgets everything but the baseline of this target. */
  clear(): void
}

/** The baseline is capped at this share of `failureRatio`, so that an outage opens the breaker of any target (R138). */
const forgivenShare = 0.6
/** A baseline below this share of `failureRatio` is ignored; then the thresholds alone decide. */
const healthyShare = 0.1
/**
 * How improbable failures must be, as a power of e, to count as unusual. Chosen by simulation: with the thresholds alone, the breaker of a
 * target that fails 30 % of its calls opens up to 66 times an hour (at 2 calls a second); with this less than once at any rate.
 */
const unusualFrom = 12

export function createFailureRate(settings: BreakerSettings): FailureRate {
  const window = createWindow(settings.windowMs)
  const last = createLastCalls(settings)

  function isUnusual({ calls, failures }: Count): boolean {
    const baseline = Math.min(last.baseline(), forgivenShare * settings.failureRatio)
    if (baseline <= healthyShare * settings.failureRatio) return true
    return calls * divergence(failures / calls, baseline) >= unusualFrom
  }

  return {
    succeed(now) {
      window.add(now, { calls: 1, failures: 0 })
      return last.add(now, false)
    },
    fail(now) {
      window.add(now, { calls: 1, failures: 1 })
      last.add(now, true)
    },
    takeBack(success, now) {
      window.add(now, { calls: 0, failures: 1 })
      last.turnIntoFailure(success, now)
    },
    isBroken(now) {
      const ofWindow = window.count(now)
      const ofLast = last.count(now)
      const longer = ofWindow.calls >= ofLast.calls ? ofWindow : ofLast
      const isRatio = longer.calls >= settings.minimumCalls && longer.failures >= settings.failureRatio * longer.calls
      if (isRatio && isUnusual(longer)) return true
      if (ofWindow.calls >= settings.minimumCalls) return false
      const run = last.failuresInARow(now)
      return run >= settings.consecutiveFailures && isUnusual({ calls: run, failures: run })
    },
    clear() {
      window.clear()
      last.clear()
    },
  }
}

/** Returns how far a share of failures is above the baseline, in nats per call: the log of its improbability (Chernoff's bound). */
function divergence(share: number, baseline: number): number {
  const part = (seen: number, expected: number) => (seen === 0 ? 0 : seen * Math.log(seen / expected))
  return part(share, baseline) + part(1 - share, 1 - baseline)
}

type Count = { readonly calls: number; readonly failures: number }

/** Calls and failures of the last `windowMs`, counted in slices of that time, so the cost does not grow with the rate of calls. */
type CallWindow = {
  add(now: number, count: Count): void
  count(now: number): Count
  clear(): void
}

const slices = 10

function createWindow(windowMs: number): CallWindow {
  const sliceMs = windowMs / slices
  const numbers = new Float64Array(slices).fill(Number.NEGATIVE_INFINITY)
  const calls = new Float64Array(slices)
  const failures = new Float64Array(slices)

  return {
    add(now, more) {
      const number = Math.floor(now / sliceMs)
      const at = ((number % slices) + slices) % slices
      if (numbers[at] !== number) {
        numbers[at] = number
        calls[at] = 0
        failures[at] = 0
      }
      calls[at] = (calls[at] ?? 0) + more.calls
      failures[at] = (failures[at] ?? 0) + more.failures
    },
    count(now) {
      const expired = Math.floor(now / sliceMs) - slices
      let allCalls = 0
      let allFailures = 0
      for (let at = 0; at < slices; at += 1) {
        if ((numbers[at] ?? 0) <= expired) continue
        allCalls += calls[at] ?? 0
        allFailures += failures[at] ?? 0
      }
      // An answer that began before the window may break off within it.
      return { calls: Math.max(allCalls, allFailures), failures: allFailures }
    },
    clear() {
      numbers.fill(Number.NEGATIVE_INFINITY)
    },
  }
}

/** The last `windowCalls` calls one by one, and the baseline: the share of failures among the calls before them. */
type LastCalls = {
  /** Returns the number of the call. */
  add(now: number, isFailure: boolean): number
  turnIntoFailure(call: number, now: number): void
  count(now: number): Count
  /** Returns the number of failures since the last success. */
  failuresInARow(now: number): number
  baseline(): number
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
  baseline: number
}

/** The baseline of a target that was never called. */
const firstBaseline = 0.02
/** The weight of one call in the baseline. */
const baselineWeight = 1 / 50

function createLastCalls({ windowCalls, maxAgeMs }: BreakerSettings): LastCalls {
  const times = new Float64Array(windowCalls)
  const ring: Ring = {
    size: windowCalls,
    maxAgeMs,
    times,
    failed: new Uint8Array(windowCalls),
    added: 0,
    first: 0,
    baseline: firstBaseline,
  }
  return {
    add: (now, isFailure) => add(ring, now, isFailure),
    turnIntoFailure: (call, now) => turnIntoFailure(ring, call, now),
    count: now => count(ring, now),
    failuresInARow: now => failuresInARow(ring, now),
    baseline: () => ring.baseline,
    clear: () => clear(ring),
  }
}

function add(ring: Ring, now: number, isFailure: boolean): number {
  const call = ring.added
  // Only calls that leave the ring update the baseline, so an outage cannot raise its own threshold.
  if (call - ring.size >= ring.first) updateBaseline(ring, call - ring.size)
  ring.times[call % ring.size] = now
  ring.failed[call % ring.size] = isFailure ? 1 : 0
  ring.added += 1
  return call
}

function turnIntoFailure(ring: Ring, call: number, now: number): void {
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

function failuresInARow(ring: Ring, now: number): number {
  let call = ring.added - 1
  while (isCounted(ring, call, now) && failure(ring, call) === 1) call -= 1
  return ring.added - 1 - call
}

function clear(ring: Ring): void {
  // The failures that opened the breaker are not part of the baseline; the calls before them are.
  let end = ring.added
  while (end > oldest(ring) && failure(ring, end - 1) === 1) end -= 1
  for (let call = oldest(ring); call < end; call += 1) updateBaseline(ring, call)
  ring.first = ring.added
}

function updateBaseline(ring: Ring, call: number): void {
  ring.baseline += (failure(ring, call) - ring.baseline) * baselineWeight
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
