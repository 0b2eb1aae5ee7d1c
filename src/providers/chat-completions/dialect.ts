import type { Call, Capabilities, JsonSchema, Reasoning, TimeoutSettings } from '../../contract.ts'
import type { FailureRule } from '../chat-failure/failure.ts'
import type { Enforceable } from '../chat-request/json-schema.ts'
import type { ToolCallIds } from '../tool-call-ids.ts'

/** Warns that an option cannot be honoured, and says what is done instead. */
export type Warn = (setting: string, message: string) => void

/** How one service speaks the chat-completions format: its requirements, its restrictions, its own wordings. */
export type Dialect = {
  /** The provider's name in results, events and errors. */
  readonly service: string
  readonly capabilities: Capabilities
  /** Clocks for this service, where the defaults do not suit it. */
  readonly timeout?: Partial<TimeoutSettings> | undefined
  /** Appended to the base URL. */
  readonly path: string
  /** The role that carries `system` and `developer` messages. */
  readonly instructionRole: 'system' | 'developer' | 'user'
  readonly tokenLimit: 'max_tokens' | 'max_completion_tokens'
  readonly reasoning: ReasoningSwitch
  /**
   * Which reasoning of earlier turns is sent. `strip`: none. `keep`: all there is. `required`: the field on every turn.
   * `required-with-tools`: the field on every turn while thinking with tools, so a turn without reasoning gets an empty one.
   */
  readonly reasoningHistory: 'strip' | 'keep' | 'required-with-tools' | 'required'
  readonly reasoningField: 'reasoning_content' | 'reasoning'
  /** Sends back the state that the service attached to earlier turns, such as signatures of thoughts. @default true */
  readonly keepsState?: boolean | undefined
  /** The format of tool call ids that the service accepts; ids of other services are converted to it. @default by its address */
  readonly toolCallIds?: ToolCallIds | undefined
  /** Requests the usage of a stream. A few old servers reject the field. */
  readonly streamUsage: boolean
  /** Fields of the body that the server has rejected before. */
  readonly omit?: readonly string[] | undefined
  readonly prefix?: PrefixForm | undefined
  /**
   * `<think>` at the beginning of the content is reasoning. `opened`: the chat template opens the tag, so only its end appears.
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /** Failures that this service words in its own way; checked before the common rules. */
  readonly failureRules?: readonly FailureRule[] | undefined
  /** The sentence that asks for JSON when the server cannot enforce a schema. It goes into the system message. */
  readonly jsonInstruction: (schema: string | undefined) => string
  /** Converts a schema to one that this service enforces. @default `strict` only when the schema can be closed as it is */
  readonly enforceable?: ((schema: JsonSchema) => Enforceable) | undefined
  /** Changes what this service forbids, on the call itself, before encoding. */
  readonly adapt?: ((call: Call, warn: Warn) => Call) | undefined
  /** Sends some calls to another base URL. */
  readonly reroute?: ((baseURL: string, call: Call) => string) | undefined
}

/** Writes the fields for a reasoning level. Undefined: the service has no switch. */
export type ReasoningSwitch = ((level: Reasoning) => Readonly<Record<string, unknown>>) | undefined

/** How a server is told to continue the text of the last message instead of replying to it. */
export type PrefixForm = {
  /** Fields added to the last message. */
  readonly message: Readonly<Record<string, unknown>>
  /** Fields added to the body. */
  readonly body: Readonly<Record<string, unknown>>
  /** The server cannot continue a text while it thinks, so reasoning is switched off. */
  readonly stopsThinking?: boolean | undefined
  /** The server's reasoning parser takes the continued text for reasoning, because it sees no end of a thought. */
  readonly restLooksThought?: boolean | undefined
  /** A JSON answer (not a stream) repeats the prefix at its beginning. */
  readonly jsonRepeats?: boolean | undefined
}

/** The plainest form of the format: assumed for a server of which nothing else is known. */
export const plainDialect: Dialect = {
  service: 'openai-compatible',
  capabilities: {},
  path: '/chat/completions',
  instructionRole: 'system',
  tokenLimit: 'max_tokens',
  reasoning: undefined,
  reasoningHistory: 'strip',
  reasoningField: 'reasoning_content',
  streamUsage: true,
  // reasoning models are everywhere, and we cannot know how their server was started
  thinkTags: true,
  jsonInstruction: schema =>
    schema === undefined ? 'Answer in JSON.' : `Answer in JSON that conforms to this JSON Schema: ${schema}`,
}

export function hasTools(call: Call): boolean {
  return call.tools !== undefined && Object.keys(call.tools).length > 0
}

/** The call without one setting. Warns if the setting was set. */
export function without(
  call: Call,
  setting: 'seed' | 'temperature' | 'topP' | 'stopSequences' | 'reasoning',
  { warn, reason }: { warn: Warn; reason: string },
): Call {
  if (call[setting] === undefined) return call
  warn(setting, reason)
  return { ...call, [setting]: undefined }
}
