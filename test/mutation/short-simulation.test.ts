import { expect, test } from 'vitest'
import { measure } from '../simulation/measures.ts'
import { unbusy } from '../simulation/policies/unbusy.ts'
import { scenarios } from '../simulation/scenarios.ts'
import { shorten } from '../simulation/shorten.ts'
import { simulate } from '../simulation/simulate.ts'
import { judge, printVerdicts } from '../simulation/table.ts'

// A piece of the simulation for mutation tests. `test/simulation` has all of it.

const ofTheWholeDay: ReadonlySet<string> = new Set(['attempts', 'waste', 'dollarsPer1k'])

test.each(['S1', 'S6'])('a short %s misses no target', async name => {
  const scenario = shorten(scenarios.find(one => one.name === name)!)
  const ledger = await simulate({ scenario, policy: unbusy, processes: 1, seed: 1 })
  const row = { scenario: name, policy: unbusy.name, processes: 1, seeds: 1, measures: measure(ledger, scenario), judged: true }
  const missed = judge([row]).filter(({ reached, target }) => !reached && !ofTheWholeDay.has(target.measure))
  expect(ledger.wrongError).toBeUndefined()
  expect(printVerdicts(missed)).toBe('')
  expect(Object.entries(ledger.faults).filter(([, count]) => count > 0)).toEqual([])
})
