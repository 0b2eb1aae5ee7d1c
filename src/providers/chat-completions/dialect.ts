import type { Call, Capabilities, JsonSchema, Reasoning, TimeoutSettings } from '../../contract.ts'
import type { FailureRule } from './failure.ts'
import type { Enforceable } from './json-schema.ts'
import type { ToolCallIds } from './tool-call-ids.ts'

/** Notes that something cannot be done as asked, and what is done instead. */
export type Warn = (setting: string, message: string) => void

/** How one service speaks the chat-completions format: what it wants, what it forbids, what it words in its own way. */
export type Dialect = {
  /** The provider's name in results, events and errors. */
  readonly service: string
  readonly capabilities: Capabilities
  /** Clocks that this service needs, where the defaults do not fit it. */
  readonly timeout?: Partial<TimeoutSettings> | undefined
  /** Behind the base URL. */
  readonly path: string
  /** The role that carries `system` and `developer` messages. */
  readonly instructionRole: 'system' | 'developer' | 'user'
  readonly tokenLimit: 'max_tokens' | 'max_completion_tokens'
  readonly reasoning: ReasoningSwitch
  /**
   * What becomes of the reasoning of earlier turns. `strip`: none is sent. `keep`: what there is.
   * `required-with-tools`: while thinking with tools every turn needs the field, so a turn without reasoning gets an empty one.
   * `required`: every turn, always.
   */
  readonly reasoningHistory: 'strip' | 'keep' | 'required-with-tools' | 'required'
  readonly reasoningField: 'reasoning_content' | 'reasoning'
  /** What ids of tool calls it takes: those of other services are written so. @default by its address */
  readonly toolCallIds?: ToolCallIds | undefined
  /** Asks for the usage of a stream. A few old servers refuse the field. */
  readonly streamUsage: boolean
  /** Fields of the body that it refuses, as it turned out. */
  readonly omit?: readonly string[] | undefined
  readonly prefix?: PrefixForm | undefined
  /** `<think>` at the beginning of the content is reasoning. `opened`: the chat template opens the tag itself, so only its end comes. */
  readonly thinkTags?: boolean | 'opened' | undefined
  /** Failures that this service words in its own way; looked at before the common rules. */
  readonly failureRules?: readonly FailureRule[] | undefined
  /** The sentence that asks for JSON, where the server cannot be held to a schema. It goes to the system message. */
  readonly jsonInstruction: (schema: string | undefined) => string
  /** Puts a schema into what this service enforces. @default `strict` only where the schema can be closed as it is */
  readonly enforceable?: ((schema: JsonSchema) => Enforceable) | undefined
  /** Changes what this service forbids, in the call's own words, before any of it is written for the wire. */
  readonly adapt?: ((call: Call, warn: Warn) => Call) | undefined
  /** Sends some calls to another base URL. */
  readonly reroute?: ((baseURL: string, call: Call) => string) | undefined
}

/** Writes the fields for a level of reasoning. Undefined: this service has no switch. */
export type ReasoningSwitch = ((level: Reasoning) => Readonly<Record<string, unknown>>) | undefined

/** How a server is told to go on from the text of the last message instead of answering it. */
export type PrefixForm = {
  /** Fields of the last message. */
  readonly message: Readonly<Record<string, unknown>>
  /** Fields of the body. */
  readonly body: Readonly<Record<string, unknown>>
  /** It cannot go on from a text while it thinks: reasoning is switched off. */
  readonly stopsThinking?: boolean | undefined
  /** A parser of thoughts takes the rest of a text for a thought, because it sees no thought end. */
  readonly restLooksThought?: boolean | undefined
  /** The answer as JSON, not as a stream, is known to begin with the prefix again. */
  readonly jsonRepeats?: boolean | undefined
}

/** The plainest reading of the format: what a server is taken for until something else is known of it. */
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
  // models that think aloud are everywhere, and nobody knows how their server was started
  thinkTags: true,
  jsonInstruction: schema =>
    schema === undefined ? 'Answer in JSON.' : `Answer in JSON that conforms to this JSON Schema: ${schema}`,
}

export function hasTools(call: Call): boolean {
  return call.tools !== undefined && Object.keys(call.tools).length > 0
}

/** The call without one setting, and a warning when it had been set. */
export function without(
  call: Call,
  setting: 'seed' | 'temperature' | 'topP' | 'stopSequences' | 'reasoning',
  { warn, reason }: { warn: Warn; reason: string },
): Call {
  if (call[setting] === undefined) return call
  warn(setting, reason)
  return { ...call, [setting]: undefined }
}
