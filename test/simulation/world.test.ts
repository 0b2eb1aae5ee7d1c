import { describe, expect, test } from 'vitest'
import { measure, type Measures } from './measures.ts'
import { aiSdk, chainOfOpenaiSdks, openaiSdk, openaiSdkWithTimeout } from './policies/peers.ts'
import type { Policy } from './policy.ts'
import { scenarios } from './scenarios.ts'
import { shorten } from './shorten.ts'
import { simulate } from './simulate.ts'
import { authorOf, piece } from './world/ledger.ts'
import { createVirtualTime } from '../helpers/virtual-time.ts'

async function day(name: string, policy: Policy, isShort = false): Promise<Measures> {
  const named = scenarios.find(one => one.name === name)!
  const scenario = isShort ? shorten(named) : named
  return measure(await simulate({ scenario, policy, processes: 1, seed: 1 }), scenario)
}

describe('the world does with the rules of peers what was measured elsewhere', { timeout: 60_000 }, () => {
  test('an outage of a minute: two retries within 1.5 s save one call in forty', async () => {
    const measures = await day('S1', openaiSdk)
    expect(measures.successInBadTime).toBeCloseTo(0.026, 2)
    expect(measures.attempts).toBeCloseTo(1.41, 1)
    expect(measures.faultyRps).toBeGreaterThan(285)
    expect(measures.faultyRps).toBeLessThan(315)
  })

  test('an outage of a minute: two retries within 6 s save one call in ten', async () => {
    const measures = await day('S1', aiSdk)
    expect(measures.successInBadTime).toBeCloseTo(0.108, 1)
    expect(measures.firstTokenP50Ms).toBeGreaterThan(6500)
    expect(measures.firstTokenP50Ms).toBeLessThan(7100)
  })

  test('a slow queue: two calls in three come too late', async () => {
    const measures = await day('S4', openaiSdk)
    expect(measures.successInBadTime).toBeCloseTo(0.292, 1)
    expect(measures.firstTokenP99Ms).toBeGreaterThan(80_000)
  })

  test('both clouds down: a chain of SDKs sends 300 requests a second at a dead primary', async () => {
    const measures = await day('S7', chainOfOpenaiSdks)
    expect(measures.successInBadTime).toBeCloseTo(0.052, 1)
    expect(measures.attempts).toBeCloseTo(2.7, 1)
    expect(measures.faultyRps).toBeGreaterThan(285)
  })

  test('timeout and retries without cancellation at the server: it collapses and stays so', async () => {
    const measures = await day('S9', openaiSdkWithTimeout, true)
    expect(measures.successInBadTime).toBeCloseTo(0.115, 1)
    expect(measures.recoveryMs).toBe(Infinity)
  })
})

describe('virtual time', () => {
  test('lets every microtask, tick and immediate run before it moves on', async () => {
    const time = createVirtualTime()
    const seen: string[] = []
    time.at(1, () => {
      process.nextTick(() => seen.push(`tick at ${time.now()}`))
      setImmediate(() => seen.push(`immediate at ${time.now()}`))
      void Promise.resolve()
        .then(() => undefined)
        .then(() => seen.push(`microtask at ${time.now()}`))
    })
    time.at(2, () => seen.push('next'))
    await time.live(() => false, 10)
    expect(seen).toEqual(['tick at 1', 'microtask at 1', 'immediate at 1', 'next'])
  })

  test.each([NaN, -1, 2 ** 31, Infinity])('fires a timer of %s ms after 1 ms, as Node does, and remembers it', async delayMs => {
    const time = createVirtualTime()
    const clock = time.createClock()
    let firedAt: number | undefined
    clock.setTimeout(() => (firedAt = clock.now()), delayMs)
    await time.live(() => false, 10)
    expect(firedAt).toBe(1)
    expect(clock.misused()).toBe(1)
    expect(clock.alive()).toBe(0)
  })

  test('does not fire what was cleared, and keeps the order of what is due together', async () => {
    const time = createVirtualTime()
    const clock = time.createClock()
    const seen: number[] = []
    const handles = [5, 3, 5, 1].map((delayMs, index) => clock.setTimeout(() => seen.push(index), delayMs))
    clock.clearTimeout(handles[1])
    clock.clearTimeout(handles[1])
    expect(clock.alive()).toBe(3)
    await time.live(() => false, 10)
    expect(seen).toEqual([3, 0, 2])
  })
})

test.each([
  [piece(7) + piece(7), 7],
  [piece(7), 'cut'],
  ['', 'cut'],
  [piece(7) + piece(8), 'glued'],
  [piece(7) + piece(8) + piece(8), 'glued'],
])('the text %j is by %s', (text, author) => {
  expect(authorOf(text)).toBe(author)
})
