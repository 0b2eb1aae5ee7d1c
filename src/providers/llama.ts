import type { Call, Provider } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { ProviderError } from '../errors.ts'
import { reasoningSwitches } from './chat-request/reasoning.ts'
import type { DialectOptions } from './dialect-options.ts'
import type { Endpoint } from './endpoint.ts'
import { askServer, type KeepLoaded, type Load, loadOf, localChecks, type LocalServer, localTarget } from './local-server.ts'
import { modelAndOptions, type ServiceOptions } from './target.ts'

/** Options of `llama()`. */
export type LlamaOptions = ServiceOptions & DialectOptions

/** A server started with one model accepts any name; one in router mode (without `-m`) selects the model by name. */
const defaultModel = 'default'

/**
 * llama.cpp's `llama-server`, on this machine (port 8080, or 9931 if nothing listens there) or anywhere else. No key is needed;
 * `apiKey` or LLAMA_API_KEY is sent if set.
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

/** llama-server's default ports: 8080 for years, 9931 since the autumn of 2026 (seen at b11669). */
const oldBaseURL = 'http://127.0.0.1:8080/v1'
const newBaseURL = 'http://127.0.0.1:9931/v1'

const server: LocalServer = {
  baseURL: oldBaseURL,
  keyVariable: 'LLAMA_API_KEY',
  load: llamaLoad,
  page: '/props',
  keepLoaded: keepAwake,
  dialect: {
    service: 'llama',
    capabilities: { output: 'json-schema', prefix: true },
    reasoning: reasoningSwitches.llama,
    adapt: offerAlone,
    // The server continues a last assistant message by itself, and refuses to while the template thinks
    // (ggml-org/llama.cpp#20861). A JSON answer repeats the prefix, a stream does not (seen at b11669).
    prefix: { message: {}, body: {}, stopsThinking: true, jsonRepeats: true },
  },
}

/**
 * Forces a tool by offering only that tool as `required`. The server treats a choice by name as `auto`, and says so only in its
 * log (seen at b11669).
 */
function offerAlone(call: Call): Call {
  const { toolChoice, tools } = call
  if (typeof toolChoice !== 'object') return call
  const tool = tools?.[toolChoice.toolName]
  return tool === undefined ? call : { ...call, tools: { [toolChoice.toolName]: tool }, toolChoice: 'required' }
}

/**
 * Asks `/props` first. A sleeping server is idle, and every request except `/props` and `/metrics` would wake it, `/slots`
 * included (F107). `/metrics` exists only with `--metrics`.
 */
function llamaLoad(endpoint: Endpoint): Load {
  return async signal => {
    const props = await askServer(endpoint, '/props', signal)
    if (props.status === 200 && isAsleep(props.body)) return { running: 0, waiting: 0, asleep: true }
    const names = { running: 'llamacpp:requests_processing', waiting: 'llamacpp:requests_deferred' }
    return loadOf(await askServer(endpoint, '/metrics', signal), names, endpoint)
  }
}

/**
 * Keeps the server awake with `/slots`, which counts as a task but evicts no prompt from the cache, as generating a token could.
 * A server that sleeps, or hides its slots, is kept loaded by a token (measured at b11669).
 */
function keepAwake(endpoint: Endpoint): KeepLoaded {
  return async (_model, signal) => {
    const props = await askServer(endpoint, '/props', signal)
    if (props.status === 200 && isAsleep(props.body)) return false
    const slots = await askServer(endpoint, '/slots', signal)
    return slots.status === 200 && Array.isArray(slots.body)
  }
}

function isAsleep(props: unknown): boolean {
  return typeof props === 'object' && props !== null && 'is_sleeping' in props && props.is_sleeping === true
}

/**
 * One server at either of two addresses, because a newer version changed its port. If the connection to the first is refused, the
 * second is tried at once; an address that was found is tried first from then on. Only a refused connection leads to the second
 * address: any other server may already have read the prompt.
 */
export function eitherAddress(usual: Provider, moved: Provider): Provider {
  let order: readonly [Provider, Provider] = [usual, moved]

  const ask = async <Value>(work: (provider: Provider) => Promise<Value>, signal: AbortSignal): Promise<Value> => {
    const [first, second] = order
    try {
      return await work(first)
    } catch (error) {
      if (!isRefused(error) || signal.aborted) throw error
      try {
        const value = await work(second)
        order = [second, first]
        return value
      } catch (other) {
        if (isRefused(other)) throw nobody([first, second], error)
        order = [second, first]
        throw other
      }
    }
  }

  return {
    ...usual,
    stream: (call, attempt) => ask(provider => provider.stream(call, attempt), attempt.signal),
    load: signal => ask(provider => loadWith(provider, signal), signal),
    keepLoaded: (model, signal) => ask(provider => keptBy(provider, model, signal), signal),
    check: () => usual.check?.(),
    async close() {
      await Promise.all([usual.close?.(), moved.close?.()])
    },
  }
}

function loadWith({ name, load }: Provider, signal: AbortSignal): ReturnType<NonNullable<Provider['load']>> {
  return load?.(signal) ?? Promise.reject(new ProviderError(`${name} does not report its load.`, { reason: 'invalid-request' }))
}

function keptBy({ keepLoaded }: Provider, model: string, signal: AbortSignal): Promise<boolean> {
  return typeof keepLoaded === 'function' ? keepLoaded(model, signal) : Promise.resolve(false)
}

/** The connection was refused, so nothing was sent. */
function isRefused(error: unknown): boolean {
  const { cause } = ProviderError.isInstance(error) ? error : {}
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
}

function nobody(providers: readonly Provider[], cause: unknown): ProviderError {
  const where = providers.map(({ identity }) => identity?.origin).join(' or at ')
  return new ProviderError(`Nothing listens at ${where}. Start the server, or write its address in the option baseURL.`, {
    reason: 'network',
    cause,
  })
}
