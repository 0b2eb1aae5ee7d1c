import type { Provider } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { getJson } from '../http/get-json.ts'
import type { JsonAnswer } from '../http/get-json.ts'
import type { Endpoint } from './endpoint.ts'
import { rootOf, urlOf, withKey } from './endpoint.ts'

export type Load = NonNullable<Provider['load']>

export type LoadMetrics = { readonly running: string; readonly waiting: string }

/** Reads from a server's `/metrics` page how many requests it runs and how many wait. */
export function metricsLoad(endpoint: Endpoint, metrics: LoadMetrics): Load {
  return async signal => loadOf(await askServer(endpoint, '/metrics', signal), metrics, endpoint)
}

/** A page beside `/v1`. */
export function askServer(endpoint: Endpoint, path: string, signal: AbortSignal): Promise<JsonAnswer> {
  const url = urlOf(rootOf(endpoint.baseURL), path)
  return withKey(endpoint, ({ headers, connections }) => getJson({ url, headers, connections, signal }))
}

export function loadOf(
  answer: JsonAnswer,
  metrics: LoadMetrics,
  endpoint: Endpoint,
): { readonly running: number; readonly waiting: number } {
  const page = answer.status === 200 && typeof answer.body === 'string' ? answer.body : ''
  const running = sumOfMetric(page, metrics.running)
  const waiting = sumOfMetric(page, metrics.waiting)
  if (running !== undefined && waiting !== undefined) return { running, waiting }
  throw new ProviderError(
    `${endpoint.service} does not tell its load: /metrics answered ${answer.status} without ${metrics.running}.`,
    {
      reason: 'malformed-response',
      provider: endpoint.service,
      status: answer.status,
    },
  )
}

/** One metric of Prometheus text, added up over its label sets (engines, models, ranks). Undefined when it is not there. */
export function sumOfMetric(page: string, name: string): number | undefined {
  let sum: number | undefined
  for (const line of page.split('\n')) {
    if (!line.startsWith(name)) continue
    const found = /^(?:\{.*\})?\s+(\S+)/.exec(line.slice(name.length))
    const value = Number(found?.[1])
    if (found !== null && Number.isFinite(value)) sum = (sum ?? 0) + value
  }
  return sum
}
