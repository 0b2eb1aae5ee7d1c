import { expect, test } from 'vitest'
import { createSuspension, gateSettings } from '../../../src/health/gate.ts'

const minute = 60_000
const refusal = { reason: 'quota' as const, message: 'No balance.', retryAfterMs: undefined }
const suspension = () => createSuspension(() => 0)

test('a refused key is left alone for five minutes, then one call tries', () => {
  const key = suspension()
  expect(key.suspend(refusal, 0)).toBe(5 * minute)
  expect(key.blockedUntil(5 * minute)).toBe(5 * minute)
  const trial = key.takeProbe(5 * minute)
  expect(trial).toBeDefined()
  expect(key.takeProbe(5 * minute + 1)).toBeUndefined()
  expect(key.blockedUntil(5 * minute + 1)).toBeGreaterThan(5 * minute + 1)
})

test('the success of the trial lifts it at once', () => {
  const key = suspension()
  key.suspend(refusal, 0)
  key.takeProbe(5 * minute)?.end('good', 5 * minute + 500)
  expect(key.needsProbe(5 * minute + 500)).toBe(false)
  expect(key.blockedUntil(5 * minute + 500)).toBeLessThan(0)
})

test('a trial that is refused again doubles the time, up to an hour', () => {
  const key = suspension()
  let now = 0
  const waits: number[] = []
  for (let round = 0; round < 6; round += 1) {
    const until = key.suspend(refusal, now)
    waits.push((until - now) / minute)
    now = until
    key.takeProbe(now)?.end('bad', now)
  }
  expect(waits).toEqual([5, 10, 20, 40, 60, 60])
})

test('refusals of calls that were under way together are one refusal', () => {
  const key = suspension()
  for (let call = 0; call < 100; call += 1) key.suspend(refusal, call)
  expect(key.blockedUntil(100)).toBe(5 * minute)
})

test('a trial without a verdict lets the next call try at once', () => {
  const key = suspension()
  key.suspend(refusal, 0)
  key.takeProbe(5 * minute)?.end('none', 5 * minute)
  expect(key.takeProbe(5 * minute)).toBeDefined()
})

test('a trial that never ends gives its place back by itself', () => {
  const key = suspension()
  key.suspend(refusal, 0)
  const lost = key.takeProbe(5 * minute)
  const next = key.takeProbe(5 * minute + gateSettings.probeLeaseMs)
  expect(next).toBeDefined()
  lost?.end('good', 6 * minute)
  expect(key.needsProbe(6 * minute), 'the late verdict of a lost trial').toBe(true)
})

test('a time that the server named is never shortened, and is known apart from our own guess', () => {
  const key = suspension()
  key.suspend({ ...refusal, retryAfterMs: 10 * minute }, 0)
  expect(key.blockedUntil(0)).toBe(10 * minute)
  expect(key.namedUntil()).toBe(10 * minute)
})

test('F20: beyond a quarter of an hour one call tries, also when it was refused again and again', () => {
  const key = suspension()
  for (let now = 0; now < 120 * minute; now += 15 * minute) {
    key.suspend({ ...refusal, retryAfterMs: 24 * 60 * minute }, now)
    expect([key.blockedUntil(now), key.namedUntil()]).toEqual([now + 15 * minute, now + 15 * minute])
  }
})

test('F35: what answered seconds ago is tried once soon, and left alone for long when that fails too', () => {
  const key = suspension()
  expect(key.suspend(refusal, 0, true)).toBe(3_000)
  expect([key.isBrief(), key.suspend(refusal, 1_000, true)]).toEqual([true, 3_000])
  key.takeProbe(3_000)
  expect(key.suspend(refusal, 3_100, true)).toBe(3_100 + 5 * minute)
  expect(key.isBrief()).toBe(false)
  key.takeProbe(6 * minute)
  expect(key.suspend(refusal, 6 * minute, true)).toBe(16 * minute)
})

test('F35: a refusal that names a time is no mistake, however soon after an answer it comes', () => {
  const key = suspension()
  expect(key.suspend({ ...refusal, retryAfterMs: 1_000 }, 0, true)).toBe(5 * minute)
  expect(key.isBrief()).toBe(false)
})

test('refusals of calls that were under way together are one refusal, also where each names a time', () => {
  const key = suspension()
  for (const now of [0, 1, 2]) key.suspend({ ...refusal, retryAfterMs: minute }, now)
  expect(key.suspend(refusal, 5 * minute)).toBe(15 * minute)
})

test('of two equal times the first keeps its reason', () => {
  const key = suspension()
  for (const message of ['first', 'second']) key.suspendUntil(minute, { ...refusal, message }, { now: 0 })
  expect(key.cause().message).toBe('first')
})

test('F35: the trial that succeeds leaves no trace', () => {
  const key = suspension()
  key.suspend(refusal, 0, true)
  key.takeProbe(3_000)!.end('good', 3_100)
  expect(key.needsProbe(3_100)).toBe(false)
  expect(key.suspend(refusal, 4_000, true)).toBe(7_000)
})

test('F30: what passes by itself is left alone no longer than that', () => {
  const key = suspension()
  for (const now of [0, 61_000, 122_000]) expect(key.suspend({ ...refusal, atMostMs: 60_000 }, now)).toBe(now + 60_000)
})

test('nothing is on trial before anything was refused', () => {
  const key = suspension()
  expect(key.needsProbe(0)).toBe(false)
  expect(key.takeProbe(0)).toBeUndefined()
})

test('the success of the trial does not shorten a time that the server has named meanwhile to another call', () => {
  const key = suspension()
  key.suspend(refusal, 0)
  const trial = key.takeProbe(5 * minute)
  key.suspend({ ...refusal, retryAfterMs: 60 * minute }, 5 * minute)
  trial?.end('good', 5 * minute + 100)
  expect(key.blockedUntil(6 * minute)).toBe(20 * minute)
})

test('what another process has named holds as named, up to a quarter of an hour with its spread (F20)', () => {
  const day = 86_400_000
  const key = suspension()
  expect(key.suspendUntil(10 * minute, refusal, { now: 0 })).toBe(10 * minute)
  expect([key.needsProbe(0), key.namedUntil() < 0]).toEqual([true, true])
  key.suspendUntil(2 * minute, { ...refusal, message: 'Earlier.' }, { now: 0, isNamed: true })
  expect([key.namedUntil(), key.blockedUntil(0), key.cause().message]).toEqual([2 * minute, 10 * minute, 'No balance.'])
  key.suspendUntil(minute, refusal, { now: 0, isNamed: true })
  expect(key.namedUntil()).toBe(2 * minute)
  key.suspendUntil(1_000 + day, refusal, { now: 1_000, isNamed: true })
  expect(key.namedUntil()).toBeCloseTo(1_000 + 16.5 * minute, 3)
})

test('exactly a quarter of an hour is obeyed, and a guess is never shorter than it; only a longer one is looked at again', () => {
  const key = createSuspension(() => 1)
  expect(key.suspend({ ...refusal, retryAfterMs: 1_000 }, 0)).toBeCloseTo(5 * minute * 1.1, 3)
  const other = suspension()
  for (let now = 0; now < 9; now += 1) other.suspend(refusal, other.blockedUntil(0) + now)
  // refused so often, the guess is an hour
  const now = other.blockedUntil(0)
  expect(other.suspend({ ...refusal, retryAfterMs: 15 * minute }, now)).toBe(now + 60 * minute)
  expect(other.suspend({ ...refusal, retryAfterMs: 16 * minute }, now + 60 * minute)).toBe(now + 75 * minute)
})

test('a refusal without a time that comes while it is shut changes nothing', () => {
  const key = suspension()
  key.suspend(refusal, 0)
  expect(key.suspend({ ...refusal, message: 'Late.' }, 4 * minute)).toBe(5 * minute)
  expect(key.suspend({ ...refusal, retryAfterMs: 2 * minute }, 4 * minute)).toBe(6 * minute)
  expect(key.cause().message).toBe('No balance.')
})
