import { expect, onTestFinished, test, vi } from 'vitest'
import { createClient, type HealthFact, type HealthStore, type StoreMessage } from 'unbusy'
import { fakeClock, fakeTarget } from 'unbusy/testing'

const machine = vi.hoisted(() => ({ name: 'one' }))
vi.mock('node:os', async original => ({ ...(await original<object>()), hostname: () => machine.name }))

/** What Redis does for a fleet: passes facts on, and gives each lease to one process. */
function createStores() {
  const listeners = new Set<(message: StoreMessage) => void>()
  const facts: HealthFact[] = []
  const leases = new Set<string>()
  return (): HealthStore => ({
    publish(fact) {
      facts.push(fact)
      for (const listener of listeners) listener(fact)
    },
    subscribe(listener) {
      listeners.add(listener)
      for (const fact of facts) listener(fact)
      return () => listeners.delete(listener)
    },
    async lease(key) {
      const isFree = !leases.has(key)
      leases.add(key)
      return isFree
    },
  })
}

const origins = [
  ['http://127.0.0.1:8080', 'closed'],
  ['http://localhost:8080', 'closed'],
  ['http://[::1]:8080', 'closed'],
  ['http://gpu-1:8080', 'gated'],
] as const

for (const [origin, elsewhere] of origins) {
  test(`a refusal at ${origin} is shared with the same machine, and another machine is ${elsewhere}`, async () => {
    const clock = fakeClock()
    const store = createStores()
    const identity = { origin, credential: 'none' }
    const start = (name: string) => {
      machine.name = name
      const chain = [fakeTarget({ error: 'rate-limit', retryAfterMs: 60_000 }, { identity, retry: 0 })]
      const client = createClient({ chain, clock, health: store() })
      onTestFinished(async () => client.close())
      return client
    }
    const [first, second, other] = [start('one'), start('one'), start('other')]
    await clock.until(first.generate({ prompt: 'Hi.', timeout: { totalMs: 1_000 } }).catch(() => {}))
    const states = [first, second, other].map(client => client.health()[0]?.state)
    expect(states).toEqual(['gated', 'gated', elsewhere])
  })
}

for (const [origin, pings] of [
  ['http://127.0.0.1:8080', 2],
  ['http://gpu-1:8080', 1],
] as const) {
  test(`of two machines, ${pings} keep ${origin} warm`, async () => {
    const store = createStores()
    const identity = { origin, credential: 'none' }
    let pinging = 0
    for (machine.name of ['one', 'other']) {
      const clock = fakeClock()
      const target = fakeTarget('Arr.', { keepWarm: { prompt: 'You are a pirate.', everyMs: 10_000 }, identity })
      const client = createClient({ chain: [target], clock, random: () => 0.5, health: store() })
      await clock.advance(11_000)
      if (target.provider.calls.length > 0) pinging += 1
      await client.close()
    }
    expect(pinging).toBe(pings)
  })
}
