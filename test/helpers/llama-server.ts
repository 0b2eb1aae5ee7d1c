import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import { needed } from './needed.ts'

/**
 * What starts and stops a real llama.cpp server with a small model: `PROGRAM start PORT [llama-server arguments...]`, which ends once
 * the model is loaded, and `PROGRAM stop PORT`. With it a test gets servers of its own, started in a way of their own.
 */
const program = process.env['UNBUSY_LLAMA_SERVER'] ?? ''

const how = 'set UNBUSY_LLAMA_SERVER to what starts a llama.cpp server'
export const llamaServer = needed('llama', program === '' ? how : undefined)

export type LlamaServer = {
  readonly baseURL: string
  readonly port: number
  /** The model is loaded. */
  ready(): Promise<void>
  /** The text that the chat template made of the last conversation. */
  lastPrompt(): Promise<string>
  /** The number by which this server's model knows the last token of a text. */
  tokenOf(text: string): Promise<number>
  /** The number of its process, for `terminate()`. Needs /proc. */
  processId(): Promise<number>
  /** Starts it again after `terminate()`, on the same port. Resolves when the model is loaded. */
  restart(): Promise<void>
  /** SIGTERM, and SIGKILL two seconds later: with a request open it would stay, and say nothing. */
  stop(): Promise<void>
}

/**
 * Keeps a server until its standard input is closed, also when the process of the test was killed: none is left behind. Nor is its log,
 * unless it did not start.
 */
const keeper = [
  'bash "$0" start "$@" </dev/null >/dev/null && cat >/dev/null && rm -f "${XDG_CACHE_HOME:-$HOME/.cache}/unbusy-llama/$1.log"',
  'bash "$0" stop "$1" </dev/null 2>/dev/null',
].join('\n')

/**
 * @param status of `/health` to wait for: 200 when the model is loaded, 503 while it is not
 * @param at the port of one that was stopped, to start it again there
 */
export async function startLlama(values: readonly string[] = [], status: 200 | 503 = 200, at?: number): Promise<LlamaServer> {
  const port = at ?? (await freePort())
  const origin = `http://127.0.0.1:${port}`
  const child = spawn('bash', ['-c', keeper, program, String(port), ...values], {
    stdio: ['pipe', 'ignore', 'pipe'],
    // a signal for the whole group is not for it: it has something to stop first
    detached: true,
    // `/slots` then shows prompts
    env: { ...process.env, LLAMA_SERVER_SLOTS_DEBUG: '1' },
  })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => void (said += bytes.toString()))
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const until = async (awaited: 200 | 503) => {
    while ((await statusOf(`${origin}/health`)) !== awaited) {
      if (hasEnded()) throw new Error(`The llama.cpp server did not start: ${said.trim()}`)
      await delay(20)
    }
  }
  await until(status)
  return {
    baseURL: `${origin}/v1`,
    port,
    ready: async () => until(200),
    async lastPrompt() {
      const slots = (await askJson(`${origin}/slots`)) as { readonly id_task?: number; readonly prompt?: string }[]
      return slots.reduce((last, slot) => ((slot.id_task ?? -1) > (last.id_task ?? -1) ? slot : last)).prompt ?? ''
    },
    async tokenOf(text) {
      const { tokens } = (await askJson(`${origin}/tokenize`, { content: text })) as { readonly tokens: readonly number[] }
      return tokens.at(-1) ?? 0
    },
    processId: async () => processOn(port),
    async restart() {
      // what ends the keeper ends whatever was started on its port
      await promisify(execFile)('bash', [program, 'start', String(port), ...values])
    },
    async stop() {
      if (hasEnded()) return
      const exit = once(child, 'exit')
      child.stdin.end()
      await exit
    },
  }
}

/** The server has its port among its arguments; the script that started it has not. */
async function processOn(port: number): Promise<number> {
  const wanted = `--port\0${port}\0`
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line.includes(wanted)) return Number(name)
  }
  throw new Error(`No llama.cpp server runs on port ${port}.`)
}

/** Ends a process as an orchestrator does: SIGTERM, and SIGKILL where it is still there after the grace. Resolves when it is gone. */
export async function terminate(pid: number, graceMs: number): Promise<void> {
  const startedAt = performance.now()
  const hasEnded = async () => !/^State:\s+[^ZX]/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))
  process.kill(pid, 'SIGTERM')
  while (!(await hasEnded())) {
    if (performance.now() - startedAt > graceMs) process.kill(pid, 'SIGKILL')
    await delay(20)
  }
}

async function statusOf(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url)
    await response.body?.cancel()
    return response.status
  } catch {
    return undefined
  }
}

async function askJson(url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) })
  return response.json()
}
