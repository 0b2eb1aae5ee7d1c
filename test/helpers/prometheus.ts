import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { needed } from './needed.ts'

const isThere = spawnSync('prometheus', ['--version']).status === 0

/** Debian's own Prometheus. */
export const prometheusServer = needed(
  'prometheus',
  isThere ? undefined : 'prometheus is not on the PATH; apt-get install prometheus',
)

const folder = join(import.meta.dirname, '../../examples/monitoring')

/** A program that is ended with the test. */
export type Running = { readonly port: number; readonly child: ChildProcess; stop(): Promise<number | null> }

/** examples/monitoring/app.ts, when it listens. */
export async function startApp(scene: string): Promise<Running> {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port), SCENE: scene, NODE_OPTIONS: '' }
  const child = spawn(process.execPath, ['--conditions=unbusy-source', 'app.ts'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return running(child, port)
}

/** A Prometheus that scrapes apps, each with its scene as a label, by the rules of the example. */
export async function startPrometheus(apps: Readonly<Record<string, number>>, scrapeSeconds: number): Promise<Running> {
  const data = await mkdtemp(join(tmpdir(), 'unbusy-prometheus-'))
  const port = await freePort()
  const configs = Object.entries(apps).map(
    ([scene, target]) => `  - job_name: unbusy-${scene}\n    static_configs: [{ targets: ['127.0.0.1:${target}'] }]\n`,
  )
  const config = join(data, 'prometheus.yml')
  const global = `global: { scrape_interval: ${scrapeSeconds}s, evaluation_interval: ${scrapeSeconds}s }\nrule_files: ['${join(folder, 'alerts.yml')}']\n`
  await writeFile(config, `${global}scrape_configs:\n${configs.join('')}`)
  const flags = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=error',
  ]
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'inherit', 'inherit'] })
  const { stop } = running(child, port)
  for (let each = 0; each < 200 && !(await isReady(port)); each += 1) await new Promise(resolve => void setTimeout(resolve, 100))
  return {
    port,
    child,
    async stop() {
      const code = await stop()
      await rm(data, { recursive: true, force: true, maxRetries: 5 })
      return code
    },
  }
}

async function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  )
}

function running(child: ChildProcess, port: number): Running {
  const ended = once(child, 'exit') as Promise<[number | null]>
  return {
    port,
    child,
    async stop() {
      child.kill('SIGTERM')
      const [code] = await ended
      return code
    },
  }
}

export type Series = {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

/** What a query shows of the last seconds. @throws where Prometheus does not take it */
export async function ask(port: number, query: string, seconds: number): Promise<readonly Series[]> {
  const end = Date.now() / 1_000
  const parameters = new URLSearchParams({ query, start: String(end - seconds), end: String(end), step: '1' })
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/query_range?${parameters.toString()}`)
  const { data, error } = (await response.json()) as {
    readonly data?: { readonly result: readonly Series[] }
    readonly error?: string
  }
  if (data === undefined) throw new Error(`${query}: ${error}`)
  return data.result
}
