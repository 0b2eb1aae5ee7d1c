import { onTestFinished } from 'vitest'
import { createClient, type Client, type ClientOptions } from 'unbusy'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { quietPort } from './free-port.ts'
import { needed, type Needed } from './needed.ts'
import { startProgram, type RealProgram } from './real-program.ts'

/**
 * Real servers that `npm run live -- --install` puts into a folder of their own: one Python environment for each, and a tiny model.
 * Every one is named by a variable of its own, so that any may be missing.
 */
const places = {
  vllm: process.env['UNBUSY_LIVE_VLLM'] ?? '',
  litellm: process.env['UNBUSY_LIVE_LITELLM'] ?? '',
  fastapi: process.env['UNBUSY_LIVE_FASTAPI'] ?? '',
  ollama: process.env['UNBUSY_LIVE_OLLAMA'] ?? '',
}

type LiveName = keyof typeof places

/** Whether that server is installed, for `describe.skipIf` and its name. */
export function live(name: LiveName): Needed {
  const variable = `UNBUSY_LIVE_${name.toUpperCase()}`
  return needed(name, places[name] === '' ? `${variable} is not set: npm run live -- --install` : undefined)
}

export type LiveServer = RealProgram & { readonly origin: string; readonly baseURL: string }

export const liveKey = 'sk-for-tests-only'
export const tinyModel = process.env['UNBUSY_LIVE_MODEL'] ?? ''
const gguf = process.env['UNBUSY_GGUF'] ?? ''
const ollamaProgram = `${places.ollama}/ollama`
const scripts = fileURLToPath(new URL('../real/servers', import.meta.url))
const recipes = fileURLToPath(new URL('../../examples/deploy', import.meta.url))

type Starting = {
  /** The path that answers 200 when the server is ready. */
  readonly ready: string
  readonly headers?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Does not wait until it is ready. */
  readonly early?: boolean
}

async function start(
  command: (port: string) => readonly string[],
  { ready, headers, env, early }: Starting,
): Promise<LiveServer> {
  const port = await quietPort()
  const program = startProgram(command(String(port)), { ...plainEnvironment, ...env }, scripts)
  const origin = `http://127.0.0.1:${port}`
  if (early !== true) await program.until200(`${origin}${ready}`, headers)
  return { ...program, origin, baseURL: `${origin}/v1` }
}

/** Nothing is asked of the outside, and no server takes more than one of the few processors. */
const plainEnvironment = {
  HF_HUB_OFFLINE: '1',
  VLLM_NO_USAGE_STATS: '1',
  DO_NOT_TRACK: '1',
  VLLM_CPU_KVCACHE_SPACE: '1',
  VLLM_CPU_OMP_THREADS_BIND: 'nobind',
  OMP_NUM_THREADS: '1',
  TOKENIZERS_PARALLELISM: 'false',
  PYTHONDONTWRITEBYTECODE: '1',
}

export function startVllm(values: readonly string[] = [], { early = false } = {}): Promise<LiveServer> {
  const fixed = ['--served-model-name', 'tiny', '--host', '127.0.0.1', '--dtype', 'float32', '--max-model-len', '2048']
  const env = { VLLM_API_KEY: liveKey, PATH: `${places.vllm}/bin:${process.env['PATH'] ?? ''}` }
  return start(port => [`${places.vllm}/bin/vllm`, 'serve', tinyModel, ...fixed, '--enforce-eager', '--port', port, ...values], {
    ...{ ready: '/health', env, early },
  })
}

export function startLitellm(urls: { readonly well: string; readonly broken: string }): Promise<LiveServer> {
  const env = {
    WELL_URL: urls.well,
    BROKEN_URL: urls.broken,
    WELL_KEY: 'none',
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
    PYTHONPATH: scripts,
  }
  const values = ['--config', 'litellm.yaml', '--host', '127.0.0.1']
  return start(port => [`${places.litellm}/bin/litellm`, ...values, '--port', port], { ready: '/health/liveliness', env })
}

export function startGenerate(engineURL: string, env: Readonly<Record<string, string>> = {}): Promise<LiveServer> {
  const values = ['generate_service:app', '--app-dir', `${recipes}/fastapi`, '--host', '127.0.0.1']
  return start(port => [`${places.fastapi}/bin/uvicorn`, ...values, '--port', port], {
    ...{ ready: '/openapi.json', env: { ENGINE_URL: engineURL, GENERATE_KEY: liveKey, MAX_AT_ONCE: '2', ...env } },
  })
}

/** With one model, `tiny`, made of the GGUF that the tests of llama.cpp also have. */
export async function startOllama(env: Readonly<Record<string, string>> = {}): Promise<LiveServer> {
  const folder = mkdtempSync(join(tmpdir(), 'unbusy-ollama-'))
  const port = await quietPort()
  const address = { OLLAMA_HOST: `127.0.0.1:${port}`, OLLAMA_MODELS: folder, HOME: folder }
  const program = startProgram([ollamaProgram, 'serve'], { ...address, ...env })
  const origin = `http://127.0.0.1:${port}`
  await program.until200(origin)
  // with more threads than processors that are free, each token takes a hundred times as long
  writeFileSync(join(folder, 'Modelfile'), `FROM ${gguf}\nPARAMETER num_ctx 2048\nPARAMETER num_thread 1\n`)
  const made = { env: { ...process.env, ...address } }
  await promisify(execFile)(ollamaProgram, ['create', 'tiny', '-f', join(folder, 'Modelfile')], made)
  const stop = async () => {
    await program.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { ...program, stop, origin, baseURL: origin }
}

/** A client that ends with the test. */
export function clientOf(options: ClientOptions): Client {
  const client = createClient(options)
  onTestFinished(async () => client.close())
  return client
}
