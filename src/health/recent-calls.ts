export type Count = { readonly calls: number; readonly failures: number }

/** Calls and failures of the last `windowMs`, counted in slices of it: it costs the same at any rate. */
export type RecentCalls = {
  add(now: number, count: Count): void
  count(now: number): Count
  clear(): void
}

const slices = 10

export function createRecentCalls(windowMs: number): RecentCalls {
  const sliceMs = windowMs / slices
  const numbers = new Float64Array(slices).fill(Number.NEGATIVE_INFINITY)
  const calls = new Float64Array(slices)
  const failures = new Float64Array(slices)

  return {
    add(now, count) {
      const number = Math.floor(now / sliceMs)
      const at = ((number % slices) + slices) % slices
      if (numbers[at] !== number) {
        numbers[at] = number
        calls[at] = 0
        failures[at] = 0
      }
      calls[at] = (calls[at] ?? 0) + count.calls
      failures[at] = (failures[at] ?? 0) + count.failures
    },
    count(now) {
      const oldest = Math.floor(now / sliceMs) - slices
      let allCalls = 0
      let allFailures = 0
      for (let at = 0; at < slices; at += 1) {
        if ((numbers[at] ?? 0) <= oldest) continue
        allCalls += calls[at] ?? 0
        allFailures += failures[at] ?? 0
      }
      // Answers that began before the window may break off in it.
      return { calls: Math.max(allCalls, allFailures), failures: allFailures }
    },
    clear() {
      numbers.fill(Number.NEGATIVE_INFINITY)
    },
  }
}
