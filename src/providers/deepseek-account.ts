import { serviceChecks, type ServiceOptions } from './target.ts'
import { ProviderError } from '../errors.ts'
import { getJson } from '../http/get-json.ts'
import { failureOf } from './chat-failure/failure.ts'
import { asObject } from './json.ts'
import { checkOptions, type Checks } from '../check.ts'
import { requestOnce } from './deepseek-endpoint.ts'
import { urlOf } from './endpoint.ts'

/** How to reach DeepSeek's account. */
export type DeepSeekAccountOptions = Pick<ServiceOptions, 'apiKey' | 'baseURL' | 'headers' | 'dispatcher'> & {
  /** Aborts the request. @default 10 s from now */
  readonly signal?: AbortSignal | undefined
}

/** A model that a DeepSeek key can use. */
export type DeepSeekModelInfo = { readonly id: string; readonly name: string | undefined }

/** The balance of a DeepSeek account. */
export type DeepSeekBalance = {
  /** Whether the balance is enough for a request. */
  readonly available: boolean
  /** One entry for each currency. A low balance also lowers the limit of concurrent requests. */
  readonly balances: readonly {
    readonly currency: string
    readonly total: number
    readonly granted: number
    readonly toppedUp: number
  }[]
}

/**
 * Returns the models that the key can use. Free, and the cheapest way to check a key.
 *
 * Rejects with a `ProviderError`: `authentication` if the key is missing or wrong.
 */
export async function deepseekModels(options: DeepSeekAccountOptions = {}): Promise<readonly DeepSeekModelInfo[]> {
  const models = asObject(await ask('/models', options, 'deepseekModels'))?.['data']
  if (!Array.isArray(models)) throw unexpected('/models')
  return models.flatMap((entry: unknown) => {
    const { id, name } = asObject(entry) ?? {}
    return typeof id === 'string' ? { id, name: typeof name === 'string' ? name : undefined } : []
  })
}

/** Returns the balance of the account. Rejects like `deepseekModels`. */
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
        // amounts are strings on the wire: "110.00"
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
  return new ProviderError(`DeepSeek answered ${path} in a form that unbusy does not know.`, {
    reason: 'malformed-response',
    provider: 'deepseek',
  })
}
