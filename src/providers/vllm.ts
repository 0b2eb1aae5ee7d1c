import type { Target } from '../contract-targets.ts'
import { reasoningSwitches } from './chat-request/reasoning.ts'
import { localChecks, type LocalServer, localTarget, metricsLoad } from './local-server.ts'
import type { DialectOptions } from './dialect-options.ts'
import { checkTarget, type ServiceOptions } from './target.ts'

/** Options of `vllm()`. */
export type VllmOptions = ServiceOptions & DialectOptions

/**
 * A vLLM server. The model is the name it is served under; any other name is a 404. No key is needed; `apiKey` or VLLM_API_KEY is
 * sent if set.
 *
 * @example
 * vllm('r1', { baseURL: 'http://gpu-1:8000/v1' })
 */
export function vllm(model: string, options: VllmOptions = {}): Target {
  checkTarget(model, options, { service: 'vllm', checks: localChecks })
  return localTarget(server, model, options)
}

const server: LocalServer = {
  baseURL: 'http://127.0.0.1:8000/v1',
  keyVariable: 'VLLM_API_KEY',
  load: endpoint =>
    metricsLoad(endpoint, {
      running: 'vllm:num_requests_running',
      waiting: 'vllm:num_requests_waiting',
      kvUsage: 'vllm:kv_cache_usage_perc',
    }),
  keepLoaded: 'always',
  dialect: {
    service: 'vllm',
    capabilities: { output: 'json-schema', prefix: true },
    reasoning: reasoningSwitches.template,
    // Setting both to true is a 400; with neither, the template closes the turn and opens another. With thinking off the template
    // opens no thought, but a parser like deepseek_r1 takes everything for reasoning until a thought ends (seen with 0.32).
    prefix: {
      ...{ message: {}, body: { continue_final_message: true, add_generation_prompt: false } },
      ...{ stopsThinking: true, restLooksThought: true },
    },
  },
}
