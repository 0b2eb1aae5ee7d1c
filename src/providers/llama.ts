import type { Call, Target } from '../contract.ts'
import { reasoningSwitches } from './chat-completions/reasoning.ts'
import { eitherAddress } from './either-address.ts'
import type { Endpoint } from './endpoint.ts'
import type { LocalServer } from './local-server.ts'
import { localChecks, localTarget } from './local-server.ts'
import type { Load } from './server-load.ts'
import { askServer, loadOf } from './server-load.ts'
import type { DialectOptions } from './dialect-options.ts'
import type { ServiceOptions } from './target.ts'
import { modelAndOptions } from './target.ts'

export type LlamaOptions = ServiceOptions & DialectOptions

/** A server that was started with one model answers to any name; one in router mode (without `-m`) takes the name for its choice. */
const defaultModel = 'default'

/**
 * llama.cpp's `llama-server`, on this machine (port 8080, or 9931 where nobody listens there) or anywhere. No key is needed; `apiKey` or LLAMA_API_KEY is sent when there is one.
 *
 * @example
 * llama()
 * llama({ baseURL: 'http://10.0.0.7:8080/v1' })
 */
export function llama(modelOrOptions?: string | LlamaOptions, optionsOfModel?: LlamaOptions): Target {
  const { model, options } = modelAndOptions<LlamaOptions>(modelOrOptions, optionsOfModel, {
    model: defaultModel,
    service: 'llama',
    checks: localChecks,
  })
  const target = localTarget(server, model, options)
  if (options.baseURL !== undefined) return target
  const moved = localTarget({ ...server, baseURL: newBaseURL }, model, options)
  return { ...target, provider: eitherAddress(target.provider, moved.provider) }
}

/** Where llama-server listens unless told otherwise: on 8080 for years, on 9931 in the autumn of 2026 (seen at b11669). */
const oldBaseURL = 'http://127.0.0.1:8080/v1'
const newBaseURL = 'http://127.0.0.1:9931/v1'

const server: LocalServer = {
  baseURL: oldBaseURL,
  keyVariable: 'LLAMA_API_KEY',
  load: llamaLoad,
  dialect: {
    service: 'llama',
    capabilities: { output: 'json-schema', prefix: true },
    reasoning: reasoningSwitches.llama,
    adapt: offerAlone,
    // The server goes on from a last assistant message by itself, and refuses to while the template thinks (ggml-org/llama.cpp#20861).
    // Asked for JSON it repeats the prefix in its answer, in a stream it does not (seen at b11669).
    prefix: { message: {}, body: {}, stopsThinking: true, jsonRepeats: true },
  },
}

/**
 * A tool that must be called. The server takes a choice by name for `auto` and says so in its log only (seen at b11669); with one tool,
 * `required` says the same.
 */
function offerAlone(call: Call): Call {
  const { toolChoice, tools } = call
  if (typeof toolChoice !== 'object') return call
  const tool = tools?.[toolChoice.toolName]
  return tool === undefined ? call : { ...call, tools: { [toolChoice.toolName]: tool }, toolChoice: 'required' }
}

/**
 * A server that sleeps is idle, and every question but these two wakes it and keeps it awake; `/slots` too (F107). `/metrics` is there
 * only with `--metrics`.
 */
function llamaLoad(endpoint: Endpoint): Load {
  return async signal => {
    const props = await askServer(endpoint, '/props', signal)
    if (props.status === 200 && isAsleep(props.body)) return { running: 0, waiting: 0 }
    const names = { running: 'llamacpp:requests_processing', waiting: 'llamacpp:requests_deferred' }
    return loadOf(await askServer(endpoint, '/metrics', signal), names, endpoint)
  }
}

function isAsleep(props: unknown): boolean {
  return typeof props === 'object' && props !== null && 'is_sleeping' in props && props.is_sleeping === true
}
