/** The processes of a bench run: one server, and one runner for each client. All of them end with their parent. */

import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ClientName, Job, JobResult } from './jobs.ts'

export type Runner = {
  run<T extends Job['type']>(job: Extract<Job, { type: T }>): Promise<JobResult<T>>
  stop(): void
}

type Message = { readonly result?: unknown; readonly error?: string; readonly port?: number }

const start = (file: string, args: readonly string[], options: { execArgv?: string[]; entry?: string } = {}): ChildProcess =>
  fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: options.execArgv ?? [],
    env: { ...process.env, ...(options.entry === undefined ? {} : { UNBUSY_ENTRY: options.entry }) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })

const messageOf = async (child: ChildProcess): Promise<Message> => {
  const ended = new AbortController()
  const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
    throw new Error(`A process of the bench ended early with exit code ${String(code)}.`)
  })
  exit.catch(() => undefined)
  try {
    return ((await Promise.race([once(child, 'message', { signal: ended.signal }), exit])) as [Message])[0]
  } finally {
    ended.abort()
  }
}

/** Answers the server's origin. */
export const startServer = async (): Promise<{ readonly origin: string; stop(): void }> => {
  const child = start('server.ts', [])
  const { port } = await messageOf(child)
  return { origin: `http://127.0.0.1:${port}`, stop: () => child.disconnect() }
}

export type Door = {
  readonly origin: string
  /** CPU so far, and the most memory since the last `begin`. */
  tell(what?: 'begin'): Promise<{ readonly cpuUs: number; readonly rssMb: number }>
  stop(): void
}

/** See door.ts. */
export const startDoor = async (kind: string, upstream: string): Promise<Door> => {
  const child = start('door.ts', [kind, upstream], { execArgv: ['--expose-gc'] })
  const { port } = await messageOf(child)
  return {
    origin: `http://127.0.0.1:${port}`,
    async tell(what) {
      child.send(what ?? 'tell')
      return (await messageOf(child)) as never
    },
    stop: () => child.disconnect(),
  }
}

export type RunnerOptions = { readonly entry: string; readonly execArgv?: readonly string[] }

export const startRunner = async (name: ClientName, { entry, execArgv = [] }: RunnerOptions): Promise<Runner> => {
  const child = start('runner.ts', [name], { execArgv: ['--expose-gc', ...execArgv], entry })
  await messageOf(child)
  return {
    async run(job) {
      child.send(job)
      const { result, error } = await messageOf(child)
      if (error !== undefined) throw new Error(`${name}: ${error}`)
      return result as never
    },
    stop: () => child.disconnect(),
  }
}
