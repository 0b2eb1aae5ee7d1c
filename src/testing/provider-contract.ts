import type { Target } from '../contract-targets.ts'
import { answers } from './contract/answers.ts'
import { connections } from './contract/connections.ts'
import { attemptOf, contractKey } from './contract/contract-case.ts'
import type { Opened, Promised, Stand } from './contract/contract-case.ts'
import { endings } from './contract/endings.ts'
import { failures } from './contract/failures.ts'
import type { AttemptRun } from './run-attempt.ts'
import { startServer } from './start-server.ts'
import type { TestServer } from './start-server.ts'
import type { WireFormat, WireFormatName } from './wire/wire-format.ts'
import { wireFormatOf } from './wire/wire-formats.ts'

const promises = { ...answers, ...endings, ...failures, ...connections } satisfies Record<string, Promised>

/** The short names of the promises that a provider makes. */
export type PromiseName = keyof typeof promises

/** Options of `testProvider()` and `providerContract()`. */
export type ContractOptions = {
  /** The wire format of this provider's service: the name of a built-in format, or a format of your own. */
  readonly format: WireFormatName | WireFormat
  /** Promises that this provider cannot keep, each with the reason, for example `{ usage: 'The service does not report usage.' }`. */
  readonly skip?: { readonly [name in PromiseName]?: string } | undefined
  /** A case that takes longer than this, in milliseconds, fails. @default 8000 */
  readonly timeoutMs?: number | undefined
}

/** The server that a target must call. */
export type ContractServer = {
  /** The origin, with `/v1` where the format has it. */
  readonly baseURL: string
  /** The key that the target must use. The suite checks that it does not leak into events and errors. */
  readonly apiKey: string
}

/** One test case, for any test framework. */
export type ContractCase = {
  readonly promise: PromiseName
  /** The promise as a sentence, followed by the reason if the case is skipped. */
  readonly name: string
  /** Why the case is skipped; undefined if it runs. */
  readonly skip: string | undefined
  /** Rejects when the promise is broken. Does nothing when it is skipped. */
  run(): Promise<void>
}

/**
 * The suite that every provider must pass, as plain functions: one case for each promise. Every case starts and closes its own
 * server on 127.0.0.1, so cases may run in any order and in parallel.
 *
 * @example
 * const cases = providerContract(({ baseURL, apiKey }) => myProvider({ baseURL, apiKey }), { format: 'openai' })
 * for (const { name, run, skip } of cases) test(name, { skip: skip !== undefined }, run)
 */
export function providerContract(
  makeTarget: (server: ContractServer) => Target,
  options: ContractOptions,
): readonly ContractCase[] {
  const { skip = {}, timeoutMs = 8_000 } = options
  checkSkips(skip)
  const target = makeTarget({ baseURL: 'http://127.0.0.1:1', apiKey: contractKey })
  return namesOf(promises).map(promise => {
    const promised: Promised = promises[promise]
    const reason = skip[promise] ?? promised.excuse?.(target)
    return {
      promise,
      skip: reason,
      name: reason === undefined ? promised.name : `${promised.name} (skipped: ${reason})`,
      run: async () => (reason === undefined ? keep(promised, { makeTarget, format: options.format, timeoutMs }) : undefined),
    }
  })
}

/** The result of running the whole suite. */
export type ContractReport = {
  readonly kept: readonly PromiseName[]
  readonly skipped: readonly { readonly promise: PromiseName; readonly reason: string }[]
}

/**
 * Runs the whole suite, one case after the other, without a test framework. Rejects with an `AggregateError` that holds one error
 * for every broken promise.
 *
 * @example
 * await testProvider(({ baseURL, apiKey }) => myProvider({ baseURL, apiKey }), { format: 'openai' })
 */
export async function testProvider(
  makeTarget: (server: ContractServer) => Target,
  options: ContractOptions,
): Promise<ContractReport> {
  const kept: PromiseName[] = []
  const skipped: { promise: PromiseName; reason: string }[] = []
  const broken: Error[] = []
  for (const { name, promise, run, skip } of providerContract(makeTarget, options)) {
    if (skip !== undefined) skipped.push({ promise, reason: skip })
    else
      await run().then(
        () => kept.push(promise),
        (cause: unknown) => broken.push(new Error(`${promise}: the provider ${name}. ${String(cause)}`, { cause })),
      )
  }
  if (broken.length > 0)
    throw new AggregateError(
      broken,
      `The provider breaks ${broken.length} ${broken.length === 1 ? 'promise' : 'promises'}.\n${broken.map(error => `  ${error.message}`).join('\n')}`,
    )
  return { kept, skipped }
}

function namesOf(all: typeof promises): readonly PromiseName[] {
  return Object.keys(all).filter((name): name is PromiseName => name in all)
}

function checkSkips(skip: { readonly [name: string]: string | undefined }): void {
  for (const [name, reason] of Object.entries(skip)) {
    if (!(name in promises))
      throw new TypeError(`skip: '${name}' is not a promise of the suite. Write one of ${Object.keys(promises).join(', ')}.`)
    if (typeof reason !== 'string' || reason.trim() === '') throw new TypeError(`skip: '${name}' needs a reason, as a string.`)
  }
}

type Terms = {
  readonly makeTarget: (server: ContractServer) => Target
  readonly format: ContractOptions['format']
  readonly timeoutMs: number
}

/** Runs one case and cleans up after it, even if it fails or hangs. */
async function keep(promised: Promised, { makeTarget, format, timeoutMs }: Terms): Promise<void> {
  const servers: TestServer[] = []
  const targets: Target[] = []
  const runs: AttemptRun[] = []
  const stand: Stand = {
    format: wireFormatOf(format),
    async open(replies, options = {}): Promise<Opened> {
      const server = await startServer(replies, { format, ...options })
      const target = makeTarget({ baseURL: server.baseURL, apiKey: contractKey })
      servers.push(server)
      targets.push(target)
      return {
        server,
        target,
        ask: asked => attemptOf(target, runs, asked),
        async answer(call) {
          const run = attemptOf(target, runs, { call })
          await run.over
          return run
        },
      }
    },
  }
  try {
    await within(timeoutMs, promised.check(stand))
  } finally {
    for (const run of runs) run.abort(new Error('The case is over.'))
    await Promise.all(servers.map(server => server.close()))
    await within(timeoutMs, Promise.all(targets.map(async ({ provider }) => provider.close?.())))
  }
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`The case did not end within ${timeoutMs} ms.`)), timeoutMs)
  await Promise.race([work, promise]).finally(() => clearTimeout(timer))
}
