import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export type RealProgram = {
  /** Resolves when the address answers 200, rejects with the end of the log when the program ends before. */
  until200(url: string, headers?: Readonly<Record<string, string>>): Promise<void>
  /** What it has printed so far. */
  log(): string
  signal(name: NodeJS.Signals): void
  readonly exited: Promise<void>
  hasEnded(): boolean
  /** Ends it, with all that it started. */
  stop(): Promise<void>
}

/** Ends a process group when its standard input is closed, also because the process of the test was killed: none is left behind. */
const watchdog = 'cat >/dev/null; kill -KILL -- -"$0" 2>/dev/null'

/** Starts a server that is no package of this project's, in a process group of its own. */
export function startProgram(command: readonly string[], env: Readonly<Record<string, string>> = {}, cwd?: string): RealProgram {
  const folder = mkdtempSync(join(tmpdir(), 'unbusy-live-'))
  const file = join(folder, 'log')
  const out = openSync(file, 'a')
  const [program = '', ...values] = command
  const child = spawn(program, values, {
    ...{ stdio: ['ignore', out, out], detached: true, env: { ...ofThisMachine(), ...env } },
    ...(cwd === undefined ? undefined : { cwd }),
  })
  const keeper = spawn('bash', ['-c', watchdog, String(child.pid)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  const exited = once(child, 'exit').then(() => {})
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const log = () => readFileSync(file, 'utf8')
  return {
    exited,
    hasEnded,
    log,
    signal: name => void child.kill(name),
    async until200(url, headers = {}) {
      while ((await statusOf(url, headers)) !== 200) {
        if (hasEnded()) throw new Error(`${program} did not start:\n${log().slice(-6_000)}`)
        await delay(50)
      }
    },
    async stop() {
      child.kill('SIGTERM')
      await Promise.race([exited, delay(2_000, undefined, { ref: false })])
      const closed = once(keeper, 'exit')
      keeper.stdin.end()
      await Promise.all([exited, closed])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Nothing of the test runner's, nor any key: vLLM does not start with what Vitest sets. */
function ofThisMachine(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'XDG_CACHE_HOME']
  return Object.fromEntries(
    names.map(name => [name, process.env[name]]).filter(([, value]) => value !== undefined),
  ) as NodeJS.ProcessEnv
}

async function statusOf(url: string, headers: Readonly<Record<string, string>>): Promise<number | undefined> {
  try {
    const response = await fetch(url, { headers })
    await response.body?.cancel()
    return response.status
  } catch {
    return undefined
  }
}
