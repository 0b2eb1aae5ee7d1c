import type { Target } from '../contract.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { text } from '../check.ts'
import type { DialectOptions } from './dialect-options.ts'
import { dialectChecks, withDialectOptions } from './dialect-options.ts'
import { createEndpoint } from './endpoint.ts'
import { localTimeout } from './local-timeout.ts'
import { isPrivateAddress } from './private-address.ts'
import type { ServiceOptions } from './target.ts'
import { checkTarget, createTarget, serviceChecks } from './target.ts'

export type OpenAICompatibleOptions = ServiceOptions &
  DialectOptions & {
    readonly baseURL: string
    /** How the target is called in results, events and errors. @default 'openai-compatible' */
    readonly name?: string | undefined
    /** The environment variable that holds the key. With it, a target without a key is skipped. @default none: no key is needed */
    readonly keyVariable?: string | undefined
  }

/**
 * Any server that speaks chat completions. At a loopback or private address (also `localhost`, `*.local`, `*.internal`, `*.lan`, a name
 * without a dot) it has the clocks of a local server.
 *
 * @example
 * openaiCompatible('my-model', { name: 'gateway', baseURL: 'https://llm.example.com/v1', apiKey })
 */
export function openaiCompatible(model: string, options: OpenAICompatibleOptions): Target {
  const service = 'openaiCompatible'
  const checks = { ...serviceChecks, ...dialectChecks, name: text, keyVariable: text }
  checkTarget(model, options, { service, checks })
  const { name = 'openai-compatible', keyVariable } = options
  const endpoint = createEndpoint(options, { service: name, keyVariables: keyVariable === undefined ? [] : [keyVariable] })
  // a server of one's own reads a long prompt as slowly as one that is named (F67)
  const timeout = isPrivateAddress(endpoint.baseURL) ? localTimeout : undefined
  const provider = chatCompletions(withDialectOptions({ ...plainDialect, service: name, timeout }, options), {
    endpoint,
    stream: options.stream ?? true,
    extraBody: options.extraBody,
  })
  return createTarget(provider, model, options)
}
