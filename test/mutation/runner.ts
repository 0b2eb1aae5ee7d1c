/**
 * The test runner that Stryker is given. Stryker's own for vitest starts vitest anew for every mutant, which takes seconds; this one keeps
 * a process in which everything is loaded (`worker.ts`), and only switches mutants on and off in it.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Stryker } from '@stryker-mutator/core'
import type { Ended, Order, Report } from './worker.ts'

type DryRun = { readonly status: string; readonly [key: string]: unknown }
type MutantResult = Awaited<ReturnType<Stryker['runMutationTest']>>[number]
type MutantRun = {
  readonly activeMutant: { readonly id: string; readonly fileName: string }
  readonly testFilter?: readonly string[]
  readonly hitLimit?: number
  readonly mutantActivation: 'runtime' | 'static'
}

/** Nothing takes this long: Stryker's limit of hits, and the limits of the worker, end a mutant before. */
const longestMs = 600_000

const budgetMs = Number(process.env['UNBUSY_MUTATION_BUDGET_MS'] ?? 2_000)

/** How much time of the processor each test takes without a mutant. */
const usualFile = 'mutation-usual.json'

class InProcess {
  #worker: ChildProcess | undefined
  #usual: Readonly<Record<string, number>> = {}

  capabilities() {
    return { reloadEnvironment: true }
  }

  async dryRun(): Promise<DryRun> {
    const report = await this.#ask({})
    if (report === undefined) return { status: 'error', errorMessage: 'The process with the tests ended.' }
    // Stryker asks one runner for the dry run, and several to try mutants
    writeFileSync(usualFile, JSON.stringify(Object.fromEntries(report.ended.map(({ id, ms }) => [id, ms]))))
    return {
      status: 'complete',
      mutantCoverage: report.coverage,
      tests: report.ended.map(({ id, ms, failure }) => ({
        ...{ id, name: id, timeSpentMs: ms },
        ...(failure === undefined ? { status: 0 } : { status: 1, failureMessage: failure }),
      })),
    }
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation }: MutantRun): Promise<DryRun> {
    this.#usual = JSON.parse(readFileSync(usualFile, 'utf8')) as Readonly<Record<string, number>>
    const early = mutantActivation === 'static'
    const order: Order = {
      ...{ mutant: activeMutant.id, early, usual: this.#usual, tests: this.#sorted(testFilter, activeMutant.fileName) },
      ...(hitLimit !== undefined && { hitLimit }),
    }
    if (early) this.#stop()
    let report = await this.#ask(order)
    if (report?.dirty === true) {
      // what an earlier mutant left behind may be why: once more, in a new process
      this.#stop()
      report = await this.#ask(order)
    }
    if (early || report?.dirty === true || report?.busy === true) this.#stop()
    if (report === undefined) return { status: 'timeout', reason: 'it never ends' }
    return verdictOf(report)
  }

  dispose() {
    this.#stop()
  }

  /**
   * First the tests of the same name, then the others, the short ones first, as many as fit into the time that a mutant may take. So a
   * mutant that lived may still be seen by a longer test: the score is a lower bound.
   */
  #sorted(tests: readonly string[] | undefined, mutated: string): readonly string[] {
    const name = basename(mutated, '.ts')
    const isNear = (id: string) => basename(id.split(' > ')[0] ?? '').includes(name)
    const msOf = (id: string) => this.#usual[id] ?? 0
    const rank = (id: string) => msOf(id) + (isNear(id) ? 0 : 1e6)
    let sumMs = 0
    return (tests ?? Object.keys(this.#usual))
      .toSorted((one, other) => rank(one) - rank(other))
      .filter(id => isNear(id) || (sumMs += msOf(id)) <= budgetMs)
  }

  async #ask(order: Order): Promise<Report | undefined> {
    const worker = (this.#worker ??= fork(join(process.cwd(), 'test/mutation/worker.ts'), {
      execArgv: ['--conditions=unbusy-source', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    }))
    return new Promise(resolve => {
      const timer = order.mutant === undefined ? undefined : setTimeout(() => worker.kill('SIGKILL'), longestMs)
      const settle = (report: Report | undefined) => {
        clearTimeout(timer)
        worker.removeAllListeners()
        if (report === undefined) this.#worker = undefined
        resolve(report)
      }
      worker.once('message', report => settle(report as Report))
      worker.once('exit', () => settle(undefined))
      worker.send(order)
    })
  }

  #stop(): void {
    this.#worker?.kill('SIGKILL')
    this.#worker = undefined
  }
}

function verdictOf({ ended, looped }: Report): DryRun {
  const failed: Ended | undefined = ended.find(({ failure }) => failure !== undefined)
  if (looped === true) return { status: 'timeout', reason: 'it loops' }
  return failed === undefined
    ? { status: 'survived', nrOfTests: ended.length }
    : { status: 'killed', killedBy: [failed.id], failureMessage: failed.failure, nrOfTests: ended.length }
}

/** Writes down each mutant when it has been tried: a room takes long, and may be stopped. */
class Journal {
  onMutantTested({ fileName, location, mutatorName, replacement, status, statusReason, killedBy }: MutantResult): void {
    const why = [killedBy?.[0], statusReason].join(': ').slice(0, 300)
    const line = { fileName, line: location.start.line, mutatorName, replacement: replacement?.slice(0, 120), status, why }
    appendFileSync(process.env['UNBUSY_MUTATION_JOURNAL'] ?? '/dev/null', `${JSON.stringify(line)}\n`)
  }
}

export const strykerPlugins = [
  { kind: 'TestRunner', name: 'in-process', injectableClass: InProcess },
  { kind: 'Reporter', name: 'journal', injectableClass: Journal },
]
