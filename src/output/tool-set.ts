import type { JsonSchema, Tool, ToolCall } from '../contract.ts'
import { shortName } from '../errors.ts'
import { invalidOutput } from './invalid-output.ts'
import { jsonSchemaOf } from './json-schema-of.ts'
import { nullsLeftOut } from './left-out.ts'
import type { HowAnswered } from './output-spec.ts'
import { type InferOutput, isStandardSchema, type StandardSchema, validate } from './standard-schema.ts'

/** A tool as callers write it: its input is a schema, or JSON Schema as it is, which the input is not checked against. */
export type ToolDefinition = {
  readonly description?: string | undefined
  readonly inputSchema: StandardSchema | JsonSchema
  /** Holds the model to the schema, on targets that can. @default the server's own */
  readonly strict?: boolean | undefined
}

export type ToolSet = { readonly [toolName: string]: ToolDefinition }

/** The input of a tool, as its schema lets it through. */
export type ToolInput<Definition> = Definition extends { readonly inputSchema: infer Schema }
  ? Schema extends StandardSchema
    ? InferOutput<Schema>
    : unknown
  : never

/** A call of one of these tools: which, tells what its input is. */
export type ToolCallOf<Tools> = [Tools] extends [ToolSet]
  ? {
      readonly [Name in keyof Tools & string]: {
        readonly toolCallId: string
        readonly toolName: Name
        readonly input: ToolInput<Tools[Name]>
      }
    }[keyof Tools & string]
  : ToolCall

/** Tools, ready for every target and every attempt. */
export type ToolsSpec = {
  readonly tools: { readonly [toolName: string]: Tool }
  /** The calls with their inputs as the schemas let them through. Throws a `ProviderError` with reason `invalid-output`. */
  check(calls: readonly ToolCall[], how: HowAnswered): Promise<readonly ToolCall[]>
}

const made = new WeakMap<object, JsonSchema>()

/** @throws {TypeError} A schema cannot be told to a model. */
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

/** Nothing is handed out that the tool could not work with (R126). */
async function checkCall(call: ToolCall, definitions: ToolSet, answered: Answered): Promise<ToolCall> {
  const { toolCallId, toolName, input } = call
  const what = { ...answered, toolCallId, text: JSON.stringify({ toolName, input }) }
  const definition = Object.hasOwn(definitions, toolName) ? definitions[toolName] : undefined
  if (definition === undefined) throw invalidOutput('it calls a tool that there is not', what)
  if (!isStandardSchema(definition.inputSchema)) return call
  const checked = await validate(definition.inputSchema, input)
  if ('value' in checked) return { ...call, input: checked.value }
  const name = shortName(toolName)
  const called = name === '' ? 'a tool call' : `the tool '${name}'`
  throw invalidOutput(`the input of ${called} does not fit its schema`, { ...what, issues: checked.issues })
}
