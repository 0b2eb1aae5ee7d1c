import type { Target } from '../contract.ts'
import type { Dialect } from './chat-completions/dialect.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import type { Checks } from '../check.ts'
import type { DialectOptions } from './dialect-options.ts'
import { dialectChecks, withDialectOptions } from './dialect-options.ts'
import type { Endpoint } from './endpoint.ts'
import { createEndpoint } from './endpoint.ts'
import { localTimeout } from './local-timeout.ts'
import { free } from './prices.ts'
import type { Load } from './server-load.ts'
import type { ServiceOptions } from './target.ts'
import { createTarget, serviceChecks } from './target.ts'

/** What the servers have in common that people run themselves: no key, no price, and clocks for slow hardware. */
export type LocalServer = {
  readonly dialect: Partial<Dialect> & Pick<Dialect, 'service' | 'capabilities'>
  readonly baseURL: string
  /** The variable whose key is sent when there is one. */
  readonly keyVariable: string
  readonly load?: ((endpoint: Endpoint) => Load) | undefined
}

export const localChecks: Checks = { ...serviceChecks, ...dialectChecks }

export function localTarget(server: LocalServer, model: string, options: ServiceOptions & DialectOptions): Target {
  const { baseURL, keyVariable } = server
  const { service } = server.dialect
  const endpoint = createEndpoint(options, { service, baseURL, keyVariables: [keyVariable], keyNeeded: false })
  const dialect = { ...plainDialect, timeout: localTimeout, reasoningHistory: 'keep', ...server.dialect } as const
  const provider = chatCompletions(withDialectOptions(dialect, options), {
    endpoint,
    stream: options.stream ?? true,
    extraBody: options.extraBody,
    load: server.load?.(endpoint),
  })
  return createTarget(provider, model, { ...options, price: options.price ?? free })
}
