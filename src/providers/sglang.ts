import type { Target } from '../contract-targets.ts'
import { reasoningSwitches } from './chat-request/reasoning.ts'
import { localChecks, type LocalServer, localTarget, metricsLoad } from './local-server.ts'
import type { DialectOptions } from './dialect-options.ts'
import { modelAndOptions, type ServiceOptions } from './target.ts'

/** Options of `sglang()`. */
export type SglangOptions = ServiceOptions & DialectOptions

/**
 * An SGLang server. It serves one model and ignores the name. No key is needed; `apiKey` or SGLANG_API_KEY is sent if set.
 *
 * @example
 * sglang({ baseURL: 'http://gpu-2:30000/v1' })
 */
export function sglang(modelOrOptions?: string | SglangOptions, optionsOfModel?: SglangOptions): Target {
  const { model, options } = modelAndOptions<SglangOptions>(modelOrOptions, optionsOfModel, {
    model: 'default',
    service: 'sglang',
    checks: localChecks,
  })
  return localTarget(server, model, options)
}

const server: LocalServer = {
  baseURL: 'http://127.0.0.1:30000/v1',
  keyVariable: 'SGLANG_API_KEY',
  load: endpoint =>
    metricsLoad(endpoint, {
      running: 'sglang:num_running_reqs',
      waiting: 'sglang:num_queue_reqs',
      kvUsage: 'sglang:token_usage',
      isRepeated: true,
    }),
  keepLoaded: 'always',
  dialect: {
    service: 'sglang',
    capabilities: { output: 'json-schema', prefix: true },
    reasoning: reasoningSwitches.template,
    // SGLang appends the text to the generation prompt, where the template of a thinking model has just opened a thought
    prefix: { message: {}, body: { continue_final_message: true }, stopsThinking: true },
  },
}
