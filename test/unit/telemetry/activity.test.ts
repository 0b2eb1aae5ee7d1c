import * as fc from 'fast-check'
import { createClient, pool } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import type { Clock } from '../../../src/contract.ts'
import type { AttemptRecord } from '../../../src/contract-events.ts'
import { createActivity } from '../../../src/telemetry/activity.ts'
import { test } from '../../helpers/vitest.ts'

const record = (changed: Partial<AttemptRecord>): AttemptRecord => ({
  ...{ provider: 'a', model: 'm', name: undefined, targetIndex: 0, step: 0, attempt: 1, kind: 'first', outcome: 'answered' },
  ...{ reason: undefined, message: undefined, status: 200, clock: undefined, requestId: undefined, waitMs: 0, durationMs: 1 },
  ...{
    firstChunkMs: 1,
    chunks: 1,
    continuedFrom: undefined,
    usage: undefined,
    cost: undefined,
    costIsUpperBound: false,
    worstCost: undefined,
  },
  ...{ responseId: undefined, responseModel: undefined, finishReason: undefined },
  ...changed,
})

function counting(startAtMs = 0) {
  const clock = fakeClock({ startAtMs })
  const activity = createActivity({ clock, wall: () => 1_800_000_000_000 + clock.now() })
  const client = createClient({ chain: [fakeTarget('Hi.')] })
  return {
    clock,
    activity,
    status: () => activity.status(client.health(), { closed: false, keepWarm: undefined, server: () => undefined }),
  }
}

test('calls of the last five minutes by their end; another step is a fallback, another replica is none', async () => {
  const clock = fakeClock()
  const chain = [
    pool([fakeTarget({ error: 'quota' }, { clock }), fakeTarget(['a', 'b', { error: 'quota' }], { clock, name: 'r2' })], {
      strategy: 'weighted',
      weights: [1, 0],
    }),
    fakeTarget(['c', { error: 'quota' }], { clock, name: 'other' }),
  ]
  const client = createClient({ chain, clock, defaultResponse: 'sorry', random: () => 0 })
  for (const text of ['a', 'b', 'c', 'sorry']) expect((await clock.until(client.generate('Hi'))).text).toBe(text)
  const controller = new AbortController()
  const silent = createClient({ chain: [fakeTarget({ hang: true }, { clock })], clock })
  const left = silent.generate({ prompt: 'Hi', signal: controller.signal }).catch(() => {})
  controller.abort(new Error('left'))
  await left
  await createClient({ chain: [fakeTarget({ error: 'quota' }, { clock })], clock })
    .generate('Hi')
    .catch(() => {})
  expect(client.status().recent).toMatchObject({ seconds: 300, answered: 3, fallback: 1, degraded: 1, failed: 0, aborted: 0 })
  expect(silent.status().recent).toMatchObject({ answered: 0, aborted: 1 })
  expect(silent.status().targets[0]).toMatchObject({ answered: 0, failed: 0, abandoned: 1 })
  await clock.advance(300_000)
  expect(client.status().recent).toMatchObject({ answered: 0, fallback: 0, degraded: 0 })
})

test('status() is plain data, and says when and whether it was closed', async () => {
  const client = createClient({ chain: [fakeTarget(['Hi.', { error: 'quota' }], { price: { input: 1, output: 1 } })] })
  await client.generate('Hi')
  await client.generate('Hi').catch(() => {})
  const status = client.status()
  expect(JSON.parse(JSON.stringify(status))).toMatchObject({
    closed: false,
    targets: [{ provider: 'fake', state: 'gated', reason: 'quota', answered: 1, failed: 1, lastFailures: [{ reason: 'quota' }] }],
    recent: { answered: 1, failed: 1 },
  })
  expect(Math.abs(Date.parse(status.at) - Date.now())).toBeLessThan(1_000)
  expect(Date.parse(status.since)).toBeLessThanOrEqual(Date.parse(status.at))
  await client.close()
  expect(client.status().closed).toBe(true)
})

test('cost adds up what is known, and what is not known is counted, not guessed', () => {
  const { activity, status } = counting()
  activity.attempted(record({ cost: 0.25, usage: { outputTokens: 5 } }))
  activity.attempted(record({ outcome: 'failed', reason: 'overloaded', cost: 0 }))
  activity.attempted(record({ outcome: 'abandoned' }))
  activity.attempted(record({ usage: { outputTokens: 5 } }))
  activity.attempted(record({ outcome: 'skipped', attempt: 0 }))
  expect(status().targets[0]).toMatchObject({ answered: 2, failed: 1, abandoned: 1, cost: 0.25, unknownUsage: 1 })
})

test('the last ten failures, newest first, without messages, ids cut', async () => {
  const { activity, clock, status } = counting()
  for (let each = 1; each <= 12; each += 1) {
    await clock.advance(1_000)
    const requestId = each === 12 ? 'x'.repeat(5_000) : `r${each}`
    activity.attempted(record({ outcome: 'failed', reason: 'overloaded', status: 503, requestId, message: 'PROMPT-7' }))
  }
  const [target] = status().targets
  expect(target?.lastFailures).toHaveLength(10)
  expect(target?.lastFailures[0]).toEqual({
    at: new Date(1_800_000_012_000).toISOString(),
    reason: 'overloaded',
    status: 503,
    requestId: 'x'.repeat(128),
  })
  expect(target?.lastFailures[9]?.requestId).toBe('r3')
  expect(JSON.stringify(status())).not.toContain('PROMPT-7')
})

test('the steps hold every call of the last five minutes once, whenever it came, and none that is older', async () => {
  const given = fc.record({
    startAtMs: fc.integer({ min: -1_000_000, max: 10_000_000 }),
    gaps: fc.array(fc.nat(200_000), { maxLength: 30 }),
  })
  const property = fc.asyncProperty(given, async ({ startAtMs, gaps }) => {
    let now = startAtMs
    const clock: Clock = { now: () => now, setTimeout: () => 0, clearTimeout: () => {} }
    const activity = createActivity({ clock, wall: () => 0 })
    const ends: number[] = []
    for (const gap of gaps) {
      now += gap
      activity.called('answered', 1)
      ends.push(now)
    }
    const { recent } = activity.status([], { closed: false, keepWarm: undefined, server: () => undefined })
    const oldest = (Math.floor(now / 15_000) - 19) * 15_000
    const expected = ends.filter(end => end >= oldest).length
    expect(recent).toMatchObject({ answered: expected, fallback: expected })
    expect(recent.steps).toHaveLength(20)
    expect(recent.steps.reduce((sum, { answered }) => sum + answered, 0)).toBe(expected)
    expect(recent.steps.at(-1)?.answered).toBe(ends.filter(end => Math.floor(end / 15_000) === Math.floor(now / 15_000)).length)
  })
  await fc.assert(property)
})
