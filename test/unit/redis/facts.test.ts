import { expect, test } from 'vitest'
import { fakeClock } from 'unbusy/testing'
import type { HealthFact } from '../../../src/health/store.ts'
import { createFactCache } from '../../../src/redis/facts.ts'

test('a shorter time of another process never replaces the longer one that is told again after a flush (R99)', () => {
  const facts = createFactCache(fakeClock())
  const gate = (forMs: number): HealthFact => ({ kind: 'gate', key: 'k', reason: 'rate-limit', forMs })
  facts.keep(gate(60_000), true)
  facts.keep(gate(1_000), false)
  expect(facts.own()).toEqual([gate(60_000)])
})
