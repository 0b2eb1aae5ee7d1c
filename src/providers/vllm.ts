import type { Target } from '../contract.ts'
import { reasoningSwitches } from './chat-completions/reasoning.ts'
import type { LocalServer } from './local-server.ts'
import { localChecks, localTarget } from './local-server.ts'
import { metricsLoad } from './server-load.ts'
import type { DialectOptions } from './dialect-options.ts'
import type { ServiceOptions } from './target.ts'
import { checkTarget } from './target.ts'

export type VllmOptions = ServiceOptions & DialectOptions

/**
 * A vLLM server. The model is the name it is served under; another name is a 404. No key is needed; `apiKey` or VLLM_API_KEY is sent
 * when there is one.
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
  load: endpoint => metricsLoad(endpoint, { running: 'vllm:num_requests_running', waiting: 'vllm:num_requests_waiting' }),
  dialect: {
    service: 'vllm',
    capabilities: { output: 'json-schema', prefix: true },
    reasoning: reasoningSwitches.template,
    // Both true is a 400; without either the template closes the turn and opens another. Without thinking the template opens no
    // thought, but a parser like deepseek_r1 takes all that comes for one until it ends (seen with 0.32).
    prefix: {
      ...{ message: {}, body: { continue_final_message: true, add_generation_prompt: false } },
      ...{ stopsThinking: true, restLooksThought: true },
    },
  },
}
