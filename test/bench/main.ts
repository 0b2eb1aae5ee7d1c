/** `npm run bench`: what a call through unbusy costs, beside raw undici, openai and the AI SDK, in one run. See README.md. */

import { withBench } from './bench.ts'
import { findEntry } from './entry.ts'
import { checkFloors } from './floors.ts'
import { bundle } from './measures/bundle.ts'
import { call } from './measures/call.ts'
import { chunk } from './measures/chunk.ts'
import { fallback } from './measures/fallback.ts'
import { gateway, gatewayOpen } from './measures/gateway.ts'
import { firstToken } from './measures/first-token.ts'
import { health } from './measures/health.ts'
import { telemetry } from './measures/telemetry.ts'
import { importTime } from './measures/import.ts'
import { partialJson } from './measures/partial-json.ts'
import { promises } from './measures/promises.ts'
import { stall } from './measures/stall.ts'
import { streams } from './measures/streams.ts'
import { parseOptions, usage } from './options.ts'
import { installPeers } from '../peers/groups.ts'
import { floorTable, tables } from './table.ts'
import type { Bench, Figure, Measure, MeasureName } from './bench.ts'
import type { Entry } from './entry.ts'
import type { BenchOptions } from './options.ts'

const measures: { readonly [name in MeasureName]: Measure } = {
  call,
  chunk,
  'first-token': firstToken,
  fallback,
  streams,
  promises,
  health,
  telemetry,
  import: importTime,
  bundle,
  'partial-json': partialJson,
  stall,
  gateway,
  'gateway-open': gatewayOpen,
}

const [nodeMajor = 0] = process.versions.node.split('.').map(Number)

const tell = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\u001B[2K\r${text}`)
}

const measureAll = async (bench: Bench, names: readonly MeasureName[]): Promise<readonly Figure[]> => {
  const found: Figure[] = []
  for (const name of names) {
    tell(`measuring ${name} ...`)
    found.push(...(await measures[name](bench)))
  }
  tell('')
  return found
}

const print = (figures: readonly Figure[], entry: Entry | undefined, { json, effort }: BenchOptions): void => {
  const about = { node: process.versions.node, unbusy: entry?.from ?? 'nowhere: not measured', rounds: effort.rounds }
  const floors = checkFloors(figures)
  if (json) {
    console.log(JSON.stringify({ ...about, figures, floors }, undefined, 2))
    return
  }
  console.log(
    `Node ${about.node}, unbusy from ${about.unbusy}, medians of ${about.rounds} interleaved rounds, x = to raw undici\n`,
  )
  console.log(tables(figures))
  if (floors.length > 0) console.log(`\nFloors\n\n${floorTable(floors)}`)
}

const main = async (): Promise<number> => {
  if (nodeMajor < 24) throw new Error(`The bench needs Node 24, this is ${process.versions.node}: start it with "npm run bench".`)
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) {
    console.log(usage)
    return 0
  }
  tell('installing the peers ...')
  await installPeers('bench')
  const entry = options.clients.includes('unbusy') ? await findEntry() : undefined
  const clients = options.clients.filter(name => name !== 'unbusy' || entry !== undefined)
  const figures = await withBench({ entry: entry?.url ?? '', effort: options.effort, clients }, bench =>
    measureAll(bench, options.measures),
  )
  print(figures, entry, options)
  const missed = checkFloors(figures).some(({ kept }) => !kept)
  return options.check && (missed || entry === undefined) ? 1 : 0
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? error.message : error)
  return 2
})
