/**
 * The process in which the tests run. It loads the sources, with all mutants in them, and the tests once; then it is told which mutant to
 * switch on, and which tests to run. `runner.ts` starts it, and ends it when it hangs.
 */
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Case, collect as Collect, Suite } from './vitest-stand-in.ts'

export type Order = {
  /** Switched on; none for the dry run. `early`: before the sources are loaded. */
  readonly mutant?: string
  readonly early?: boolean
  readonly hitLimit?: number
  /** All, if there are none. */
  readonly tests?: readonly string[]
  /** How much time of the processor each took without a mutant, in ms. */
  readonly usual?: Readonly<Record<string, number>>
}

export type Ended = { readonly id: string; readonly ms: number; readonly failure: string | undefined }
export type Report = {
  readonly ended: readonly Ended[]
  readonly coverage?: unknown
  readonly looped?: boolean
  readonly dirty?: boolean
  readonly busy?: boolean
}

/** What Stryker's instrumented code looks at. */
type Switch = {
  activeMutant?: string | undefined
  currentTestId?: string
  hitCount?: number | undefined
  hitLimit?: number | undefined
  mutantCoverage?: unknown
}
const globals: typeof globalThis & { ['__stryker__']?: Switch } = globalThis
const stryker = (globals['__stryker__'] ??= {})

const standIn = pathToFileURL(join(import.meta.dirname, 'vitest-stand-in.ts')).href
const files = (process.env['UNBUSY_MUTATION_TESTS'] ?? '').split(' ').filter(file => file !== '')
// what `vi` asks of vitest's own worker
Object.assign(globalThis, { __vitest_worker__: { config: { fakeTimers: {} }, rpc: {}, environment: {} } })
// tests may put fake ones in their place
const { setInterval, clearInterval } = globalThis
let loaded: Promise<ReadonlyMap<string, Case>> | undefined
let strays: string[] = []
let patience = 0
const busy = 'busy: the test never ends'

/** At how much time of the processor, in ms, the test that runs must be over: a loop without an await never looks at its own clock. */
const over = new Float64Array(new SharedArrayBuffer(8)).fill(Infinity)
const watch = `
  const { workerData } = require('node:worker_threads')
  const look = () => {
    const { user, system } = process.cpuUsage()
    if ((user + system) / 1_000 > workerData[0]) process.kill(process.pid, 'SIGKILL')
  }
  setInterval(look, 500)`
new Worker(watch, { eval: true, workerData: over }).unref()

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'vitest' && context.parentURL !== standIn
      ? { url: standIn, format: 'module-typescript', shortCircuit: true }
      : next(specifier, context),
})
for (const kind of ['unhandledRejection', 'uncaughtException'])
  process.on(kind, (error: unknown) => void strays.push(`${kind}: ${textOf(error)}`))
process.on('disconnect', () => process.exit())
process.on('message', (order: Order) => void obey(order).then(report => process.send?.(report)))

async function load(): Promise<ReadonlyMap<string, Case>> {
  const { collect } = (await import(standIn)) as { readonly collect: typeof Collect }
  const all: Case[] = []
  for (const file of files) all.push(...(await collect(file, async () => import(pathToFileURL(join(process.cwd(), file)).href))))
  return new Map(all.map(one => [one.id, one]))
}

async function obey(order: Order): Promise<Report> {
  if (order.early === true) stryker.activeMutant = order.mutant
  patience = order.mutant === undefined ? 30_000 : 1_500
  const cases = await (loaded ??= load())
  const chosen = order.tests === undefined ? [...cases.values()] : order.tests.flatMap(id => cases.get(id) ?? [])
  const begun = new Set<Suite>()
  const ended: Ended[] = []
  Object.assign(stryker, {
    activeMutant: order.mutant,
    hitCount: order.mutant === undefined ? undefined : 0,
    hitLimit: order.hitLimit,
  })
  for (const one of chosen) {
    const end = await run(one, begun, order.usual?.[one.id] ?? 0)
    ended.push(end)
    if (end.failure !== undefined && order.mutant !== undefined) break
  }
  const looped = (stryker.hitCount ?? 0) > (stryker.hitLimit ?? Infinity)
  // it may go on for ever, so nothing else may run in this process
  if (ended.at(-1)?.failure?.includes(busy) === true) return { ended, looped, busy: true }
  Object.assign(stryker, { activeMutant: undefined, hitCount: undefined })
  for (const suite of begun) for (const hook of suite.hooks.afterAll) await hook()
  if (order.mutant === undefined) return { ended, coverage: stryker.mutantCoverage }
  return { ended, looped, dirty: await leavesDirt(ended.at(-1), cases) }
}

/** A mutant may leave things behind that make a later test fail. So what failed must succeed without the mutant, in this very process. */
async function leavesDirt(last: Ended | undefined, cases: ReadonlyMap<string, Case>): Promise<boolean> {
  const failed = last?.failure === undefined ? undefined : cases.get(last.id)
  if (failed === undefined) return false
  await nextTurn()
  await nextTurn()
  const again = await run(failed, new Set(), last?.ms ?? 0)
  return again.failure !== undefined
}

async function run(one: Case, begun: Set<Suite>, usualMs: number): Promise<Ended> {
  const suites = linesOf(one.suite)
  const finish: (() => unknown)[] = []
  const startMs = cpuMs()
  strays = []
  stryker.currentTestId = one.id
  over[0] = startMs + 2 * patience + 20 * usualMs
  let failure: string | undefined
  const whole = async () => {
    for (const suite of suites) {
      if (begun.has(suite)) continue
      begun.add(suite)
      for (const hook of suite.hooks.beforeAll) await hook()
    }
    for (const suite of suites) for (const hook of suite.hooks.beforeEach) await hook()
    await one.run(finish)
  }
  try {
    await inTime(whole, usualMs)
  } catch (error) {
    failure = textOf(error)
  }
  if (failure?.includes(busy) === true) return { id: one.id, ms: cpuMs() - startMs, failure }
  const last = [...suites.toReversed().flatMap(suite => suite.hooks.afterEach), ...finish.toReversed()]
  try {
    await inTime(async () => {
      for (const hook of last) await hook()
    }, usualMs)
  } catch (error) {
    failure ??= textOf(error)
  }
  await nextTurn()
  over[0] = Infinity
  failure ??= strays[0]
  delete stryker.currentTestId
  return { id: one.id, ms: cpuMs() - startMs, failure }
}

/**
 * Rejects when nothing happens for seconds, or too much. The time of the wall is no measure where others use the processor too:
 * what counts is how long the loop of this process had nothing to do, and how much time of the processor it took.
 */
async function inTime(body: () => unknown, usualMs: number): Promise<void> {
  const start = performance.eventLoopUtilization()
  const startMs = cpuMs()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setInterval(() => {
      const { idle } = performance.eventLoopUtilization(start)
      if (idle > patience + 2 * usualMs) reject(new Error('idle: the test never ends'))
      if (cpuMs() - startMs > patience + 10 * usualMs) reject(new Error(busy))
    }, 200)
  })
  try {
    await Promise.race([body(), late])
  } finally {
    clearInterval(timer)
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function linesOf(suite: Suite): readonly Suite[] {
  return suite.parent === undefined ? [suite] : [...linesOf(suite.parent), suite]
}

function textOf(error: unknown): string {
  return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 500)
}
