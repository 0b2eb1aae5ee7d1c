import { expect, test } from 'vitest'
import { createLocalFault } from '../../../src/health/local-fault.ts'
import type { SuspectedFault } from '../../../src/health/local-fault.ts'
import { loadFirst } from '../../../src/health/settings.ts'

function faults() {
  const told: SuspectedFault[] = []
  let ends = 0
  const localFault = createLocalFault({
    settings: loadFirst.localFault,
    onSuspect: fault => void told.push(fault),
    onEnd: () => (ends += 1),
  })
  return { a: localFault.of('https://a', 'A'), b: localFault.of('https://b', 'B'), localFault, told, ends: () => ends }
}

test('one service that cannot be reached is the fault of that service, however often', () => {
  const { a, told } = faults()
  for (let second = 0; second < 60; second += 1) expect(a.fail(second * 1_000)).toBe(false)
  expect(told).toEqual([])
})

test('two services that fail within five seconds are one fault, and it is ours', () => {
  const { a, b, told } = faults()
  expect(a.fail(1_000)).toBe(false)
  expect(b.fail(6_000)).toBe(true)
  expect(told).toEqual([{ origins: ['https://a', 'https://b'], providers: ['A', 'B'], since: 1_000, now: 6_000 }])
})

test('two services that fail more than five seconds apart are two faults', () => {
  const { a, b, told } = faults()
  a.fail(1_000)
  expect(b.fail(6_001)).toBe(false)
  expect(told).toEqual([])
})

test('a service that has been down for an hour is no witness against the network', () => {
  const { a, b } = faults()
  for (let second = 0; second <= 3_600; second += 1) a.fail(second * 1_000)
  expect(b.fail(3_600_000)).toBe(false)
})

test('a success in between clears it', () => {
  const { a, b } = faults()
  a.fail(0)
  a.reach()
  expect(b.fail(1_000)).toBe(false)
})

test('everybody pauses for a second, then one call at a time finds out, with longer pauses while it lasts', () => {
  const { a, b } = faults()
  a.fail(0)
  b.fail(0)
  let now = 0
  const pauses: number[] = []
  for (let round = 0; round < 5; round += 1) {
    expect(b.openAt(now)).toBe(a.openAt(now))
    pauses.push(a.openAt(now) - now)
    now = a.openAt(now)
    const trial = a.take(now)!
    expect(b.take(now), 'one at a time').toBeUndefined()
    expect(b.openAt(now)).toBeGreaterThan(now)
    expect(a.fail(now), 'nobody is charged').toBe(true)
    trial.end('bad', now)
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 4_000, 4_000])
})

test('it is told once, however many calls meet it', () => {
  const { a, b, told } = faults()
  for (let call = 0; call < 100; call += 1) {
    a.fail(call)
    b.fail(call)
  }
  expect(told).toHaveLength(1)
})

test('as soon as one of them answers all may be asked again', () => {
  const { a, b, ends } = faults()
  a.fail(0)
  b.fail(0)
  a.reach()
  expect(b.openAt(100)).toBeLessThan(100)
  expect(b.onTrial(100)).toBe(false)
  expect(ends()).toBe(1)
})

test('a suspicion that nobody confirms ends by itself', () => {
  const { a, b } = faults()
  a.fail(0)
  b.fail(0)
  expect(a.onTrial(5_999)).toBe(true)
  expect(a.onTrial(6_000)).toBe(false)
  expect(a.openAt(6_000)).toBeLessThan(6_000)
})

test.each(['http://127.0.0.1:8080', 'http://localhost:11434', 'http://[::1]:8000'])('%s is no network', origin => {
  const { a, localFault } = faults()
  const local = localFault.of(origin, 'llama')
  a.fail(0)
  expect(local.fail(0)).toBe(false)
  expect(a.fail(0)).toBe(false)
})

test('a service that still answers is not held up by the others', () => {
  const { a, b, localFault } = faults()
  const c = localFault.of('https://c', 'C')
  a.fail(0)
  b.fail(0)
  expect(c.openAt(0)).toBeLessThan(0)
  expect(c.fail(500), 'it fails while the network is suspected').toBe(true)
  expect(c.openAt(500)).toBe(1_000)
})
