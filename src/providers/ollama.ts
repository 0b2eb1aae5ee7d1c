import type { Attempt, Call, Capabilities, Message, Provider } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { ProviderError } from '../errors.ts'
import { askJson } from '../http/get-json.ts'
import { post } from '../http/post.ts'
import { failureOf } from './chat-failure/failure.ts'
import { refusal } from './chat-request/encode.ts'
import { prefixOf, tagsAfter } from './chat-request/history.ts'
import { callback, type Checks } from '../check.ts'
import { guarded } from './answer-guard.ts'
import { createEndpoint, type Endpoint, rootOf, urlOf, withKey } from './endpoint.ts'
import { dialectChecks } from './dialect-options.ts'
import { mergeBody, wireJson } from './json.ts'
import { readAnswer } from './chat-answer/read-answer.ts'
import { askWithFixes } from './ollama-fixes.ts'
import { chatBody, rawBody } from './ollama-request.ts'
import { free } from './prices.ts'
import { checkTarget, createTarget, serviceChecks, type ServiceOptions } from './target.ts'

/** Options of `ollama()`. */
export type OllamaOptions = ServiceOptions & {
  /**
   * The size of the model's context in tokens, input and output together (`num_ctx`). Ollama silently cuts a longer conversation
   * at its beginning. @default the server's, often no more than 4,096
   */
  readonly contextTokens?: number | undefined
  /**
   * How long the model stays in memory after the call: a string like `'10m'`, or seconds; `-1` is for ever, `0` unloads it at once.
   * @default the server's, 5 minutes
   */
  readonly keepAlive?: string | number | undefined
  /**
   * Writes the conversation in the model's own template, up to the point where the assistant's turn begins. This lets the target
   * continue a given prefix (capability `prefix`), through `/api/generate` with `raw`. Without it many templates close the last
   * assistant turn, and the model starts a new one.
   */
  readonly toRawPrompt?: ((messages: readonly Message[]) => string) | undefined
  /**
   * Treat `<think>` at the beginning of the content as reasoning, for models whose template Ollama does not recognize as a
   * thinking one. `opened`: the template opens the tag itself, so only `</think>` appears. @default true
   */
  readonly thinkTags?: boolean | 'opened' | undefined
}

/**
 * Ollama through its own API (`/api/chat`), which supports more than its OpenAI-compatible one: `keepAlive`, reasoning, load
 * times. No key is needed; `apiKey` or OLLAMA_API_KEY is sent if set. Ollama loads a model on its first request, so the first
 * answer may be slow.
 *
 * @example
 * ollama('deepseek-r1:8b')
 * ollama('llama3.2', { keepAlive: -1 })
 */
export function ollama(model: string, options: OllamaOptions = {}): Target {
  checkTarget(model, options, { service: 'ollama', checks })
  const endpoint = createEndpoint(options, {
    service: 'ollama',
    baseURL: 'http://127.0.0.1:11434',
    keyVariables: ['OLLAMA_API_KEY'],
    keyNeeded: false,
  })
  return createTarget(createProvider(endpoint, options), model, { ...options, price: options.price ?? free })
}

const checks: Checks = {
  ...serviceChecks,
  contextTokens: (value, name) => {
    if (!Number.isInteger(value) || Number(value) < 1) throw new TypeError(`${name} must be a whole number of tokens, 1 or more.`)
  },
  keepAlive: (value, name) => {
    if (typeof value !== 'number' && typeof value !== 'string')
      throw new TypeError(`${name} must be a number of seconds, or a string like '10m'.`)
  },
  toRawPrompt: callback,
  thinkTags: dialectChecks.thinkTags,
}

/** Nothing is sent while the model is loaded from disk, not even a status. */
const timeout = { headersMs: 300_000, firstChunkMs: 300_000, chunkMs: 120_000 }

function createProvider(endpoint: Endpoint, options: OllamaOptions): Provider {
  const memory = new Set<string>()
  const { stream = true, toRawPrompt, contextTokens } = options
  const capabilities: Capabilities = {
    ...{ stream, output: 'json-schema', prefix: toRawPrompt !== undefined },
    ...(contextTokens === undefined ? undefined : { contextTokens }),
  }
  return {
    name: 'ollama',
    capabilities,
    identity: endpoint.identity,
    timeout,
    refuse: call => refusal(call, capabilities, endpoint) ?? imageRefusal(call),
    stream: (call, attempt) => ask(call, attempt, { endpoint, options, memory }),
    keepLoaded: (model, signal) => withKey(endpoint, keyed => keepLoaded(model, signal, { endpoint: keyed, options, memory })),
    check: () => endpoint.connections.check(),
    close: () => endpoint.connections.close(),
  }
}

/**
 * A request without a prompt loads the model and restarts its keep-alive time. It sends the same context size as a call, because
 * a different one would load the model again.
 */
async function keepLoaded(model: string, signal: AbortSignal, { endpoint, options }: Service): Promise<boolean> {
  const { keepAlive } = options
  const own = { model, stream: false, ...(keepAlive === undefined ? undefined : { keep_alive: keepAlive }) }
  const { status, headers, body } = await askJson({
    url: urlOf(rootOf(endpoint.baseURL), '/api/generate'),
    headers: endpoint.headers,
    method: 'POST',
    body: wireJson(mergeBody(own, contextOf(options))),
    ...{ connections: endpoint.connections, signal },
  })
  if (status === 200) return true
  throw failureOf({
    status,
    headers,
    secrets: endpoint.secrets,
    body: typeof body === 'string' ? body : JSON.stringify(body ?? ''),
  })
}

function contextOf({ contextTokens }: OllamaOptions): Readonly<Record<string, unknown>> {
  return contextTokens === undefined ? {} : { options: { num_ctx: contextTokens } }
}

/** Ollama accepts images only as bytes, and fetches none. */
function imageRefusal({ model, messages }: Call): ProviderError | undefined {
  const isAddress = messages.some(
    ({ content }) =>
      typeof content !== 'string' && content.some(part => part.type === 'image' && !part.image.startsWith('data:')),
  )
  if (!isAddress) return undefined
  const message = `ollama ${model} takes images only as data: URIs. Write the image as one, or use a target that fetches images.`
  return new ProviderError(message, { reason: 'invalid-request', provider: 'ollama', model })
}

type Service = { readonly endpoint: Endpoint; readonly options: OllamaOptions; readonly memory: Set<string> }

function ask(call: Call, attempt: Attempt, service: Service): Promise<void> {
  return askWithFixes(call, attempt, { memory: service.memory, send: (changed, to) => send(changed, to, service) })
}

function send(call: Call, attempt: Attempt, service: Service): Promise<void> {
  return withKey(service.endpoint, endpoint => sendTo(call, attempt, { ...service, endpoint }))
}

async function sendTo(call: Call, attempt: Attempt, { endpoint, options }: Service): Promise<void> {
  // cancels the wait that the finish of an earlier answer may have started
  attempt.linger?.(undefined, 0)
  const { toRawPrompt, stream = true, keepAlive, extraBody, thinkTags = true } = options
  const prefix = prefixOf(call)
  const common = { stream, ...(keepAlive === undefined ? undefined : { keep_alive: keepAlive }) }
  const raw = prefix === undefined ? undefined : toRawPrompt
  if (call.tools !== undefined && call.toolChoice !== undefined && call.toolChoice !== 'auto' && call.toolChoice !== 'none') {
    attempt.emit({
      type: 'warning',
      setting: 'toolChoice',
      message: 'Ollama cannot be forced to call a tool, so "auto" was sent.',
    })
  }
  const own = raw === undefined ? chatBody(call) : rawBody(call, raw)
  await post({
    url: urlOf(rootOf(endpoint.baseURL), raw === undefined ? '/api/chat' : '/api/generate'),
    headers: endpoint.headers,
    body: wireJson(mergeBody({ ...own, ...common }, contextOf(options), extraBody, call.extraBody)),
    attempt,
    connections: endpoint.connections,
    respond: (status, headers) =>
      guarded(attempt, status, ways =>
        readAnswer({
          ...{ status, headers, secrets: endpoint.secrets, thinkTags: tagsAfter(prefix, thinkTags), ...ways },
          // the continued text may have been complete already
          allowEmpty: prefix !== undefined,
          call,
        }),
      ),
  })
}
