import type { Endpoint } from './endpoint.ts'
import { createEndpoint } from './endpoint.ts'
import type { ServiceOptions } from './target.ts'

export function deepseekEndpoint(options: ServiceOptions): Endpoint {
  return createEndpoint(options, { service: 'deepseek', baseURL: 'https://api.deepseek.com', keyVariables: ['DEEPSEEK_API_KEY'] })
}

/** Beta features stand beside /v1, not below it. */
export function betaOf(baseURL: string): string {
  const url = new URL(baseURL)
  url.pathname = `${url.pathname.replace(/\/+$/, '').replace(/\/(?:v1|beta)$/, '')}/beta`
  return url.href
}
