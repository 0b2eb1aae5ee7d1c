import type { Attempt, Call, Capabilities, Message, Provider, Target } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { post } from '../http/post.ts'
import { refusal } from './chat-completions/refusal.ts'
import { prefixOf, tagsAfter } from './chat-completions/history.ts'
import type { Checks } from '../check.ts'
import { callback } from '../check.ts'
import { guarded } from './answer-guard.ts'
import type { Endpoint } from './endpoint.ts'
import { createEndpoint, rootOf, urlOf, withKey } from './endpoint.ts'
import { dialectChecks } from './dialect-options.ts'
import { mergeBody } from './merge-body.ts'
import { readOllama } from './ollama-answer.ts'
import { askWithRepairs } from './ollama-repairs.ts'
import { chatBody, rawBody } from './ollama-request.ts'
import { free } from './prices.ts'
import { wireJson } from './wire-json.ts'
import type { ServiceOptions } from './target.ts'
import { checkTarget, createTarget, serviceChecks } from './target.ts'

export type OllamaOptions = ServiceOptions & {
  /**
   * How many tokens the model is given room for, input and output together (`num_ctx`). What does not fit Ollama cuts off at the
   * beginning, silently. @default the server's, often no more than 4,096
   */
  readonly contextTokens?: number | undefined
  /** How long the model stays in memory after the call: `'10m'`, seconds, `-1` for ever, `0` not at all. @default the server's, 5 minutes */
  readonly keepAlive?: string | number | undefined
  /**
   * Writes the conversation in the model's own template, up to where the assistant begins to speak. With it the target can go on from
   * a given beginning (capability `prefix`), through `/api/generate` with `raw`: many templates close a last assistant turn, and then
   * the model starts a new one.
   */
  readonly toRawPrompt?: ((messages: readonly Message[]) => string) | undefined
  /**
   * `<think>` at the beginning of the content is reasoning: so speak models whose template Ollama does not know as a thinking one.
   * `opened`: the template opens the tag itself, so only `</think>` comes. @default true
   */
  readonly thinkTags?: boolean | 'opened' | undefined
}

/**
 * Ollama through its own API (`/api/chat`), which knows more than its OpenAI-like one: `keepAlive`, thoughts, load times. No key is
 * needed; `apiKey` or OLLAMA_API_KEY is sent when there is one. The model is loaded when it is asked, so the first answer may be slow.
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
      throw new TypeError(`${name} must be seconds, or a text like '10m'.`)
  },
  toRawPrompt: callback,
  thinkTags: dialectChecks.thinkTags,
}

/** Nothing comes while the model is read from disk into memory, not even a status. */
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
    check: () => endpoint.connections.check(),
    close: () => endpoint.connections.close(),
  }
}

function contextOf({ contextTokens }: OllamaOptions): Readonly<Record<string, unknown>> {
  return contextTokens === undefined ? {} : { options: { num_ctx: contextTokens } }
}

/** Ollama takes images as bytes only, and fetches none. */
function imageRefusal({ model, messages }: Call): ProviderError | undefined {
  const isAddress = messages.some(
    ({ content }) =>
      typeof content !== 'string' && content.some(part => part.type === 'image' && !part.image.startsWith('data:')),
  )
  if (!isAddress) return undefined
  const message = `ollama ${model} takes images as data: URIs only: a target that fetches them is needed for this call.`
  return new ProviderError(message, { reason: 'invalid-request', provider: 'ollama', model })
}

type Service = { readonly endpoint: Endpoint; readonly options: OllamaOptions; readonly memory: Set<string> }

function ask(call: Call, attempt: Attempt, service: Service): Promise<void> {
  return askWithRepairs(call, attempt, { memory: service.memory, send: (changed, to) => send(changed, to, service) })
}

function send(call: Call, attempt: Attempt, service: Service): Promise<void> {
  return withKey(service.endpoint, endpoint => sendTo(call, attempt, { ...service, endpoint }))
}

async function sendTo(call: Call, attempt: Attempt, { endpoint, options }: Service): Promise<void> {
  // an answer before this one may have seemed to be over
  attempt.linger?.(undefined, 0)
  const { toRawPrompt, stream = true, keepAlive, extraBody, thinkTags = true } = options
  const prefix = prefixOf(call)
  const common = { stream, ...(keepAlive === undefined ? undefined : { keep_alive: keepAlive }) }
  const raw = prefix === undefined ? undefined : toRawPrompt
  if (call.tools !== undefined && call.toolChoice !== undefined && call.toolChoice !== 'auto' && call.toolChoice !== 'none') {
    attempt.emit({ type: 'warning', setting: 'toolChoice', message: 'Ollama cannot be made to call a tool: sent as "auto".' })
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
        readOllama({
          ...{ status, headers, secrets: endpoint.secrets, thinkTags: tagsAfter(prefix, thinkTags), ...ways },
          // the text that is continued may have been whole
          allowEmpty: prefix !== undefined,
          call,
        }),
      ),
  })
}
