import type { Call, JsonSchema, Reasoning } from '../../contract.ts'
import { ProviderError } from '../../errors.ts'
import type { Dialect } from './dialect.ts'
import type { Enforceable } from './json-schema.ts'

/** The same question, asked in a way that the server's own message says it will take. */
export type Repair = {
  readonly call: Call
  readonly dialect: Dialect
  /** The option of the input that was changed, and a sentence for `result.warnings`. */
  readonly setting: string
  readonly message: string
}

export type Failed = {
  readonly call: Call
  readonly dialect: Dialect
  /** Reasoning was emitted, and nothing else. */
  readonly reasoned: boolean
}

/** One second request inside the attempt, where the failure names its own cure. Undefined: none, the failure stands. */
export function repair(error: unknown, failed: Failed): Repair | undefined {
  if (!ProviderError.isInstance(error)) return undefined
  if (error.reason === 'context-length') return smallerAnswer(error, failed)
  if (error.reason === 'empty') return withoutThinking(failed)
  if (error.reason !== 'invalid-request') return undefined
  return (
    withReasoning(error, failed) ??
    withoutTurnsReasoning(error, failed) ??
    otherTokenLimit(error, failed) ??
    withoutReasoning(error, failed) ??
    otherEffort(error, failed) ??
    withoutSetting(error, failed) ??
    withoutStrict(error, failed)
  )
}

/** Less than this and the answer would be a stump. */
const smallestAnswer = 16

/** The conversation fits, only the room for the answer does not. Needs the two numbers of the server: what it takes, what the messages take. */
function smallerAnswer(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  const taken = inMessages(error)
  // without a limit of the caller's it is the server's own default that does not fit
  const asked = call.maxOutputTokens ?? inCompletion(error)
  if (asked === undefined || error.contextTokens === undefined || taken === undefined) return undefined
  const room = error.contextTokens - taken
  if (room < smallestAnswer || room >= asked) return undefined
  return {
    call: { ...call, maxOutputTokens: room },
    dialect,
    setting: 'maxOutputTokens',
    message: `The conversation leaves room for ${room} of the ${asked} tokens asked for: asked again with ${room}.`,
  }
}

/**
 * "(1000 in the messages, 4000 in the completion)" of DeepSeek, OpenAI and older vLLM; "your request has 1000 input tokens" of newer vLLM;
 * "the request resolved to 1000 input tokens (including image/vision expansion)" of DeepSeek.
 */
function inMessages(error: ProviderError): number | undefined {
  const found = /(\d+) in (?:the|your) (?:messages|prompt)|(?:has|resolved to) (\d+) input tokens/.exec(wordsOf(error))
  const digits = found?.[1] ?? found?.[2]
  return digits === undefined ? undefined : Number(digits)
}

function inCompletion(error: ProviderError): number | undefined {
  const digits = /(\d+) in the completion/.exec(wordsOf(error))?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** DeepSeek's 400 where an earlier turn has no reasoning_content (R127, R128), at a host of which we did not know that it asks for it. */
function withReasoning(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  const names = /reasoning_content/.test(wordsOf(error)) && /passed back|missing/i.test(wordsOf(error))
  if (!names || dialect.reasoningHistory === 'required') return undefined
  return {
    call,
    dialect: { ...dialect, reasoningHistory: 'required', reasoningField: 'reasoning_content' },
    setting: 'messages',
    message: 'The server wants the reasoning of every earlier turn: asked again with it, empty where none is known.',
  }
}

/** "Extra inputs are not permitted, field: 'messages[1].reasoning_content'" of strict hosts, and R1's of 2025, which refuse what later ones demand. */
function withoutTurnsReasoning(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  const words = wordsOf(error)
  const names =
    words.includes(dialect.reasoningField) &&
    /not (?:permitted|allowed|supported|accepted)|unknown|unexpected|unrecognized/i.test(words)
  const sent = call.messages.some(message => message.role === 'assistant' && message.reasoningText !== undefined)
  if (!names || !sent || dialect.reasoningHistory === 'strip') return undefined
  return {
    call,
    dialect: { ...dialect, reasoningHistory: 'strip' },
    setting: 'messages',
    message: 'The server refuses the reasoning of earlier turns: asked again without it.',
  }
}

/** "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", or the other way round. */
function otherTokenLimit(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  const other = dialect.tokenLimit === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  const words = wordsOf(error)
  if (call.maxOutputTokens === undefined || !new RegExp(`'${dialect.tokenLimit}'.*not supported.*'${other}'`).test(words))
    return undefined
  return {
    call,
    dialect: { ...dialect, tokenLimit: other },
    setting: 'maxOutputTokens',
    message: `The server wants ${other}: asked again with it.`,
  }
}

/** "Function tools with reasoning_effort are not supported for ... To use function tools, ... set reasoning_effort to 'none'." of OpenAI. */
function withoutReasoning(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  if (call.reasoning === 'off' || dialect.reasoning === undefined || !/set reasoning_effort to .?none/i.test(wordsOf(error)))
    return undefined
  return {
    call: { ...call, reasoning: 'off' },
    dialect,
    setting: 'reasoning',
    message: 'The model calls tools only without reasoning: asked again so.',
  }
}

/** "body.reasoning_effort: Input should be 'low', 'medium' or 'high'" of vLLM and SGLang: not every version knows every level. */
function otherEffort(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  if (call.reasoning === undefined || !/reasoning_effort: input should be/i.test(wordsOf(error))) return undefined
  const reasoning = call.reasoning === 'max' ? 'high' : undefined
  return {
    call: { ...call, reasoning },
    dialect,
    setting: 'reasoning',
    message: `The server does not know that level of reasoning: asked again with ${reasoning ?? 'its default'}.`,
  }
}

const settings = {
  temperature: 'temperature',
  top_p: 'topP',
  seed: 'seed',
  stop: 'stopSequences',
  reasoning_effort: 'reasoning',
} as const

/** Models of one service differ in the ends of the scale; without the field they would think as much as they please. */
const nearest: Partial<Record<Reasoning, Reasoning>> = { off: 'low', max: 'high' }

/** "Unsupported parameter: 'temperature' is not supported with this model.", "Unsupported value: 'temperature' does not support 0.9 ...". */
function withoutSetting(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  const name = /unsupported (?:parameter|value): '?(\w+)/i.exec(wordsOf(error))?.[1] ?? ''
  const setting = Object.hasOwn(settings, name) ? settings[name as keyof typeof settings] : undefined
  if (setting === undefined || call[setting] === undefined) return undefined
  const other =
    setting === 'reasoning' && /unsupported value/i.test(wordsOf(error)) ? nearest[call.reasoning ?? 'low'] : undefined
  if (other !== undefined) {
    const message = `The model does not take reasoning "${call.reasoning}": asked again with "${other}".`
    return { call: { ...call, reasoning: other }, dialect, setting, message }
  }
  return {
    call: { ...call, [setting]: undefined },
    dialect,
    setting,
    message: `The model does not take ${name}: asked again without it.`,
  }
}

/**
 * "Invalid schema for response_format 'answer': In context=(), 'allOf' is not permitted." of OpenAI, "Invalid schema for function 'x': ..."
 * of it and DeepSeek. What strict takes differs from service to service and from month to month; not strict the same schema is taken,
 * and the answer is checked by us in any case.
 */
function withoutStrict(error: ProviderError, { call, dialect }: Failed): Repair | undefined {
  const [, place, name = ''] = /invalid schema for (response_format|function) '?([\w-]*)/i.exec(wordsOf(error)) ?? []
  const repaired = (setting: string, changed: Partial<Failed>): Repair => {
    const message = 'The server does not enforce this schema: asked again without holding it to the letter.'
    return { call, dialect, ...changed, setting, message }
  }
  const tools = call.tools ?? {}
  if (place === undefined) return undefined
  if (Object.hasOwn(tools, name)) {
    if (tools[name]?.strict !== true) return undefined
    const loose = Object.entries(tools).map(([tool, one]) => [tool, { ...one, strict: one.strict === true ? false : one.strict }])
    return repaired('tools', { call: { ...call, tools: Object.fromEntries(loose) as Call['tools'] } })
  }
  if (call.output?.schema === undefined || dialect.enforceable === asItIs) return undefined
  const { capabilities } = dialect
  const output = capabilities.output === 'strict-tool' ? 'json-object' : capabilities.output
  return repaired('output', { dialect: { ...dialect, enforceable: asItIs, capabilities: { ...capabilities, output } } })
}

function asItIs(schema: JsonSchema): Enforceable {
  return { schema, strict: false }
}

/**
 * The model thought, stopped, and said nothing (R39). No text was emitted, so nothing can be doubled; what a reader of `stream()` saw
 * of the reasoning was this model's own, and the answer that follows is too.
 */
function withoutThinking({ call, dialect, reasoned }: Failed): Repair | undefined {
  if (!reasoned || call.reasoning === 'off' || dialect.reasoning === undefined) return undefined
  return {
    call: { ...call, reasoning: 'off' },
    dialect,
    setting: 'reasoning',
    message: 'The model only thought and gave no answer: asked again with reasoning off.',
  }
}

function wordsOf(error: ProviderError): string {
  return `${error.message}\n${error.said ?? ''}`
}
