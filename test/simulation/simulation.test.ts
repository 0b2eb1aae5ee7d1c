import { afterEach, describe, expect, test, vi } from 'vitest'
import { fingerprint, measure, type MeasureName } from './measures.ts'
import { unbusy } from './policies/unbusy.ts'
import { scenarios, type Scenario } from './scenarios.ts'
import { shorten } from './shorten.ts'
import { simulate } from './simulate.ts'
import { judge, printVerdicts } from './table.ts'
import type { Target } from './targets.ts'

// The short form of `npm run simulate`: one seed, shorter days, and only what does not depend on how long a day is.

const sharesOfTheDay: ReadonlySet<MeasureName> = new Set(['attempts', 'waste', 'dollarsPer1k'])
/**
 * On a short day these two of S7d hang on the seed (six seeds: 0.7 to 4.3 % and 0 to 8 s; on whole days 6 to 9 % and 0 s).
 * Few calls get another answer than the default there, so each weighs much. `npm run simulate` judges both on whole days.
 */
const scattered: ReadonlySet<string> = new Set(['S7d successInBadTime', 'S7d recoveryMs'])
const alsoAsFleet: ReadonlySet<string> = new Set(['S1', 'S5', 'S7'])

const days = scenarios.map(shorten).flatMap(scenario => {
  const sizes = alsoAsFleet.has(scenario.name) ? [1, 50] : [1]
  return sizes.map(processes => ({ scenario, processes, name: scenario.name, title: scenario.title }))
})

function isJudged({ scenario, measure: name }: Target): boolean {
  return !sharesOfTheDay.has(name) && !scattered.has(`${scenario} ${name}`)
}

afterEach(() => vi.restoreAllMocks())

test.each(days)('$name, $processes in the fleet: $title', { timeout: 60_000 }, async ({ scenario, processes }) => {
  const ledger = await simulate({ scenario, policy: unbusy, processes, seed: 1 })
  const row = {
    scenario: scenario.name,
    policy: unbusy.name,
    processes,
    seeds: 1,
    measures: measure(ledger, scenario),
    judged: true,
  }
  const missed = judge([row]).filter(({ reached, target }) => !reached && isJudged(target))
  expect(ledger.wrongError).toBeUndefined()
  expect(printVerdicts(missed)).toBe('')
  expect(Object.entries(ledger.faults).filter(([, count]) => count > 0)).toEqual([])
})

describe('a day hangs on nothing but its seed', () => {
  const eventful = shorten(scenarios.find(({ name }) => name === 'S6') as Scenario)
  const scenario = { ...eventful, endMs: 65_000 }
  const day = async (seed: number): Promise<string> =>
    fingerprint(await simulate({ scenario, policy: unbusy, processes: 3, seed }))

  test('one seed gives the same day twice, another seed another', { timeout: 60_000 }, async () => {
    const first = await day(1)
    expect(await day(1)).toBe(first)
    expect(await day(2)).not.toBe(first)
  })

  test('a wall clock that jumps by an hour and a Math.random that stands still change nothing', { timeout: 60_000 }, async () => {
    const calm = await day(1)
    const wallClock = Date.now.bind(Date)
    let looks = 0
    vi.spyOn(Date, 'now').mockImplementation(() => wallClock() + (looks++ % 2 === 0 ? 3_600_000 : -3_600_000))
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    expect(await day(1)).toBe(calm)
  })

  test('no timer is set but those of the clock that was given', { timeout: 60_000 }, async () => {
    const setTimeout = vi.spyOn(globalThis, 'setTimeout')
    const setInterval = vi.spyOn(globalThis, 'setInterval')
    await day(1)
    expect(setTimeout).not.toHaveBeenCalled()
    expect(setInterval).not.toHaveBeenCalled()
  })
})
