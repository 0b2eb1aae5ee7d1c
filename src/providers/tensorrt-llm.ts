import type { Target } from '../contract-targets.ts'
import { reasoningSwitches } from './chat-request/reasoning.ts'
import { localChecks, type LocalServer, localTarget, metricsLoad } from './local-server.ts'
import type { DialectOptions } from './dialect-options.ts'
import { checkTarget, type ServiceOptions } from './target.ts'

/** Options of `tensorrtLlm()`. */
export type TensorrtLlmOptions = ServiceOptions & DialectOptions

/**
 * NVIDIA's `trtllm-serve`. Its chat completions cannot continue a given prefix, so it never gets one. No key is needed; `apiKey`
 * or TENSORRT_LLM_API_KEY is sent if set.
 *
 * @example
 * tensorrtLlm('r1', { baseURL: 'http://gpu-3:8000/v1' })
 */
export function tensorrtLlm(model: string, options: TensorrtLlmOptions = {}): Target {
  checkTarget(model, options, { service: 'tensorrtLlm', checks: localChecks })
  return localTarget(server, model, options)
}

const server: LocalServer = {
  baseURL: 'http://127.0.0.1:8000/v1',
  keyVariable: 'TENSORRT_LLM_API_KEY',
  // its `/metrics` is JSON, and is cleared by each read
  load: endpoint =>
    metricsLoad(endpoint, {
      page: '/prometheus/metrics',
      running: 'trtllm_num_requests_running',
      waiting: 'trtllm_num_requests_waiting',
      kvUsage: 'trtllm_kv_cache_utilization',
    }),
  keepLoaded: 'always',
  dialect: {
    service: 'tensorrt-llm',
    capabilities: { output: 'json-schema', prefix: false },
    reasoning: reasoningSwitches.template,
  },
}
