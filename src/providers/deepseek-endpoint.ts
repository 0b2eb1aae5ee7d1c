import { changedError, ProviderError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import { createEndpoint, withKey } from './endpoint.ts'
import type { ServiceOptions } from './target.ts'

export function deepseekEndpoint(options: ServiceOptions): Endpoint {
  return createEndpoint(options, { service: 'deepseek', baseURL: 'https://api.deepseek.com', keyVariables: ['DEEPSEEK_API_KEY'] })
}

export type OneRequest<Answer> = {
  /** The model to name in errors. */
  readonly model?: string
  /** The caller's signal; without one the request is aborted after `timeoutMs`. */
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number
  ask(endpoint: Endpoint, signal: AbortSignal): Promise<Answer>
}

/**
 * Sends one request without a chain. Every failure is a `ProviderError` that names DeepSeek; an abort rejects with the reason of
 * the caller's signal.
 */
export async function requestOnce<Answer>(options: ServiceOptions, request: OneRequest<Answer>): Promise<Answer> {
  const { model = '', timeoutMs, signal = AbortSignal.timeout(timeoutMs) } = request
  const endpoint = deepseekEndpoint(options)
  const of = { provider: endpoint.service, model }
  if (endpoint.missingKey !== undefined) throw new ProviderError(endpoint.missingKey, { reason: 'authentication', ...of })
  try {
    return await Promise.race([withKey(endpoint, keyed => request.ask(keyed, signal)), whenAborted(signal)])
  } catch (error) {
    if (ProviderError.isInstance(error)) throw changedError(error, of)
    if (request.signal !== undefined || !signal.aborted) throw error
    const message = `No answer after ${timeoutMs} ms. Pass your own signal to wait longer.`
    throw new ProviderError(message, { reason: 'timeout', clock: 'total', ...of, cause: error })
  } finally {
    await endpoint.connections.close()
  }
}

/** Rejects on abort, because a function that fetches a key does not know the signal. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
  })
}

/** Beta features are served beside /v1, not below it. */
export function betaOf(baseURL: string): string {
  const url = new URL(baseURL)
  url.pathname = `${url.pathname.replace(/\/+$/, '').replace(/\/(?:v1|beta)$/, '')}/beta`
  return url.href
}
