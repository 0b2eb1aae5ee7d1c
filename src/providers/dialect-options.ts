import type { Capabilities } from '../contract.ts'
import type { Dialect } from './chat-completions/dialect.ts'
import type { FailureRule } from './chat-completions/failure.ts'
import type { ReasoningStyle } from './chat-completions/reasoning.ts'
import { reasoningSwitches } from './chat-completions/reasoning.ts'
import { callback, count, flag, group, list, oneOf, writableRecord } from '../check.ts'

/** How a server's dialect differs from plain chat completions. All optional: what is not said is taken as plain. */
export type DialectOptions = {
  /** What the server and its model can do. Undefined = not known, and then it is tried. */
  readonly capabilities?: Capabilities | undefined
  /** How `reasoning: 'off' | 'low' | 'high' | 'max'` is written. @default none: the option gives a warning */
  readonly reasoningStyle?: ReasoningStyle | undefined
  /** What becomes of the reasoning of earlier turns. @default 'strip' */
  readonly reasoningHistory?: Dialect['reasoningHistory'] | undefined
  /** Its name in the turns we send. @default 'reasoning_content' */
  readonly reasoningField?: Dialect['reasoningField'] | undefined
  /** @default 'max_tokens' */
  readonly tokenLimit?: Dialect['tokenLimit'] | undefined
  /** The role of `system` and `developer` messages. @default 'system' */
  readonly instructionRole?: 'system' | 'developer' | undefined
  /**
   * `<think>` at the beginning of the content is reasoning. `opened`: the model's chat template opens the tag itself, as R1's does, so
   * the content begins with a thought and only `</think>` comes. @default true
   */
  readonly thinkTags?: boolean | 'opened' | undefined
  /**
   * The ids of tool calls that it takes; a conversation may hold those of other services. `any`: every text. `short`: at most 40
   * characters, as OpenAI. `plain`: at most 40 letters, digits, `_` and `-`. `nine`: exactly nine letters and digits, as Mistral.
   * @default by its address: `nine` at mistral.ai, `short` at openai.com, azure.com and github.ai, else `any`
   */
  readonly toolCallIds?: Dialect['toolCallIds']
  /** Ask for the usage of a stream with `stream_options`. @default true */
  readonly streamUsage?: boolean | undefined
  /** Fields that make the server go on from the last message. Sets the capability `prefix`. @default none */
  readonly prefix?:
    | { readonly message?: Readonly<Record<string, unknown>>; readonly body?: Readonly<Record<string, unknown>> }
    | undefined
  /** Failures in this server's own words, looked at before the common rules. */
  readonly failureRules?: readonly FailureRule[] | undefined
  /** The sentence that asks for JSON where the server cannot be held to a schema. */
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

/** A dialect with what a person, or the table of hosts, says of it. What is `undefined` stays as it was. */
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

/** Those that a dialect has under the same name. */
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
