import type { Endpoint } from './endpoint.ts'
import { createEndpoint } from './endpoint.ts'
import type { ServiceOptions } from './target.ts'

export function deepseekEndpoint(options: ServiceOptions): Endpoint {
  return createEndpoint(options, { service: 'deepseek', baseURL: 'https://api.deepseek.com', keyVariables: ['DEEPSEEK_API_KEY'] })
}
