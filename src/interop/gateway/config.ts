import {
  callback,
  type Check,
  type Checks,
  checkOptions,
  count,
  flag,
  isRecord,
  kindOf,
  list,
  positiveCount,
  text,
} from '../../check.ts'
import type { Client, ClientOptions, Logger } from '../../index.ts'
import { keepAliveMs } from '../openai/check-endpoint-options.ts'

/** A client, or the options to create one. */
export type RouteConfig = Client | ClientOptions

/** A key that clients send. It is valid for all routes or for the listed ones. */
export type GatewayKey = string | { readonly key: string; readonly routes?: readonly string[] | undefined }

/** All settings except the routes and the chain. */
export type GatewaySettings = {
  /** Keys that clients must send as `Authorization: Bearer`. Without keys, everyone who can reach the port may send requests. @default none */
  readonly keys?: readonly GatewayKey[] | undefined
  /** Lets a gateway without keys listen on an address that others can reach. @default false */
  readonly noKeys?: boolean | undefined
  /** The address on which the gateway listens. @default '127.0.0.1' */
  readonly host?: string | undefined
  /** The port; 0 picks any free port. @default 4000 */
  readonly port?: number | undefined
  /** Telemetry parts for every client that the gateway creates: `openTelemetry()`, `prometheus()`, or your own. @default none */
  readonly telemetry?: ClientOptions['telemetry']
  /**
   * The health shared by all routes that do not set their own: `redisHealth(redis)` for a fleet of gateways, or a `sharedHealth()` that your
   * own clients use too. @default one health for all routes of this process
   */
  readonly health?: ClientOptions['health']
  /** Receives one line per request, without prompts and keys. Any logger with pino's methods works. @default silent */
  readonly logger?: Logger | undefined
  /** Whether `/metrics` can be read without a key. @default false */
  readonly metricsOpen?: boolean | undefined
  /** Origins whose pages may send requests, or `true` for all. @default none */
  readonly cors?: boolean | readonly string[] | undefined
  /** How long a stream may be silent before a keep-alive comment is sent, in milliseconds, at least 10; see `chatFetch()`. @default no comments */
  readonly keepAliveMs?: number | undefined
  /** The largest accepted request body, in bytes. @default 20 MiB */
  readonly maxBodyBytes?: number | undefined
  /** How long answers in progress may take to end after the gateway was asked to stop, in milliseconds, 1 or more. @default 60_000 */
  readonly drainMs?: number | undefined
  /** How long the headers of a request may take, in milliseconds, 1 or more. @default 10_000 */
  readonly headersMs?: number | undefined
  /** How long a whole request may take to arrive, in milliseconds; never less than `headersMs`. @default 60_000 */
  readonly bodyMs?: number | undefined
}

/** Either routes by name, which clients send as `model`, or one chain for every name. */
export type GatewayConfig = GatewaySettings &
  (
    | { readonly routes: { readonly [model: string]: RouteConfig } }
    | (Omit<ClientOptions, keyof GatewaySettings> & { readonly routes?: undefined })
  )

export const gatewayDefaults = {
  ...{ host: '127.0.0.1', port: 4_000, drainMs: 60_000, headersMs: 10_000, bodyMs: 60_000 },
  maxBodyBytes: 20 * 1024 * 1024,
} as const

const keys: Check = (value, name) => {
  list(value, name)
  for (const [index, one] of (value as readonly unknown[]).entries()) {
    const at = `${name}[${index}]`
    if (isRecord(one)) checkOptions(one, { key, routes: texts }, at)
    key(isRecord(one) ? one['key'] : one, isRecord(one) ? `${at}.key` : at)
  }
}

/** Checks that a key can be sent in a header. */
const key: Check = (value, name) => {
  if (typeof value !== 'string' || !/^[!-~]+$/.test(value))
    throw new TypeError(`${name} must be a string of printable ASCII without spaces, not ${kindOf(value)}.`)
}

const texts: Check = (value, name) => {
  list(value, name)
  for (const [index, one] of (value as readonly unknown[]).entries()) text(one, `${name}[${index}]`)
}

const port: Check = (value, name) => {
  count(value, name)
  if (Number(value) > 65_535) throw new TypeError(`${name} must be a port from 0 to 65535.`)
}

const cors: Check = (value, name) => {
  if (typeof value !== 'boolean') texts(value, name)
}

const time: Check = (value, name) => {
  if (typeof value !== 'number' || !(value >= 1 && value <= 2_147_483_647))
    throw new TypeError(`${name} must be a number of milliseconds, 1 or more, not ${kindOf(value)}.`)
}

const anything: Check = () => {}

const settingChecks = {
  ...{ keys, noKeys: flag, host: text, port, telemetry: anything, health: anything, metricsOpen: flag, cors, keepAliveMs },
  ...{ maxBodyBytes: positiveCount, drainMs: time, headersMs: time, bodyMs: time },
  logger: (value, name) => {
    if (typeof value !== 'object' || value === null)
      throw new TypeError(`${name} must be a logger like pino(), not ${kindOf(value)}.`)
    for (const method of ['info', 'warn']) callback(Reflect.get(value, method), `${name}.${method}`)
  },
} satisfies Record<keyof GatewaySettings, Check> & Checks

/** The route name of a chain without routes. */
export const only = 'default'

/** A validated config: the settings of the gateway and its routes. */
export type ReadConfig = {
  readonly settings: GatewaySettings
  /** Routes by name. With the single name `only`, the route serves every name. */
  readonly routes: { readonly [model: string]: RouteConfig }
  readonly isNamed: boolean
}

/** @throws {TypeError} The config is wrong. The message says what to write instead. */
export function readConfig(config: unknown): ReadConfig {
  if (!isRecord(config))
    throw new TypeError(`serve: the config must be an object like { chain: [deepseek()] }, not ${kindOf(config)}.`)
  const isSetting = (name: string): boolean => Object.hasOwn(settingChecks, name)
  const entries = Object.entries(config)
  const settings = Object.fromEntries(entries.filter(([name]) => isSetting(name))) as GatewaySettings
  const rest = Object.fromEntries(entries.filter(([name, value]) => !isSetting(name) && value !== undefined))
  checkOptions(settings, settingChecks, 'serve')
  const { routes, ...others } = rest
  if (routes === undefined && !('chain' in others))
    throw new TypeError(
      'serve: routes or chain is missing. Write { routes: { chat: { chain: [deepseek()] } } }, or { chain: [deepseek()] }.',
    )
  if (routes === undefined && settings.keys?.some(one => typeof one !== 'string' && one.routes !== undefined) === true)
    throw new TypeError('serve: a key names routes, but there are none. Write routes: { chat: { chain: [deepseek()] } }.')
  if (routes === undefined) return { settings, routes: { [only]: others as unknown as ClientOptions }, isNamed: false }
  checkOptions(others, settingChecks, 'serve')
  checkRoutes(routes, settings)
  return { settings, routes, isNamed: true }
}

function checkRoutes(routes: unknown, settings: GatewaySettings): asserts routes is { readonly [model: string]: RouteConfig } {
  const example = 'Write routes: { chat: { chain: [deepseek()] } }.'
  if (!isRecord(routes)) throw new TypeError(`serve: routes must be an object, not ${kindOf(routes)}. ${example}`)
  const names = Object.keys(routes)
  if (names.length === 0) throw new TypeError(`serve: routes is empty. ${example}`)
  for (const name of names) {
    if (name.trim() === '' || !isRecord(routes[name]))
      throw new TypeError(`serve: the route '${name}' must be a client, or the options of one. ${example}`)
  }
  for (const one of settings.keys ?? []) {
    const unknown = typeof one === 'string' ? undefined : one.routes?.find(name => !names.includes(name))
    if (unknown !== undefined)
      throw new TypeError(`serve: a key names the route '${unknown}', which does not exist. Write one of ${names.join(', ')}.`)
  }
}
