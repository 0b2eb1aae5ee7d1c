import { createClient } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

test.for([
  ['its server named a time', { error: 'rate-limit', retryAfterMs: 600_000 }, {}],
  [
    'its breaker is open',
    { error: 'server-error' },
    { breaker: { consecutiveFailures: 1, openMs: 300_000, maxOpenMs: 300_000 } },
  ],
] as const)(
  'a target that is left alone because %s is looked at once an interval, and not all the time',
  async ([, reply, options], { clock }) => {
    let looks = 0
    const counting = {
      ...clock,
      setTimeout: (...timer: Parameters<typeof clock.setTimeout>) => ((looks += 1), clock.setTimeout(...timer)),
    }
    const target = fakeTarget(reply, { clock, retry: 0, keepWarm: { prompt: 'You are kind.', everyMs: 1_000 } })
    const client = createClient({ chain: [target], clock: counting, ...options })
    await clock.until(client.generate({ prompt: 'Hi', timeout: { totalMs: 5_000 } }).catch(() => {}))
    const asked = target.provider.calls.length
    looks = 0
    await clock.advance(10_000)
    expect(target.provider.calls).toHaveLength(asked)
    expect(looks).toBeLessThanOrEqual(20)
    await client.close()
  },
)

test('a target without a place in its limits is looked at once an interval too', async ({ clock }) => {
  let looks = 0
  const counting = {
    ...clock,
    setTimeout: (...timer: Parameters<typeof clock.setTimeout>) => ((looks += 1), clock.setTimeout(...timer)),
  }
  const keepWarm = { prompt: 'You are kind.', everyMs: 1_000 }
  const target = fakeTarget('Hello.', { clock, keepWarm, limits: { requestsPerMinute: 2 } })
  const client = createClient({ chain: [target], clock: counting })
  await clock.advance(30_000)
  expect(target.provider.calls).toHaveLength(2)
  expect(looks).toBeLessThanOrEqual(60)
  await client.close()
})
