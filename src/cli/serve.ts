import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isRecord } from '../check.ts'
import { gatewayDefaults } from '../interop/gateway/config.ts'
import { UnbusyError } from '../errors.ts'
import { type Gateway, type GatewayConfig, serve as open } from '../interop/gateway/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { chainFromEnvironment } from './chain-from-environment.ts'
import { type Command, exitCode, parseWords, UsageError, type World } from './command.ts'
import { serveNotReady } from './not-ready.ts'

const help = `unbusy serve - serves a chain on one port with an API like OpenAI's.

Clients of OpenAI's API, in any language, use http://127.0.0.1:4000/v1 as their base URL. GET /health and /ready are for probes;
/metrics and /status show what happens. Each request is logged as a line of JSON on stdout, without prompts and keys.

  --config FILE          has the default export { routes: { chat: { chain: [...] } }, keys: [...] }, or only { chain: [...] }
                         (default: unbusy.config.ts, .mjs or .js in this folder, otherwise the chain of the environment)
  --chain A,B,C          the services to ask, in place of a config, as in "unbusy ask"
  --host HOST            the address to listen on (default 127.0.0.1); any other address needs keys
  --port PORT            the port to listen on (default 4000); 0 takes any free port
  --no-keys              serves everyone who can reach the port, at your cost
  --metrics-open         /metrics needs no key
  --drain-ms MS          the time that running answers have after SIGTERM (default 60000)
  --keep-alive-ms MS     sends a comment whenever a stream was silent for this long (default: none)

Environment    UNBUSY_KEYS  the keys of callers, with commas between them, if the config has none; keys of services as in "unbusy ask"
Signals        SIGTERM, Ctrl-C  takes no new requests, returns 503 for /ready, finishes running answers, exits with 0; a second one stops at once
               SIGHUP, or a change of the config file  uses the new config for new requests; an invalid one changes nothing
Exit codes     0 stopped, 1 cannot listen, 2 wrong usage or config

npx does not pass SIGTERM on: under a supervisor, start node_modules/.bin/unbusy directly.`

const options = {
  config: { type: 'string' },
  chain: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  'no-keys': { type: 'boolean' },
  'metrics-open': { type: 'boolean' },
  'drain-ms': { type: 'string' },
  'keep-alive-ms': { type: 'string' },
} as const

type Values = ReturnType<typeof parseWords<typeof options>>['values']

export const serve: Command = {
  help,
  run: async (words, world) => served(words, world).finally(endSoon),
}

async function served(words: readonly string[], world: World): Promise<number> {
  const { values, positionals } = parseWords(words, options)
  if (positionals.length > 0) throw new UsageError('serve takes no arguments. Write --config FILE for a config.')
  const { pino } = await import('pino')
  const logger: Logger = pino()
  const source = sourceOf(values, world)
  const version = await versionOf(source.file)
  const config = await unlessStopped(world, loaded(source, values))
  if (world.signal.aborted) return exitCode.answered
  if (config === undefined) return nobodyToAsk(world)
  const gateway = await listening(() => open(withWords(config, { values, logger })))
  const { url } = gateway
  logger.info({ url: `${url}/v1`, config: source.file }, 'listening')
  world.stderr.line(`unbusy serves ${url}/v1`)
  const stopWatching = watch(source, version, isNewest => reload(gateway, { source, values, logger, isNewest }))
  await stopped(world)
  stopWatching()
  logger.info({}, 'draining')
  endOnSecondSignal()
  await gateway.drain()
  logger.info({}, 'stopped')
  return exitCode.answered
}

/** The source of the config. */
type Source = { readonly file: string | undefined; load(): Promise<GatewayConfig | undefined> }

const usualFiles = ['unbusy.config.ts', 'unbusy.config.mjs', 'unbusy.config.js']

function sourceOf({ config, chain }: Values, { signal }: World): Source {
  if (config !== undefined && chain !== undefined) throw new UsageError('Write --config or --chain, not both.')
  const file = config ?? (chain === undefined ? usualFiles.find(name => existsSync(name)) : undefined)
  if (file !== undefined) return { file: resolve(file), load: () => importConfig(resolve(file)) }
  return {
    file: undefined,
    async load(): Promise<GatewayConfig | undefined> {
      const steps = await chainFromEnvironment({ chain, signal })
      return steps.length === 0 ? undefined : { chain: steps.map(({ target }) => target) }
    },
  }
}

/**
 * While the config is loaded, probes get their answer, if the command line says the port: only then is it certain, and cannot be that of
 * another gateway on this machine.
 */
async function loaded(source: Source, { host = gatewayDefaults.host, port: text }: Values): Promise<GatewayConfig | undefined> {
  const port = numberOf(text, '--port') ?? 0
  const notReady = port === 0 ? undefined : await serveNotReady(host, port)
  try {
    return await source.load()
  } finally {
    await notReady?.close()
  }
}

/** Node caches a module under its URL for ever, so each reload needs a new URL. CommonJS it caches under the path. */
let looks = 0
const { cache } = createRequire(import.meta.url)

async function importConfig(file: string): Promise<GatewayConfig> {
  if (!existsSync(file)) throw new UsageError(`There is no config at ${file}.`)
  looks += 1
  Reflect.deleteProperty(cache, await realpath(file))
  const module: unknown = await import(`${pathToFileURL(file).href}?look=${looks}`).catch((error: unknown) => {
    throw new UsageError(`The config ${file} cannot be loaded: ${whyNot(error)}`, { cause: error })
  })
  const config = isRecord(module) ? module['default'] : undefined
  if (config === undefined)
    throw new UsageError(`The config ${file} has no default export. Write: export default { chain: [...] }.`)
  return config as GatewayConfig
}

function whyNot(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  const text = String(message ?? error)
  if (code === 'ERR_MODULE_NOT_FOUND' && /'unbusy(?:\/[\w-]+)?'/.test(text))
    return "it imports 'unbusy', which is not installed beside it. Run: npm install unbusy"
  return text
}

type Around = { readonly values: Values; readonly logger: Logger }

/** Options of the command line override those of the config. */
function withWords(config: GatewayConfig, { values, logger }: Around): GatewayConfig {
  const words = {
    host: values.host,
    port: numberOf(values.port, '--port'),
    drainMs: numberOf(values['drain-ms'], '--drain-ms'),
    keepAliveMs: numberOf(values['keep-alive-ms'], '--keep-alive-ms'),
    noKeys: values['no-keys'],
    metricsOpen: values['metrics-open'],
  }
  const keys = config.keys ?? keysOfEnvironment()
  const given = Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined))
  return { logger, ...config, ...(keys === undefined ? undefined : { keys }), ...given }
}

function keysOfEnvironment(): readonly string[] | undefined {
  const keys = (process.env['UNBUSY_KEYS'] ?? '')
    .split(',')
    .map(key => key.trim())
    .filter(key => key !== '')
  return keys.length === 0 ? undefined : keys
}

function numberOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw new UsageError(`${name} must be a whole number, for example ${name} 4000.`)
}

/** Reports a wrong config as a usage error, like a wrong command line. */
async function listening(start: () => Promise<Gateway>): Promise<Gateway> {
  try {
    return await start()
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error })
    const { code, port, address } = error as { readonly code?: string; readonly port?: number; readonly address?: string }
    if (code === 'EADDRINUSE')
      throw new UnbusyError(`Port ${port} is already in use. Write another one, or --port 0 for any free port.`, { cause: error })
    if (code === 'EACCES')
      throw new UnbusyError(`This user may not listen on port ${port}. Write a --port above 1023.`, { cause: error })
    if (code === 'EADDRNOTAVAIL')
      throw new UnbusyError(`This machine does not have the address ${address}. Write another --host.`, { cause: error })
    throw error
  }
}

function nobodyToAsk({ stderr }: World): number {
  stderr.line('There is no service to ask: there is no config, no key is set, and no local server answers.')
  stderr.line('Write unbusy.config.ts, or set DEEPSEEK_API_KEY. "unbusy doctor" shows more.')
  return exitCode.unanswered
}

// ---- reload

type Reload = Around & { readonly source: Source; isNewest(): boolean }

async function reload(gateway: Gateway, { source, isNewest, ...around }: Reload): Promise<void> {
  const { logger } = around
  try {
    const config = await source.load()
    if (!isNewest()) return
    if (config === undefined) throw new UsageError('The chain is empty.')
    gateway.reload(withWords(config, around))
    logger.info({ config: source.file }, 'config reloaded')
  } catch (error) {
    logger.warn({ config: source.file, detail: (error as Error).message }, 'the config is invalid: the previous one stays in use')
  }
}

/** Frequent enough for a user who waits for the reload. Polling also notices a file that a tool has replaced. */
const lookEveryMs = 1_000

/**
 * @param known the version that was loaded. A watcher that begins with the file as it is now would miss what was written since.
 * @param changed is called for each change. It does not wait for the one before, whose config may wait for a store for ever. Returns a
 * function that stops watching.
 */
function watch({ file }: Source, known: string, changed: (isNewest: () => boolean) => Promise<void>): () => void {
  let changes = 0
  let isOver = false
  const onChange = (): void => {
    changes += 1
    const mine = changes
    void changed(() => mine === changes)
  }
  process.on('SIGHUP', onChange)
  const look = async (): Promise<void> => {
    const version = await versionOf(file)
    if (isOver || version === known) return
    known = version
    onChange()
  }
  const timer = setInterval(() => void look(), lookEveryMs).unref()
  return () => {
    isOver = true
    process.off('SIGHUP', onChange)
    clearInterval(timer)
  }
}

/** Changes whenever the file is written or replaced. '' if there is none, or none that may be looked at. */
async function versionOf(file: string | undefined): Promise<string> {
  if (file === undefined) return ''
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return [ino, size, mtimeNs, ctimeNs].join(' ')
  } catch {
    return ''
  }
}

// ---- the end

async function stopped({ signal }: World): Promise<undefined> {
  if (!signal.aborted) await once(signal, 'abort')
}

/** A config may wait for a store that is down, and would not hear the signal. */
async function unlessStopped<Value>(world: World, work: Promise<Value>): Promise<Value | undefined> {
  try {
    return await Promise.race([stopped(world), work])
  } catch (error) {
    if (world.signal.aborted) return undefined
    throw error
  }
}

/** What the config opened, a connection to Redis above all, would keep the process for ever. It has a moment to end by itself. */
function endSoon(): void {
  setTimeout(() => process.exit(), 1_000).unref()
}

/** PID 1 of a container is not killed by a signal without a listener. */
function endOnSecondSignal(): void {
  process.once('SIGTERM', () => process.exit(143))
  process.once('SIGINT', () => process.exit(130))
}
