import type { ServiceOptions } from './target.ts'
import { serviceChecks } from './target.ts'
import { ProviderError } from '../errors.ts'
import { getJson } from '../http/get-json.ts'
import { failureOf } from './chat-completions/failure.ts'
import { asObject } from './chat-completions/parse-json.ts'
import type { Checks } from '../check.ts'
import { checkOptions } from '../check.ts'
import { requestOnce } from './deepseek-endpoint.ts'
import { urlOf } from './endpoint.ts'

export type DeepSeekAccountOptions = Pick<ServiceOptions, 'apiKey' | 'baseURL' | 'headers' | 'dispatcher'> & {
  /** Ends the request. @default 10 s from now */
  readonly signal?: AbortSignal | undefined
}

export type DeepSeekModelInfo = { readonly id: string; readonly name: string | undefined }

export type DeepSeekBalance = {
  /** Is there enough for a request? */
  readonly available: boolean
  /** One entry for each currency. A low balance also lowers how many requests may be in flight at once. */
  readonly balances: readonly {
    readonly currency: string
    readonly total: number
    readonly granted: number
    readonly toppedUp: number
  }[]
}

/**
 * The models that the key can use. Free, and the cheapest way to see whether the key is good.
 *
 * Rejects with a `ProviderError`: `authentication` without a key or with a wrong one.
 */
export async function deepseekModels(options: DeepSeekAccountOptions = {}): Promise<readonly DeepSeekModelInfo[]> {
  const models = asObject(await ask('/models', options, 'deepseekModels'))?.['data']
  if (!Array.isArray(models)) throw unexpected('/models')
  return models.flatMap((entry: unknown) => {
    const { id, name } = asObject(entry) ?? {}
    return typeof id === 'string' ? { id, name: typeof name === 'string' ? name : undefined } : []
  })
}

/** What is left on the account. Rejects as `deepseekModels` does. */
export async function deepseekBalance(options: DeepSeekAccountOptions = {}): Promise<DeepSeekBalance> {
  const account = asObject(await ask('/user/balance', options, 'deepseekBalance'))
  const infos = account?.['balance_infos']
  if (!Array.isArray(infos)) throw unexpected('/user/balance')
  return {
    available: account?.['is_available'] === true,
    balances: infos.map((entry: unknown) => {
      const info = asObject(entry) ?? {}
      return {
        currency: String(info['currency']),
        // amounts are texts on the wire: "110.00"
        total: Number(info['total_balance']),
        granted: Number(info['granted_balance']),
        toppedUp: Number(info['topped_up_balance']),
      }
    }),
  }
}

const { apiKey, baseURL, headers, dispatcher } = serviceChecks

export const accountChecks: Checks = {
  apiKey,
  baseURL,
  headers,
  dispatcher,
  signal: (value, name) => {
    if (!(value instanceof AbortSignal)) throw new TypeError(`${name} must be an AbortSignal.`)
  },
}

const timeoutMs = 10_000

async function ask(path: string, options: DeepSeekAccountOptions, name: string): Promise<unknown> {
  checkOptions(options, accountChecks, name)
  return requestOnce(options, {
    signal: options.signal,
    timeoutMs,
    async ask(endpoint, signal) {
      const { connections, secrets } = endpoint
      const url = urlOf(endpoint.baseURL, path)
      const { body, ...head } = await getJson({ url, headers: endpoint.headers, connections, signal })
      if (head.status >= 200 && head.status <= 299) return body
      throw failureOf({ ...head, body: typeof body === 'string' ? body : JSON.stringify(body ?? ''), secrets })
    },
  })
}

function unexpected(path: string): ProviderError {
  return new ProviderError(`DeepSeek's ${path} answered in a form that we do not know.`, {
    reason: 'malformed-response',
    provider: 'deepseek',
  })
}
