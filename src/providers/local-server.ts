import type { Target } from '../contract.ts'
import type { Dialect } from './chat-completions/dialect.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import type { Endpoint } from './endpoint.ts'
import { createEndpoint } from './endpoint.ts'
import { localTimeout } from './local-timeout.ts'
import { free } from './prices.ts'
import type { Load } from './server-load.ts'
import type { ServiceOptions } from './target.ts'
import { createTarget } from './target.ts'

/** What the servers have in common that people run themselves: no key, no price, and clocks for slow hardware. */
export type LocalServer = {
  readonly dialect: Partial<Dialect> & Pick<Dialect, 'service' | 'capabilities'>
  readonly baseURL: string
  /** The variable whose key is sent when there is one. */
  readonly keyVariable: string
  readonly load?: ((endpoint: Endpoint) => Load) | undefined
}

export function localTarget(server: LocalServer, model: string, options: ServiceOptions): Target {
  const { baseURL, keyVariable } = server
  const { service } = server.dialect
  const endpoint = createEndpoint(options, { service, baseURL, keyVariables: [keyVariable], keyNeeded: false })
  const load = server.load?.(endpoint)
  const provider = chatCompletions(
    { ...plainDialect, timeout: localTimeout, reasoningHistory: 'keep', ...server.dialect },
    { endpoint, stream: options.stream ?? true, extraBody: options.extraBody, ...(load === undefined ? undefined : { load }) },
  )
  return createTarget(provider, model, { ...options, price: options.price ?? free })
}
