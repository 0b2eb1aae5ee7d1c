import type { Target } from '../contract.ts'
import type { Dialect } from './chat-completions/dialect.ts'
import { plainDialect } from './chat-completions/dialect.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { reasoningSwitches } from './chat-completions/reasoning.ts'
import { createEndpoint } from './endpoint.ts'
import { localTimeout } from './local-timeout.ts'
import { free } from './prices.ts'
import type { ServiceOptions } from './target.ts'
import { createTarget, modelAndOptions, serviceChecks } from './target.ts'

export type LlamaOptions = ServiceOptions

/** A server that was started with one model answers to any name; one in router mode (without `-m`) takes the name for its choice. */
const defaultModel = 'default'

/**
 * llama.cpp's `llama-server` on this machine, or anywhere. No key is needed; `apiKey` or LLAMA_API_KEY is sent when there is one.
 *
 * @example
 * llama()
 * llama({ baseURL: 'http://10.0.0.7:8080/v1' })
 */
export function llama(options?: LlamaOptions): Target
export function llama(model?: string, options?: LlamaOptions): Target
export function llama(first?: string | LlamaOptions, second?: LlamaOptions): Target {
  const { model, options } = modelAndOptions<LlamaOptions>(first, second, {
    model: defaultModel,
    service: 'llama',
    checks: serviceChecks,
  })
  const endpoint = createEndpoint(options, {
    service: 'llama',
    baseURL: 'http://127.0.0.1:8080/v1',
    keyVariables: ['LLAMA_API_KEY'],
    keyNeeded: false,
  })
  const provider = chatCompletions(dialect, { endpoint, stream: options.stream ?? true, extraBody: options.extraBody })
  return createTarget(provider, model, { ...options, price: options.price ?? free })
}

const dialect: Dialect = {
  ...plainDialect,
  service: 'llama',
  capabilities: { output: 'json-schema', prefix: true },
  timeout: localTimeout,
  reasoning: reasoningSwitches.llama,
  reasoningHistory: 'keep',
  // The server goes on from a last assistant message by itself, and refuses to while the template thinks (ggml-org/llama.cpp#20861).
  // Asked for JSON it repeats the prefix in its answer, in a stream it does not (seen at b11669).
  prefix: { message: {}, body: { chat_template_kwargs: { enable_thinking: false } }, jsonRepeats: true },
  failureRules: [
    // told as a 500, though no server can help it
    { status: 500, message: /input is not supported/i, reason: 'invalid-request' },
  ],
}
