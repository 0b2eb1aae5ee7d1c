import type { Target } from '../contract-targets.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { suggestion } from '../suggestion.ts'
import type { DialectOptions } from './dialect-options.ts'
import { dialectChecks, withDialectOptions } from './dialect-options.ts'
import { createEndpoint } from './endpoint.ts'
import type { Host, HostName } from './hosts.ts'
import { hosts } from './hosts.ts'
import { withSilenceOf } from './silent-models.ts'
import type { ServiceOptions } from './target.ts'
import { checkTarget, createTarget, serviceChecks } from './target.ts'

/** Options of `host()`. */
export type HostOptions = ServiceOptions & DialectOptions

/**
 * A model at one of the known hosts. Its address, key variable and dialect come from a table, and every option overrides the
 * table. The model id is the host's own.
 *
 * @example
 * host('siliconflow', 'deepseek-ai/DeepSeek-V4-Flash')
 * host('azure', 'my-deployment', { baseURL: 'https://my-resource.openai.azure.com', apiKey: () => entra.token() })
 */
export function host(name: HostName, model: string, options: HostOptions = {}): Target {
  const row = rowOf(name)
  checkTarget(model, options, { service: name, checks: { ...serviceChecks, ...dialectChecks } })
  const ofHost = withDialectOptions({ ...plainDialect, service: name, timeout: row.timeout }, row)
  const provider = chatCompletions(withDialectOptions(withSilenceOf(ofHost, model), options), {
    endpoint: createEndpoint(options, { ...row, service: name }),
    stream: options.stream ?? true,
    extraBody: options.extraBody,
  })
  return createTarget(provider, model, options)
}

function rowOf(name: string): Host {
  if (Object.hasOwn(hosts, name)) return hosts[name as HostName]
  throw new TypeError(
    `host: there is no host '${name}'.${suggestion(name, Object.keys(hosts))} For any other server, write openaiCompatible(model, { baseURL }).`,
  )
}
