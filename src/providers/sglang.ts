import type { Target } from '../contract.ts'
import { reasoningSwitches } from './chat-completions/reasoning.ts'
import type { LocalServer } from './local-server.ts'
import { localChecks, localTarget } from './local-server.ts'
import { metricsLoad } from './server-load.ts'
import type { DialectOptions } from './dialect-options.ts'
import type { ServiceOptions } from './target.ts'
import { modelAndOptions } from './target.ts'

export type SglangOptions = ServiceOptions & DialectOptions

/**
 * An SGLang server. It runs one model and does not look at the name. No key is needed; `apiKey` or SGLANG_API_KEY is sent when there
 * is one.
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
  load: endpoint => metricsLoad(endpoint, { running: 'sglang:num_running_reqs', waiting: 'sglang:num_queue_reqs' }),
  dialect: {
    service: 'sglang',
    capabilities: { output: 'json-schema', prefix: true },
    reasoning: reasoningSwitches.template,
    // the text is put behind the generation prompt, where a thinking template has just opened a thought
    prefix: { message: {}, body: { continue_final_message: true }, stopsThinking: true },
  },
}
