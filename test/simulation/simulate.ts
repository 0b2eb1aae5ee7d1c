import { createArrivals } from './world/arrivals.ts'
import { authorOf, createLedger, type Ledger, type ServerName } from './world/ledger.ts'
import { createModelProvider } from './world/provider.ts'
import { createRandom } from '../helpers/random.ts'
import { createServer, type Server } from './world/server.ts'
import { createVirtualTime, type VirtualTime, type WatchedClock } from '../helpers/virtual-time.ts'
import { baseRps, deadlineMs, serverModels, type Scenario } from './scenarios.ts'
import { type Caller, degraded, type Policy, type Step } from './policy.ts'
import type { Trace } from './trace.ts'

export type DayOptions = {
  readonly scenario: Scenario
  readonly policy: Policy
  readonly processes: number
  readonly seed: number
  readonly trace?: Trace | undefined
}

type Process = { readonly caller: Caller; readonly clock: WatchedClock }

/** How long the world waits for calls that should have settled long ago. */
const patienceMs = 3 * deadlineMs

/** One day of a fleet under one policy, in virtual time. */
export async function simulate(options: DayOptions): Promise<Ledger> {
  const { scenario, processes, seed } = options
  const time = createVirtualTime()
  const ledger = createLedger(createArrivals({ seed, perSecond: baseRps, endMs: scenario.endMs, processes }))
  const servers = createServers(options, time, ledger)
  const fleet = Array.from({ length: processes }, (_, index) => createProcess(index, options, { time, ledger, servers }))

  options.trace?.watch({ time, ledger, servers, endMs: scenario.endMs })
  for (const { atMs, server, to } of scenario.changes) time.at(atMs, () => servers[server].change(to))
  const open = callsOpen(options, { time, ledger, fleet })
  await time.live(() => open() === 0, scenario.endMs + patienceMs)
  await goHome(options, { time, ledger, servers, fleet })
  return ledger
}

type World = { readonly time: VirtualTime; readonly ledger: Ledger; readonly servers: Readonly<Record<ServerName, Server>> }

function createServers({ scenario, seed }: DayOptions, time: VirtualTime, ledger: Ledger): World['servers'] {
  const create = (name: ServerName, stream: number): Server => {
    const requests = ledger.requests[name]
    return createServer(
      { ...serverModels[name], ...scenario.servers?.[name] },
      {
        time,
        random: createRandom(seed, stream),
        onArrival() {
          const second = Math.floor(time.now() / 1000)
          requests[second] = (requests[second] ?? 0) + 1
        },
      },
    )
  }
  return { P: create('P', 11), S: create('S', 12), L: create('L', 13) }
}

function createProcess(index: number, { scenario, policy, seed, trace }: DayOptions, world: World): Process {
  const clock = world.time.createClock()
  const cuts = createRandom(seed, 1000 + index)
  const chain = scenario.chain.map((name): Step => {
    const note = (call: number, text: string): void => trace?.note(call, text)
    const provider = createModelProvider(name, world.servers[name], { ...world, random: cuts, note })
    return { provider, model: name, price: serverModels[name].price }
  })
  const caller = policy.create({
    chain,
    clock,
    random: createRandom(seed, 2000 + index),
    hasDefault: scenario.hasDefault === true,
    trace: trace === undefined ? undefined : (text, number) => trace.tell(index, text, number),
  })
  return { caller, clock }
}

/** Lets every call arrive in its time. Returns how many have not yet come or are not yet settled. */
function callsOpen(
  { policy, trace }: DayOptions,
  world: { time: VirtualTime; ledger: Ledger; fleet: readonly Process[] },
): () => number {
  const { time, ledger, fleet } = world
  const { arrivals, faults } = ledger
  let open = arrivals.count

  const settle = (number: number, answer: string | typeof degraded | undefined): void => {
    open--
    if (!Number.isNaN(ledger.settledAt[number])) faults.settledTwice++
    ledger.settledAt[number] = time.now()
    if (policy.hasDeadline && time.now() - arrivals.at[number]! > deadlineMs + 1) faults.settledLate++
    if (answer === undefined) return
    if (answer === degraded) return void (ledger.degraded[number] = 1)
    const author = authorOf(answer)
    if (author === 'cut') faults.cutTexts++
    else if (author === 'glued') faults.gluedTexts++
    else ledger.answeredBy[number] = author
  }

  const arrive = (number: number): void => {
    if (number + 1 < arrivals.count) time.at(arrivals.at[number + 1]!, () => arrive(number + 1))
    const { caller } = fleet[arrivals.process[number]!]!
    trace?.note(number, 'arrives')
    caller.generate({ number }).then(
      text => {
        trace?.note(number, `answered ${String(text)}`)
        settle(number, text)
      },
      (error: unknown) => {
        trace?.note(number, `failed ${String(error).split('\n')[0]}`)
        if (!policy.isFailure(error) && faults.wrongErrors++ === 0) ledger.wrongError = error
        settle(number, undefined)
      },
    )
  }

  if (arrivals.count > 0) time.at(arrivals.at[0]!, () => arrive(0))
  return () => open
}

/** Closes every client and looks for what was left behind. */
async function goHome({ scenario }: DayOptions, world: World & { fleet: readonly Process[] }): Promise<void> {
  const { time, ledger, servers, fleet } = world
  const { faults } = ledger
  for (const settledAt of ledger.settledAt) if (Number.isNaN(settledAt)) faults.neverSettled++
  let closed = false
  const closing = Promise.all(fleet.map(({ caller }) => caller.close())).then(() => void (closed = true))
  await time.live(() => closed, time.now() + patienceMs)
  if (closed) await closing
  else faults.neverClosed++
  for (const { clock } of fleet) faults.timersLeaked += clock.alive()

  // Servers that know no cancellation still work on what nobody waits for.
  await time.live(() => false, time.now() + patienceMs)
  for (const { caller, clock } of fleet) {
    faults.permitsLeaked += caller.inFlight()
    faults.timersMisused += clock.misused()
  }
  for (const name of scenario.chain) {
    const { running, waiting } = servers[name].load()
    faults.requestsLeaked += running + waiting
  }
}
