import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

const main = join(import.meta.dirname, '../../src/cli/main.ts')

/** Nobody listens there, so that no server of this machine takes part in a test. */
export const nobody = {
  LLAMA_BASE_URL: 'http://127.0.0.1:1/v1',
  OLLAMA_BASE_URL: 'http://127.0.0.1:1',
  VLLM_BASE_URL: 'http://127.0.0.1:1/v1',
  SGLANG_BASE_URL: 'http://127.0.0.1:1/v1',
  LM_STUDIO_BASE_URL: 'http://127.0.0.1:1/v1',
}

export type CliEnd = { readonly code: number | null; readonly stdout: string; readonly stderr: string }
export type Environment = Readonly<Record<string, string>>

/** Starts the command line as a process of its own, with this environment only. */
export function startCli(
  words: readonly string[],
  environment: Environment = {},
): ChildProcessByStdio<Writable, Readable, Readable> {
  const env = { PATH: '/nowhere', ...nobody, ...environment }
  return spawn(process.execPath, [main, ...words], { env, stdio: ['pipe', 'pipe', 'pipe'] })
}

export async function runCli(words: readonly string[], environment: Environment = {}, input = ''): Promise<CliEnd> {
  const child = startCli(words, environment)
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return endOfCli(child)
}

export async function endOfCli(child: ReturnType<typeof startCli>): Promise<CliEnd> {
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: await stdout, stderr: await stderr }
}
