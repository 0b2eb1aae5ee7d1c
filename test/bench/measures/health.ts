import { createHealth } from '../../../src/health/health.ts'
import { loadFirst } from '../../../src/health/settings.ts'
import { figures, interleave } from '../bench.ts'
import type { Permit, TargetHealth } from '../../../src/health/health.ts'
import type { Clock, Provider } from '../../../src/contract.ts'
import type { Figure, Measure, Subject } from '../bench.ts'

const callsPerTurn = 1_000

/** Time that runs faster than ours: else a loop would be a million calls a second, which no target ever sees. */
const hurry = 1_000

const clock: Clock = { now: () => performance.now() * hurry, setTimeout: () => undefined, clearTimeout() {} }

const provider = (name: string): Provider => ({
  name,
  identity: { origin: `https://${name}.example`, credential: 'c' },
  stream: async () => {},
})

/** Two targets with everything on, as a client makes them. */
const targetsOf = (): readonly [TargetHealth, TargetHealth] => {
  const health = createHealth({ clock, random: Math.random, settings: loadFirst, emit() {} })
  const targetAt = (index: number): TargetHealth =>
    health.of({ provider: provider(`target-${index}`), model: 'm', index, price: { input: 1, output: 2 } })
  return [targetAt(0), targetAt(1)]
}

/** What the walk asks and tells on the good path: may it start, when is it late, who else is there, how did it end. */
const callsWith = (inFlight: number): ((count: number) => void) => {
  const [first, second] = targetsOf()
  const under: Permit[] = []
  const one = (): void => {
    if (first.check().state !== 'available') throw new Error('The first target is shut.')
    first.firstChunk()
    const permit = first.enter('call')
    if (permit === undefined) throw new Error('The first target gave no permit.')
    first.firstChunk()
    second.check()
    under.push(permit)
    if (under.length < inFlight) return
    const ended = under.shift()
    ended?.firstChunk(280 + 40 * Math.random())
    ended?.end('answered')
  }
  return count => {
    for (let call = 0; call < count; call++) one()
  }
}

const cpuUsOf = async (work: (count: number) => void, forMs: number): Promise<number> => {
  let calls = 0
  const until = performance.now() + forMs
  const before = process.cpuUsage()
  while (performance.now() < until) {
    work(callsPerTurn)
    calls += callsPerTurn
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

/** What gate, breaker, budget, limiter and latency cost a call that finds everything well. Nothing of it is done per token. */
export const health: Measure = async ({ effort }) => {
  const found: Figure[] = []
  for (const inFlight of [1, 64]) {
    const calls = callsWith(inFlight)
    await cpuUsOf(calls, effort.warmUpMs / 4)
    const subject: Subject = { name: 'unbusy', client: 'unbusy', sample: () => cpuUsOf(calls, effort.sampleMs) }
    const samples = await interleave([subject], effort.rounds)
    found.push(...figures(samples, 'nobody', { measure: 'health', case: `${inFlight} at once`, unit: 'us' }))
  }
  return found
}
