import type { Capabilities } from '../contract.ts'
import type { Dialect } from './chat-completions/dialect.ts'
import type { FailureRule } from './chat-failure/failure.ts'
import { type ReasoningStyle, reasoningSwitches } from './chat-request/reasoning.ts'
import { callback, count, flag, group, list, oneOf, writableRecord } from '../check.ts'

/** How a server's dialect differs from plain chat completions. All fields are optional; the default is the plain behaviour. */
export type DialectOptions = {
  /** What the server and its model can do. Undefined: not known, so it is tried. */
  readonly capabilities?: Capabilities | undefined
  /** How `reasoning: 'off' | 'low' | 'high' | 'max'` is sent. @default none: the option gives a warning */
  readonly reasoningStyle?: ReasoningStyle | undefined
  /**
   * Which reasoning of earlier turns is sent. `strip`: none. `keep`: all there is. `required`: the field in every turn, even if it is empty.
   * `required-with-tools`: the same, but only in calls that reason and have tools. @default 'strip'
   */
  readonly reasoningHistory?: Dialect['reasoningHistory'] | undefined
  /** The name of the reasoning field in the turns that are sent. @default 'reasoning_content' */
  readonly reasoningField?: Dialect['reasoningField'] | undefined
  /** The field that carries `maxOutputTokens`. @default 'max_tokens' */
  readonly tokenLimit?: Dialect['tokenLimit'] | undefined
  /** The role of `system` and `developer` messages. @default 'system' */
  readonly instructionRole?: 'system' | 'developer' | undefined
  /**
   * Treat `<think>` at the beginning of the content as reasoning. `opened`: the model's chat template opens the tag itself, as
   * R1's does, so the content begins with a thought and only `</think>` appears. @default true
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /**
   * The tool call ids that the server accepts; a conversation may contain those of other services. `any`: any text. `short`: at
   * most 40 characters, as OpenAI. `plain`: at most 40 letters, digits, `_` and `-`. `nine`: exactly nine letters and digits, as
   * Mistral.
   * @default by its address: `nine` at mistral.ai, `short` at openai.com, azure.com and github.ai, else `any`
   */
  readonly toolCallIds?: Dialect['toolCallIds']
  /** Request the usage of a stream with `stream_options`. @default true */
  readonly streamUsage?: boolean | undefined
  /**
   * Fields that make the server continue the last message: `message` is added to that message, `body` to the request. Sets the capability
   * `prefix`. @default none
   */
  readonly prefix?:
    | { readonly message?: Readonly<Record<string, unknown>>; readonly body?: Readonly<Record<string, unknown>> }
    | undefined
  /** Failures in this server's own words, checked before the common rules. @default none */
  readonly failureRules?: readonly FailureRule[] | undefined
  /**
   * Returns the sentence that asks for JSON when the server cannot enforce a schema. Its argument is the JSON Schema as text, or `undefined`.
   * @default 'Answer in JSON that conforms to this JSON Schema: ...'
   */
  readonly jsonInstruction?: Dialect['jsonInstruction'] | undefined
}

export const dialectChecks = {
  capabilities: group({
    stream: flag,
    tools: flag,
    images: flag,
    reasoning: flag,
    hidesReasoning: flag,
    output: oneOf('json-schema', 'strict-tool', 'json-object', 'prompt'),
    prefix: flag,
    contextTokens: count,
  }),
  reasoningStyle: oneOf(...Object.keys(reasoningSwitches)),
  reasoningHistory: oneOf('strip', 'keep', 'required-with-tools', 'required'),
  reasoningField: oneOf('reasoning_content', 'reasoning'),
  tokenLimit: oneOf('max_tokens', 'max_completion_tokens'),
  instructionRole: oneOf('system', 'developer'),
  thinkTags: (value: unknown, name: string) => {
    if (typeof value !== 'boolean' && value !== 'opened') throw new TypeError(`${name} must be true, false or 'opened'.`)
  },
  toolCallIds: oneOf('any', 'short', 'plain', 'nine'),
  streamUsage: flag,
  prefix: group({ message: writableRecord, body: writableRecord }),
  failureRules: list,
  jsonInstruction: callback,
}

/** Applies the options of a caller, or of the table of hosts, to a dialect. Fields that are `undefined` keep their value. */
export function withDialectOptions(dialect: Dialect, options: DialectOptions): Dialect {
  const { capabilities, reasoningStyle, prefix } = options
  const said = Object.fromEntries(
    fields.flatMap(name => (options[name] === undefined ? [] : [[name, options[name]]])),
  ) as Partial<Dialect>
  return {
    ...dialect,
    ...said,
    capabilities: { ...dialect.capabilities, ...(prefix === undefined ? undefined : { prefix: true }), ...capabilities },
    reasoning: reasoningStyle === undefined ? dialect.reasoning : reasoningSwitches[reasoningStyle],
    prefix: prefix === undefined ? dialect.prefix : { message: prefix.message ?? {}, body: prefix.body ?? {} },
  }
}

/** The options that have the same name in a dialect. */
const fields = [
  'reasoningHistory',
  'reasoningField',
  'tokenLimit',
  'instructionRole',
  'thinkTags',
  'toolCallIds',
  'streamUsage',
  'failureRules',
  'jsonInstruction',
] as const satisfies readonly (keyof Dialect & keyof DialectOptions)[]
