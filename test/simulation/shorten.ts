import type { Scenario } from './scenarios.ts'

const leadMs = 40_000
const countedFromMs = 20_000
const tailMs = 60_000
const allDayMs = 110_000

/**
 * The same trouble on a shorter day, for tests: less good time before and after it. Measures that are shares of the whole day (attempts,
 * waste, dollars) mean something else then and are not judged.
 */
export function shorten(scenario: Scenario): Scenario {
  const { bad, endMs } = scenario
  if (scenario.changes.length === 0) {
    return { ...scenario, countedFromMs, endMs: allDayMs, bad: { fromMs: countedFromMs, toMs: allDayMs } }
  }
  const earlierMs = bad.fromMs - leadMs
  const toMs = bad.toMs - earlierMs
  return {
    ...scenario,
    countedFromMs,
    endMs: Math.min(toMs + tailMs, endMs),
    bad: { fromMs: leadMs, toMs },
    changes: scenario.changes.map(change => ({ ...change, atMs: change.atMs - earlierMs })),
    ...(scenario.faultyFromMs === undefined ? {} : { faultyFromMs: scenario.faultyFromMs - earlierMs }),
  }
}
