import type { BreakerSettings } from './settings.ts'

/** The recent outcomes of one target's calls, and whether they are those of a broken target. */
export type Outcomes = {
  /** Answers a number by which this success can be taken back. */
  succeed(now: number): number
  fail(now: number): void
  /** An answer that had begun broke off: its success becomes a failure (R105). */
  takeBack(success: number, now: number): void
  areBroken(now: number): boolean
  /** Forgets everything but what is usual for this target. */
  clear(): void
}

/** The share of failures is kept in so many slices of the window. */
const slices = 10
/** A share of failures that may be usual for a healthy target; below a tenth of the ratio nothing counts as usual. */
const healthyShare = 0.02
/** How much a target may fail and still be called usual, as a share of the ratio: whatever came before, an outage opens. */
const pardonedShare = 0.6
/** So much does one call weigh in what is usual. */
const usualWeight = 1 / 50
/**
 * How improbable failures must be, as a power of e, to be called unusual. Chosen by simulation: with the bare thresholds, a target
 * that fails 30 % of its calls is opened up to 70 times an hour at 1 call a second; with this less than once.
 */
const unusualFrom = 10

type Count = { readonly calls: number; readonly failures: number }

export function createOutcomes(settings: BreakerSettings): Outcomes {
  const recent = createRecent(settings)
  const last = createLast(settings)

  function isUnusual({ calls, failures }: Count): boolean {
    const usual = Math.min(last.usual(), pardonedShare * settings.failureRatio)
    if (usual <= settings.failureRatio / 10) return true
    return calls * divergence(failures / calls, usual) >= unusualFrom
  }

  return {
    succeed(now) {
      recent.add(now, 1, 0)
      return last.push(now, false)
    },
    fail(now) {
      recent.add(now, 1, 1)
      last.push(now, true)
    },
    takeBack(success, now) {
      recent.add(now, 0, 1)
      last.turn(success, now)
    },
    areBroken(now) {
      const ofWindow = recent.count(now)
      const ofLast = last.count(now)
      const judged = ofWindow.calls >= ofLast.calls ? ofWindow : ofLast
      if (judged.calls >= settings.minimumCalls && judged.failures >= settings.failureRatio * judged.calls && isUnusual(judged))
        return true
      if (ofWindow.calls >= settings.minimumCalls) return false
      const run = last.run(now)
      return run >= settings.consecutiveFailures && isUnusual({ calls: run, failures: run })
    },
    clear() {
      recent.clear()
      last.clear()
    },
  }
}

/** How far a share is from the usual one, in nats a call: the logarithm of how improbable it is (Chernoff's bound). */
function divergence(share: number, usual: number): number {
  const part = (seen: number, expected: number) => (seen === 0 ? 0 : seen * Math.log(seen / expected))
  return share <= usual ? 0 : part(share, usual) + part(1 - share, 1 - usual)
}

/** Calls and failures of the last `windowMs`. */
function createRecent(settings: BreakerSettings) {
  const sliceMs = settings.windowMs / slices
  const slot = new Float64Array(slices).fill(Number.NEGATIVE_INFINITY)
  const calls = new Float64Array(slices)
  const failures = new Float64Array(slices)

  return {
    add(now: number, addedCalls: number, addedFailures: number): void {
      const current = Math.floor(now / sliceMs)
      const at = ((current % slices) + slices) % slices
      if (slot[at] !== current) {
        slot[at] = current
        calls[at] = 0
        failures[at] = 0
      }
      calls[at] = (calls[at] ?? 0) + addedCalls
      failures[at] = (failures[at] ?? 0) + addedFailures
    },
    count(now: number): Count {
      const oldest = Math.floor(now / sliceMs) - slices
      let sumCalls = 0
      let sumFailures = 0
      for (let at = 0; at < slices; at += 1) {
        if ((slot[at] ?? 0) <= oldest) continue
        sumCalls += calls[at] ?? 0
        sumFailures += failures[at] ?? 0
      }
      // Answers that began before the window may break off in it.
      return { calls: Math.max(sumCalls, sumFailures), failures: sumFailures }
    },
    clear: () => void slot.fill(Number.NEGATIVE_INFINITY),
  }
}

/** The last `windowCalls` calls; what falls out of them teaches what is usual. */
function createLast(settings: BreakerSettings) {
  const size = settings.windowCalls
  const times = new Float64Array(size)
  const failed = new Uint8Array(size)
  let pushed = 0
  /** Calls before this one are forgotten. */
  let first = 0
  let usual = healthyShare

  function push(now: number, isFailure: boolean): number {
    const at = pushed % size
    if (pushed - first >= size) usual += ((failed[at] ?? 0) - usual) * usualWeight
    times[at] = now
    failed[at] = isFailure ? 1 : 0
    pushed += 1
    return pushed - 1
  }

  /** From the newest backwards, as long as they are young enough and `each` wants more. */
  function walkBack(now: number, each: (isFailure: boolean) => boolean): void {
    for (let call = pushed - 1; call >= Math.max(first, pushed - size); call -= 1) {
      if (now - (times[call % size] ?? 0) > settings.maxAgeMs) return
      if (!each(failed[call % size] === 1)) return
    }
  }

  return {
    push,
    turn(call: number, now: number): void {
      if (call >= Math.max(first, pushed - size)) failed[call % size] = 1
      else push(now, true)
    },
    count(now: number): Count {
      let calls = 0
      let failures = 0
      walkBack(now, isFailure => {
        calls += 1
        if (isFailure) failures += 1
        return true
      })
      return { calls, failures }
    },
    run(now: number): number {
      let run = 0
      walkBack(now, isFailure => {
        if (isFailure) run += 1
        return isFailure
      })
      return run
    },
    usual: () => usual,
    clear(): void {
      // The failures that opened the breaker are no weather; what came before them is.
      let end = pushed
      while (end > first && failed[(end - 1) % size] === 1 && pushed - end < size) end -= 1
      for (let call = Math.max(first, pushed - size); call < end; call += 1) {
        usual += ((failed[call % size] ?? 0) - usual) * usualWeight
      }
      first = pushed
    },
  }
}
