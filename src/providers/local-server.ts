import type { Checks } from '../check.ts'
import type { Provider, ServerLoad, TimeoutSettings } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { ProviderError } from '../errors.ts'
import { getJson, type JsonAnswer } from '../http/get-json.ts'
import { type Dialect, plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { dialectChecks, type DialectOptions, withDialectOptions } from './dialect-options.ts'
import { createEndpoint, type Endpoint, rootOf, urlOf, withKey } from './endpoint.ts'
import { free } from './prices.ts'
import { createTarget, serviceChecks, type ServiceOptions } from './target.ts'

/** The shared parts of servers that people run themselves: no key, no price, and clocks for slow hardware. */
export type LocalServer = {
  readonly dialect: Partial<Dialect> & Pick<Dialect, 'service' | 'capabilities'>
  readonly baseURL: string
  /** The environment variable of an optional key. */
  readonly keyVariable: string
  readonly load?: ((endpoint: Endpoint) => Load) | undefined
  /** A page beside `/v1` that the server answers immediately while it works, even under load. */
  readonly page?: string | undefined
  readonly keepLoaded?: 'always' | ((endpoint: Endpoint) => KeepLoaded) | undefined
}

export const localChecks: Checks = { ...serviceChecks, ...dialectChecks }

export function localTarget(server: LocalServer, model: string, options: ServiceOptions & DialectOptions): Target {
  const { baseURL, keyVariable } = server
  const { service } = server.dialect
  const endpoint = createEndpoint(options, { service, baseURL, keyVariables: [keyVariable], keyNeeded: false, page: server.page })
  const dialect = { ...plainDialect, timeout: localTimeout, reasoningHistory: 'keep', ...server.dialect } as const
  const { keepLoaded } = server
  const provider = chatCompletions(withDialectOptions(dialect, options), {
    endpoint,
    stream: options.stream ?? true,
    extraBody: options.extraBody,
    load: server.load?.(endpoint),
  })
  const kept = { ...provider, keepLoaded: typeof keepLoaded === 'function' ? keepLoaded(endpoint) : keepLoaded }
  return createTarget(kept, model, { ...options, price: options.price ?? free })
}

export type Load = NonNullable<Provider['load']>
export type KeepLoaded = Exclude<NonNullable<Provider['keepLoaded']>, 'always'>

type LoadMetrics = {
  readonly running: string
  readonly waiting: string
  /** A gauge of the KV cache, from 0 to 1. */
  readonly kvUsage?: string | undefined
  /** The path of the metrics page. @default '/metrics' */
  readonly page?: string | undefined
  /** Each rank of tensor parallelism reports the total, so the maximum is used and not the sum. @default false */
  readonly isRepeated?: boolean | undefined
}

/** Reads the numbers of running and waiting requests from a server's metrics page. */
export function metricsLoad(endpoint: Endpoint, metrics: LoadMetrics): Load {
  const { page = '/metrics' } = metrics
  return async signal => loadOf(await askServer(endpoint, page, signal), metrics, endpoint)
}

/** Requests a page beside `/v1`. */
export function askServer(endpoint: Endpoint, path: string, signal: AbortSignal): Promise<JsonAnswer> {
  const url = urlOf(rootOf(endpoint.baseURL), path)
  return withKey(endpoint, ({ headers, connections }) => getJson({ url, headers, connections, signal }))
}

export function loadOf(answer: JsonAnswer, metrics: LoadMetrics, endpoint: Endpoint): ServerLoad {
  const page = answer.status === 200 && typeof answer.body === 'string' ? answer.body : ''
  const read = metrics.isRepeated === true ? maxOfMetric : sumOfMetric
  const [running, waiting] = [read(page, metrics.running), read(page, metrics.waiting)]
  const kvUsage = metrics.kvUsage === undefined ? undefined : maxOfMetric(page, metrics.kvUsage)
  if (running !== undefined && waiting !== undefined)
    return kvUsage === undefined ? { running, waiting } : { running, waiting, kvUsage }
  throw new ProviderError(
    `${endpoint.service} does not report its load: ${metrics.page ?? '/metrics'} returned ${answer.status} without ${metrics.running}.`,
    {
      reason: 'malformed-response',
      provider: endpoint.service,
      status: answer.status,
    },
  )
}

/** A Prometheus metric, summed over its label sets (engines, models). Undefined if the page does not have it. */
export function sumOfMetric(page: string, name: string): number | undefined {
  const values = valuesOf(page, name)
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}

/** The maximum over the label sets of a metric. */
function maxOfMetric(page: string, name: string): number | undefined {
  const values = valuesOf(page, name)
  return values.length === 0 ? undefined : values.reduce((most, value) => Math.max(most, value))
}

function valuesOf(page: string, name: string): readonly number[] {
  const values: number[] = []
  for (const line of page.split('\n')) {
    if (!line.startsWith(name)) continue
    const found = /^(?:\{.*\})?\s+(\S+)/.exec(line.slice(name.length))
    const value = Number(found?.[1])
    if (found !== null && Number.isFinite(value)) values.push(value)
  }
  return values
}

/**
 * Clocks for a server on the user's own hardware. It queues silently and sends its headers late, with the first token. Until then
 * it may be processing a long prompt on a slow machine, and no other server has a shorter queue (R69, R89).
 */
export const localTimeout: Partial<TimeoutSettings> = { headersMs: 120_000, firstChunkMs: 120_000, chunkMs: 120_000 }
