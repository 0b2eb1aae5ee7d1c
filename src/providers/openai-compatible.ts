import type { Target } from '../contract-targets.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { text } from '../check.ts'
import { dialectChecks, type DialectOptions, withDialectOptions } from './dialect-options.ts'
import { createEndpoint } from './endpoint.ts'
import { localTimeout } from './local-server.ts'
import { isPrivateAddress } from './private-address.ts'
import { checkTarget, createTarget, serviceChecks, type ServiceOptions } from './target.ts'

/** Options of `openaiCompatible()`. */
export type OpenAICompatibleOptions = ServiceOptions &
  DialectOptions & {
    readonly baseURL: string
    /** The target's name in results, events and errors. @default 'openai-compatible' */
    readonly name?: string | undefined
    /** The environment variable that holds the key. With it, a target without a key is skipped. @default none: no key is needed */
    readonly keyVariable?: string | undefined
  }

/**
 * Any server that speaks chat completions. At a loopback or private address (including `localhost`, `*.local`, `*.internal`,
 * `*.lan` and names without a dot) it gets the clocks of a local server.
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
  // a server on the user's own hardware reads a long prompt as slowly as the named local servers (F67)
  const timeout = isPrivateAddress(endpoint.baseURL) ? localTimeout : undefined
  const provider = chatCompletions(withDialectOptions({ ...plainDialect, service: name, timeout }, options), {
    endpoint,
    stream: options.stream ?? true,
    extraBody: options.extraBody,
  })
  return createTarget(provider, model, options)
}
