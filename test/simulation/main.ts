/**
 * Bad days of a service, in virtual time: `node test/simulation/main.ts --help`.
 * Ends with 1 when the shipped client misses a target.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { mean, measure, fingerprint, type Measures } from './measures.ts'
import { peers } from './policies/peers.ts'
import type { Policy } from './policy.ts'
import { scenarios, type Scenario } from './scenarios.ts'
import { simulate } from './simulate.ts'
import { judge, printRows, printVerdicts, type Row } from './table.ts'
import { createTrace, type Trace } from './trace.ts'
import { unusual } from './unusual.ts'

const help = `node test/simulation/main.ts [options]
  --scenario S1,S4     only these; default: all
  --processes 1,50     sizes of the fleet; default 1,50, and 500 for S1
  --seeds 3            how many days of each; targets are judged on the mean
  --seed 1             the first seed
  --policy unbusy      unbusy, peers, all, or a part of a peer's name; default all
  --json               results as JSON
  --seconds            a line for every second of the day
  --health             what the clients tell of their targets
  --trace 17,18        everything that happens to these calls
  --between 183.8,184  everything that happens to all calls between these seconds
  --plot               draw docs/pictures/outage.svg anew, and nothing else
  --unusual 5          the numbers of so many failed and slow calls, to be traced; and what happened that never may`

const { values } = parseArgs({
  options: {
    scenario: { type: 'string' },
    processes: { type: 'string' },
    seeds: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    policy: { type: 'string', default: 'all' },
    json: { type: 'boolean', default: false },
    seconds: { type: 'boolean', default: false },
    health: { type: 'boolean', default: false },
    trace: { type: 'string', default: '' },
    between: { type: 'string' },
    unusual: { type: 'string', default: '0' },
    plot: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(help)
else if (values.plot) await plot()
else process.exitCode = await run()

async function plot(): Promise<void> {
  const { outagePicture } = await import('./plot/outage.ts')
  writeFileSync(new URL('../../docs/pictures/outage.svg', import.meta.url), await outagePicture())
}

async function run(): Promise<number> {
  const chosen = scenarios.filter(({ name }) => values.scenario === undefined || values.scenario.split(',').includes(name))
  const policies = await chosenPolicies()
  const rows: Row[] = []
  for (const scenario of chosen) {
    for (const processes of values.processes?.split(',').map(Number) ?? scenario.processes ?? [1, 50]) {
      // no peer has a default response
      for (const policy of policies.filter(({ name }) => scenario.hasDefault !== true || name === 'unbusy'))
        rows.push(await rowOf(scenario, policy, processes))
    }
  }
  const verdicts = judge(rows)
  if (values.json) console.log(JSON.stringify({ rows, missed: verdicts.filter(({ reached }) => !reached) }, undefined, 2))
  else console.log(`\n${printRows(rows)}\n\n${printVerdicts(verdicts)}`)
  return verdicts.every(({ reached }) => reached) ? 0 : 1
}

async function chosenPolicies(): Promise<readonly Policy[]> {
  const named = peers.filter(({ name }) => values.policy === 'all' || values.policy === 'peers' || name.includes(values.policy))
  if (values.policy !== 'all' && values.policy !== 'unbusy') return named
  // Loaded late: the peers can be run while the client does not compile.
  const { unbusy } = await import('./policies/unbusy.ts')
  return [unbusy, ...named]
}

async function rowOf(scenario: Scenario, policy: Policy, processes: number): Promise<Row> {
  const seeds = Number(values.seeds)
  const days: Measures[] = []
  for (let index = 0; index < seeds; index++)
    days.push(await oneDay(scenario, policy, { processes, seed: Number(values.seed) + index }))
  return {
    scenario: scenario.name,
    policy: policy.name,
    processes,
    seeds,
    measures: mean(days),
    judged: policy.name === 'unbusy',
  }
}

async function oneDay(
  scenario: Scenario,
  policy: Policy,
  { processes, seed }: { processes: number; seed: number },
): Promise<Measures> {
  const began = performance.now()
  const ledger = await simulate({ scenario, policy, processes, seed, trace: wantedTrace() })
  const tookMs = performance.now() - began
  if (!values.json) {
    const name = `${scenario.name} ${policy.name}, ${processes} process${processes === 1 ? '' : 'es'}, seed ${seed}`
    console.error(`${name}: ${ledger.arrivals.count} calls in ${(tookMs / 1000).toFixed(1)} s, ${fingerprint(ledger)}`)
  }
  const count = Number(values.unusual)
  if (count > 0) console.error(unusual(ledger, scenario, count))
  return measure(ledger, scenario)
}

function wantedTrace(): Trace | undefined {
  const calls = new Set(values.trace === '' ? [] : values.trace.split(',').map(Number))
  const [fromMs, toMs] = (values.between ?? '').split(',').map(second => Number(second) * 1000)
  const between = fromMs === undefined || toMs === undefined ? undefined : { fromMs, toMs }
  if (calls.size === 0 && between === undefined && !values.seconds && !values.health) return undefined
  return createTrace({ calls, between, seconds: values.seconds, health: values.health, print: line => console.error(line) })
}
