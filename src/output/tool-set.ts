import type { JsonSchema, ProviderMetadata, Tool, ToolCall } from '../contract.ts'
import { shortName } from '../errors.ts'
import { invalidOutput } from './invalid-output.ts'
import { jsonSchemaOf } from './json-schema-of.ts'
import { nullsLeftOut } from './left-out.ts'
import type { HowAnswered } from './output-spec.ts'
import { type InferOutput, isStandardSchema, type StandardSchema, validate } from './standard-schema.ts'

/** A tool as callers write it. Its `inputSchema` is a schema, or plain JSON Schema, against which inputs are not checked. */
export type ToolDefinition = {
  /** Tells the model what the tool does and when to call it. */
  readonly description?: string | undefined
  /** The schema of the input. A plain object is sent as JSON Schema, and inputs are not checked against it. */
  readonly inputSchema: StandardSchema | JsonSchema
  /** Holds the model to the schema, on targets that support it. @default the server's own */
  readonly strict?: boolean | undefined
}

/** Tools by their names. */
export type ToolSet = { readonly [toolName: string]: ToolDefinition }

/** The input of a tool after validation. */
export type ToolInput<Definition> = Definition extends { readonly inputSchema: infer Schema }
  ? Schema extends StandardSchema
    ? InferOutput<Schema>
    : unknown
  : never

/** A call of one of these tools. `toolName` determines the type of `input`. */
export type ToolCallOf<Tools> = [Tools] extends [ToolSet]
  ? {
      readonly [Name in keyof Tools & string]: {
        readonly toolCallId: string
        readonly toolName: Name
        readonly input: ToolInput<Tools[Name]>
        readonly providerMetadata?: ProviderMetadata | undefined
      }
    }[keyof Tools & string]
  : ToolCall

/** Tools, prepared for every target and every attempt. */
export type ToolsSpec = {
  readonly tools: { readonly [toolName: string]: Tool }
  /** Resolves with the calls and their validated inputs. Rejects with a `ProviderError` with reason `invalid-output`. */
  check(calls: readonly ToolCall[], how: HowAnswered): Promise<readonly ToolCall[]>
}

const made = new WeakMap<object, JsonSchema>()

/** @throws {TypeError} A schema has no JSON Schema. */
export function toolsSpec(definitions: ToolSet): ToolsSpec {
  const tools = Object.entries(definitions).map(([name, { inputSchema, ...rest }]): [string, Tool] => {
    if (!isStandardSchema(inputSchema)) return [name, { ...rest, inputSchema }]
    const schema = made.get(inputSchema) ?? jsonSchemaOf(inputSchema, `generate: tools.${name}.inputSchema`)
    made.set(inputSchema, schema)
    return [name, { ...rest, inputSchema: schema }]
  })
  const known = Object.fromEntries(tools)
  const cleaned = ({ toolName, input }: ToolCall): unknown =>
    Object.hasOwn(known, toolName) ? nullsLeftOut(known[toolName]?.inputSchema ?? {})(input) : input
  return {
    tools: known,
    check(calls, how) {
      const asked = { how, toolCalls: calls }
      return Promise.all(calls.map(call => checkCall({ ...call, input: cleaned(call) }, definitions, asked)))
    },
  }
}

type Answered = { readonly how: HowAnswered; readonly toolCalls: readonly ToolCall[] }

/** A tool never gets an input that does not match its schema (R126). */
async function checkCall(call: ToolCall, definitions: ToolSet, answered: Answered): Promise<ToolCall> {
  const { toolCallId, toolName, input } = call
  const what = { ...answered, toolCallId, text: JSON.stringify({ toolName, input }) }
  const definition = Object.hasOwn(definitions, toolName) ? definitions[toolName] : undefined
  if (definition === undefined) throw invalidOutput('it calls a tool that does not exist', what)
  if (!isStandardSchema(definition.inputSchema)) return call
  const checked = await validate(definition.inputSchema, input)
  if ('value' in checked) return { ...call, input: checked.value }
  const name = shortName(toolName)
  const called = name === '' ? 'a tool call' : `the tool '${name}'`
  throw invalidOutput(`the input of ${called} does not match its schema`, { ...what, issues: checked.issues })
}
