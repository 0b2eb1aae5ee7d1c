import { expect, test } from 'vitest'
import { answer, createWorld, enter, fail, failureOf, type HealthWorld, healthIn, open } from '../../helpers/health-world.ts'

const seconds = 1_000
const minutes = 60_000

test.each([
  [15 * minutes, 'rate-limit'],
  [1 * minutes, 'quota'],
] as const)('of several blocks the longest is the state: a gate of %i ms beside a key of five minutes: %s', (gateMs, reason) => {
  const { target, health } = healthIn(createWorld(), { random: () => 0 })
  const calls = [enter(target()), enter(target())]
  calls[0]?.end({ failure: failureOf('quota', { status: 402 }), charged: 'key' })
  calls[1]?.end({ failure: failureOf('rate-limit', { retryAfterMs: gateMs }), charged: 'gate' })
  expect(health.snapshot()[0]).toMatchObject({ state: 'gated', reason })
})

/** A burst of answers at once, an outage, a probe that fails, and the probes that bring the target back. */
function outage({ target, world, health }: HealthWorld, burst: number): number | undefined {
  const permits = Array.from({ length: burst }, () => enter(target()))
  for (const permit of permits) permit.firstChunk(500)
  for (const permit of permits) permit.end('answered')
  world.pass(2 * minutes)
  open(target())
  world.pass(3 * seconds)
  fail(target(), failureOf('server-error'))
  world.pass(5 * seconds)
  for (let probe = 0; probe < 3; probe += 1) answer(target())
  return health.snapshot()[0]?.limit
}

test('after each outage the limit begins with a tenth of the best since the one before, or of half of what was best before', () => {
  const all = healthIn(createWorld())
  // one more is the last probe, which was in flight
  expect(outage(all, 200)).toBe(21)
  all.world.pass(10 * minutes)
  expect(outage(all, 150)).toBe(16)
  all.world.pass(10 * minutes)
  expect(outage(all, 1)).toBe(9)
})
