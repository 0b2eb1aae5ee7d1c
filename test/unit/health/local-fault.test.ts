import { expect, test } from 'vitest'
import { createLocalFault } from '../../../src/health/local-fault.ts'
import type { SuspectedFault } from '../../../src/health/local-fault.ts'

function faults() {
  const told: SuspectedFault[] = []
  let ends = 0
  const localFault = createLocalFault({
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
  for (let second = 1; second <= 3_600; second += 1) a.fail(second * 1_000)
  expect(b.fail(3_600_000)).toBe(false)
  expect(a.fail(3_600_001), 'nor is the one that began to fail now a witness for it').toBe(false)
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
    expect(b.blockedUntil(now)).toBe(a.blockedUntil(now))
    pauses.push(a.blockedUntil(now) - now)
    now = a.blockedUntil(now)
    const trial = a.takeProbe(now)!
    expect(b.takeProbe(now), 'one at a time').toBeUndefined()
    expect(b.blockedUntil(now)).toBeGreaterThan(now)
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
  expect(b.blockedUntil(100)).toBeLessThan(100)
  expect(b.needsProbe(100)).toBe(false)
  expect(ends()).toBe(1)
})

test('a suspicion that nobody confirms ends by itself', () => {
  const { a, b } = faults()
  a.fail(0)
  b.fail(0)
  expect(a.needsProbe(5_999)).toBe(true)
  expect(a.needsProbe(6_000)).toBe(false)
  expect(a.blockedUntil(6_000)).toBeLessThan(6_000)
})

const loopbacks = [
  'http://127.0.0.1:8080',
  'http://127.10.20.30:8080',
  'https://localhost',
  'http://localhost:11434',
  'http://[::1]:8000',
  'http://0.0.0.0:8000',
  'http://[::]:8000',
]

test.each(loopbacks)('%s is no network', origin => {
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
  expect(c.blockedUntil(0)).toBeLessThan(0)
  expect(c.fail(500), 'it fails while the network is suspected').toBe(true)
  expect(c.blockedUntil(500)).toBe(1_000)
})

test.each(['https://127.0.0.1.example.com', 'https://localhost:8080.example.com', 'via https://localhost'])(
  '%s is a service like others',
  origin => {
    const { a, localFault } = faults()
    a.fail(0)
    expect(localFault.of(origin, 'other').fail(0)).toBe(true)
  },
)

test('when a suspicion has ended by itself, one service that still fails is the fault of that service', () => {
  const { a, b, localFault, told } = faults()
  a.fail(0)
  b.fail(0)
  expect(localFault.of('https://c', 'C').fail(6_000), 'the suspicion has ended at this moment').toBe(false)
  expect(b.fail(100_000)).toBe(false)
  expect(told).toHaveLength(1)
})

test('an answer of a service that was never suspected ends no suspicion of others', () => {
  const { a, b, localFault, ends } = faults()
  a.fail(0)
  b.fail(0)
  localFault.of('https://c', 'C').reach()
  expect(a.blockedUntil(100)).toBe(1_000)
  expect(ends()).toBe(0)
})

test('a suspicion that has ended says nothing of its services in the next one', () => {
  const { a, b, localFault } = faults()
  a.fail(0)
  b.fail(0)
  b.reach()
  a.reach()
  const c = localFault.of('https://c', 'C')
  a.fail(60_000)
  c.fail(60_000)
  expect(a.blockedUntil(60_000)).toBe(61_000)
  expect(b.blockedUntil(60_000)).toBeLessThan(60_000)
})
