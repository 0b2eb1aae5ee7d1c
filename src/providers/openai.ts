import type { Call } from '../contract.ts'
import type { Target } from '../contract-targets.ts'
import { type Dialect, hasTools, plainDialect, type Warn, without } from './chat-completions/dialect.ts'
import { openaiSchema } from './chat-request/openai-schema.ts'
import { chatCompletions } from './chat-completions/provider.ts'
import { reasoningSwitches } from './chat-request/reasoning.ts'
import { withStrictTools } from './chat-request/encode.ts'
import { dialectChecks, type DialectOptions, withDialectOptions } from './dialect-options.ts'
import { createEndpoint } from './endpoint.ts'
import { priceOf } from './prices.ts'
import { withSilenceOf } from './silent-models.ts'
import { createTarget, modelAndOptions, serviceChecks, type ServiceOptions } from './target.ts'

/** The known ids; any other id is accepted too. */
export type OpenAIModel = 'gpt-6-luna' | 'gpt-6-sol' | 'gpt-6-astra' | 'gpt-5.6-luna' | 'gpt-5.4-nano' | (string & {})

/** Options of `openai()`. */
export type OpenAIOptions = ServiceOptions & DialectOptions

const defaultModel = 'gpt-6-luna'

/**
 * OpenAI's chat completions. The key is `apiKey` or OPENAI_API_KEY.
 *
 * @example
 * openai()
 * openai('gpt-6-sol', { timeout: { firstChunkMs: 20_000 } })
 */
export function openai(modelOrOptions?: OpenAIModel | OpenAIOptions, optionsOfModel?: OpenAIOptions): Target {
  const { model, options } = modelAndOptions<OpenAIOptions>(modelOrOptions, optionsOfModel, {
    model: defaultModel,
    service: 'openai',
    checks,
  })
  const provider = chatCompletions(withDialectOptions(withSilenceOf(dialect, model), options), {
    endpoint: createEndpoint(options, {
      service: 'openai',
      baseURL: 'https://api.openai.com/v1',
      keyVariables: ['OPENAI_API_KEY'],
    }),
    stream: options.stream ?? true,
    extraBody: options.extraBody,
  })
  return createTarget(provider, model, { ...options, price: options.price ?? priceOf(model) })
}

const checks = { ...serviceChecks, ...dialectChecks }

const dialect: Dialect = {
  ...plainDialect,
  service: 'openai',
  capabilities: { tools: true, images: true, reasoning: true, hidesReasoning: true, output: 'json-schema', prefix: false },
  instructionRole: 'developer',
  tokenLimit: 'max_completion_tokens',
  reasoning: reasoningSwitches.effort,
  reasoningHistory: 'strip',
  toolCallIds: 'short',
  thinkTags: false,
  enforceable: openaiSchema,
  adapt,
}

function adapt(call: Call, warn: Warn): Call {
  const switched = call.extraBody?.['reasoning_effort'] === 'none' ? { ...call, reasoning: 'off' as const } : call
  const tooled = withoutReasoningForTools(withStrictTools(switched, { warn, enforceable: openaiSchema }), warn)
  if (tooled.reasoning === 'off' || !/^gpt-6\b/.test(call.model)) return tooled
  const reason = `${call.model} takes it only with reasoning: "off", so it was left out.`
  return without(without(tooled, 'temperature', { warn, reason }), 'topP', { warn, reason })
}

/**
 * The gpt-6 family, and gpt-5.6 before it, supports function calls in chat completions only with `reasoning_effort: "none"`
 * (according to its model page).
 */
function withoutReasoningForTools(call: Call, warn: Warn): Call {
  if (!hasTools(call) || call.reasoning === 'off' || !/^gpt-(?:6|5\.6)\b/.test(call.model)) return call
  warn(
    'reasoning',
    `${call.model} can call tools in chat completions only without reasoning, so the request was sent with reasoning "off".`,
  )
  return { ...call, reasoning: 'off' }
}
