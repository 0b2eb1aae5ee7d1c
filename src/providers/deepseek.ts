import type { Call } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { type Dialect, hasTools, plainDialect, type Warn, without } from './chat-completions/dialect.ts'
import { prefixOf } from './chat-request/history.ts'
import { withStrictTools } from './chat-request/encode.ts'
import { deepseekSchema } from './chat-request/json-schema.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { reasoningSwitches } from './chat-request/reasoning.ts'
import { type Checks, flag } from '../check.ts'
import { betaOf, deepseekEndpoint } from './deepseek-endpoint.ts'
import { dialectChecks, type DialectOptions, withDialectOptions } from './dialect-options.ts'
import { priceOf } from './prices.ts'
import { createTarget, modelAndOptions, serviceChecks, type ServiceOptions } from './target.ts'

/** The known ids; any other id is accepted too. */
export type DeepSeekModel = 'deepseek-flash' | 'deepseek-v4-pro' | (string & {})

/** Options of `deepseek()`. */
export type DeepSeekOptions = ServiceOptions &
  DialectOptions & {
    /**
     * Your end user's id, 1 to 512 characters. DeepSeek separates content safety, cache and scheduling by it. Do not use a name
     * or an address. A function returns it for each call, or `undefined`, for example `call => call.metadata.userId`.
     */
    readonly userId?: string | ((call: Call) => string | undefined) | undefined
    /**
     * Requests the log probabilities of the answer's tokens, in `providerMetadata.logprobs` of the `finish` event. @default false
     */
    readonly logprobs?: boolean | undefined
    /** The number of alternatives for each token, with their log probabilities, 0 to 20. Sets `logprobs`. @default none */
    readonly topLogprobs?: number | undefined
  }

const defaultModel = 'deepseek-flash'

/**
 * DeepSeek's own API. The key is `apiKey` or DEEPSEEK_API_KEY. The model thinks unless the call sets `reasoning: 'off'`.
 *
 * @example
 * deepseek()
 * deepseek('deepseek-v4-pro', { retry: 0 })
 *
 * @throws {TypeError} An option is wrong, or the model is one that DeepSeek has removed.
 */
export function deepseek(modelOrOptions?: DeepSeekModel | DeepSeekOptions, optionsOfModel?: DeepSeekOptions): Target {
  const { model, options } = modelAndOptions<DeepSeekOptions>(modelOrOptions, optionsOfModel, {
    model: defaultModel,
    service: 'deepseek',
    checks,
  })
  refuseOldName(model)
  const provider = chatCompletions(withDialectOptions(dialectOf(model, options), options), {
    endpoint: deepseekEndpoint(options),
    stream: options.stream ?? true,
    extraBody: { ...fieldsOf(options), ...options.extraBody },
  })
  return createTarget(provider, model, { ...options, price: options.price ?? priceOf(model) })
}

const checks: Checks = {
  ...serviceChecks,
  ...dialectChecks,
  userId: (value, name) => {
    if (typeof value !== 'function' && !isUserId(value))
      throw new TypeError(`${name} must be a string of 1 to 512 characters, or a function of the call that returns one.`)
  },
  logprobs: flag,
  topLogprobs: (value, name) => {
    if (!Number.isInteger(value) || Number(value) < 0 || Number(value) > 20)
      throw new TypeError(`${name} must be a whole number from 0 to 20.`)
  },
}

function isUserId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 512
}

function fieldsOf({ logprobs, topLogprobs }: DeepSeekOptions): Readonly<Record<string, unknown>> {
  return {
    ...(topLogprobs === undefined ? undefined : { logprobs: true, top_logprobs: topLogprobs }),
    ...(logprobs === undefined ? undefined : { logprobs }),
  }
}

function dialectOf(model: string, { userId }: DeepSeekOptions): Dialect {
  return {
    ...plainDialect,
    service: 'deepseek',
    capabilities: {
      tools: true,
      images: model !== 'deepseek-v4-pro',
      reasoning: true,
      // strict tools enforce a schema while the model does not think; otherwise JSON mode with the schema in words
      output: 'strict-tool',
      prefix: true,
      contextTokens: 1_048_576,
    },
    reasoning: reasoningSwitches.deepseek,
    reasoningHistory: 'required-with-tools',
    thinkTags: false,
    prefix: { message: { prefix: true }, body: {} },
    adapt: (call, warn) => adapt(forUser(call, userId, warn), warn),
    reroute: (baseURL, call) => (needsBeta(call) ? betaOf(baseURL) : baseURL),
  }
}

/** These names are gone since 2026-07-24, so a request would only waste an attempt. */
function refuseOldName(model: string): void {
  const replaced = {
    'deepseek-chat': "deepseek('deepseek-flash') and call it with reasoning: 'off'",
    'deepseek-reasoner': "deepseek('deepseek-flash') and call it with reasoning: 'high', which is its default",
  }
  if (model !== 'deepseek-chat' && model !== 'deepseek-reasoner') return
  throw new TypeError(`deepseek: the model '${model}' was removed on 2026-07-24. Write ${replaced[model]}.`)
}

function forUser(call: Call, userId: DeepSeekOptions['userId'], warn: Warn): Call {
  const id = typeof userId === 'function' ? userId(call) : userId
  if (id === undefined) return call
  if (isUserId(id)) return { ...call, extraBody: { user_id: id, ...call.extraBody } }
  warn('userId', 'The user id of this call is not a string of 1 to 512 characters, so it was left out.')
  return call
}

/** Removes what DeepSeek ignores or rejects, depending on whether it thinks. */
function adapt(call: Call, warn: Warn): Call {
  const switched = thinkingDisabledBy(call.extraBody) ? { ...call, reasoning: 'off' as const } : call
  const seedless = without(switched, 'seed', { warn, reason: 'DeepSeek takes no seed, so it was left out.' })
  const tooled = withStrictTools(seedless, { warn, enforceable: deepseekSchema })
  return tooled.reasoning === 'off' ? notThinking(tooled, warn) : thinking(tooled, warn)
}

function thinking(call: Call, warn: Warn): Call {
  const reason = 'DeepSeek takes no temperature while it thinks, so it was left out. Set reasoning: "off" to use it.'
  const cold = without(call, 'temperature', { warn, reason })
  if (call.topP !== undefined && call.topP < 0.95) warn('topP', 'DeepSeek raises topP to 0.95 while it thinks.')
  if (!hasTools(call) || call.toolChoice === undefined || call.toolChoice === 'auto' || call.toolChoice === 'none') return cold
  // a forced tool is a 400 while the model thinks
  warn(
    'toolChoice',
    'DeepSeek cannot be forced to call a tool while it thinks, so "auto" was sent. Set reasoning: "off" to force it.',
  )
  return { ...cold, toolChoice: 'auto' }
}

function notThinking(call: Call, warn: Warn): Call {
  return without(call, 'topP', { warn, reason: 'DeepSeek fixes topP at 1 while it does not think, so it was left out.' })
}

function thinkingDisabledBy(extraBody: Call['extraBody']): boolean {
  const switched = extraBody?.['thinking']
  const disabled = typeof switched === 'object' && switched !== null && 'type' in switched && switched.type === 'disabled'
  return disabled || extraBody?.['reasoning_effort'] === 'none'
}

/**
 * Prefix completion and strict tools are served under /beta only. Elsewhere DeepSeek ignores `prefix` and answers 200, so the
 * call would end up with two answers glued together.
 */
function needsBeta(call: Call): boolean {
  return prefixOf(call) !== undefined || Object.values(call.tools ?? {}).some(tool => tool.strict === true)
}
