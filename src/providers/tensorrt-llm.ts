import type { Target } from '../contract.ts'
import { reasoningSwitches } from './chat-completions/reasoning.ts'
import type { LocalServer } from './local-server.ts'
import { localChecks, localTarget } from './local-server.ts'
import type { DialectOptions } from './dialect-options.ts'
import type { ServiceOptions } from './target.ts'
import { checkTarget } from './target.ts'

export type TensorrtLlmOptions = ServiceOptions & DialectOptions

/**
 * NVIDIA's `trtllm-serve`. It has no way to go on from a given beginning in chat completions, so it never gets a prefix. No key is
 * needed; `apiKey` or TENSORRT_LLM_API_KEY is sent when there is one.
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
  dialect: {
    service: 'tensorrt-llm',
    capabilities: { output: 'json-schema', prefix: false },
    reasoning: reasoningSwitches.template,
  },
}
