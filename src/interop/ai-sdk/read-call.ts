import { type Check, checkOptions } from '../../check.ts'
import {
  type GenerateInput,
  jsonSchema,
  type JsonSchema,
  type Reasoning,
  type StandardSchema,
  type ToolSet,
} from '../../index.ts'
import { describeSchema, mayStream } from '../json-schemas.ts'
import { readPrompt } from './read-prompt.ts'
import type { CallOptions, Warning } from './types.ts'

/** Options of unbusy without an AI SDK equivalent. They are set on the model, or per call in `providerOptions.unbusy`. */
export type UnbusyCallOptions = Pick<GenerateInput, (typeof ourNames)[number]>

const ourNames = [
  ...(['metadata', 'timeout', 'holdBackMs', 'holdBackChars', 'afterFirstToken', 'continueOnLength'] as const),
  ...(['repair', 'defaultResponse', 'extraBody', 'targets', 'fallback', 'tag', 'maxCost'] as const),
] as const

/** Accepts any value here, because the values are checked with the rest of the call. */
const anyValue: Check = () => {}
const ourChecks = Object.fromEntries(ourNames.map(name => [name, anyValue]))

export function checkOurOptions(options: unknown, name: string): UnbusyCallOptions {
  checkOptions(options, ourChecks, name)
  return options as UnbusyCallOptions
}

export type ReadCall = {
  readonly input: GenerateInput
  readonly warnings: readonly Warning[]
  /** Set for a typed answer. `mayStream`: the text of the model is already the JSON that the reader expects. */
  readonly typed: { readonly mayStream: boolean } | undefined
}

/** Converts a call of the AI SDK to our own input. @throws {TypeError} The call contains something that would be lost. */
export function readCall(options: CallOptions, defaults: UnbusyCallOptions): ReadCall {
  const given = options.providerOptions?.['unbusy']
  const ours = given === undefined ? {} : checkOurOptions(given, 'providerOptions.unbusy')
  const { maxOutputTokens, temperature, topP, stopSequences, seed, abortSignal: signal } = options
  const warnings = unsupportedIn(options)
  const schema = schemaOf(options.responseFormat)
  const tools = toolsOf(options.tools, warnings)
  const input: GenerateInput = {
    ...defaults,
    ...ours,
    ...{ messages: readPrompt(options.prompt), maxOutputTokens, temperature, topP, signal, tools },
    // the AI SDK also accepts negative seeds and empty stop sequences
    seed: seed === undefined ? undefined : Math.abs(seed),
    stopSequences: stopsOf(stopSequences),
    output: schema === undefined ? undefined : jsonSchema(schema),
    toolChoice: tools === undefined ? undefined : choiceOf(options.toolChoice),
    reasoning: reasoningOf(options.reasoning, warnings),
  }
  return { input, warnings, typed: schema === undefined ? undefined : { mayStream: mayStream(schema) } }
}

/** Returns a warning for everything that is not passed on. `ai` always sends a user agent, which needs none. */
function unsupportedIn(options: CallOptions): Warning[] {
  const unsupported = (feature: string, details?: string): Warning => ({
    type: 'unsupported',
    feature,
    ...(details === undefined ? undefined : { details }),
  })
  const settings = ['topK', 'presencePenalty', 'frequencyPenalty'] as const
  const isGiven = (name: (typeof settings)[number]): boolean => options[name] !== undefined
  const services = Object.keys(options.providerOptions ?? {}).filter(name => name !== 'unbusy')
  const headers = Object.entries(options.headers ?? {}).filter(
    ([name, value]) => value !== undefined && !/^user-agent$/i.test(name),
  )
  return [
    ...settings.filter(isGiven).map(name => unsupported(name)),
    ...services.map(name => unsupported(`providerOptions.${name}`, ofOneService)),
    ...(headers.length === 0 ? [] : [unsupported('headers', ofTargets)]),
  ]
}

const ofOneService =
  'Any service of the chain may answer. Write providerOptions.unbusy.extraBody for all of them, or the option extraBody of a target for one.'
const ofTargets = 'Headers belong to a target. Write them in the option headers of the target.'

function stopsOf(given: readonly string[] | undefined): readonly string[] | undefined {
  const stops = given?.filter(text => text !== '') ?? []
  return stops.length === 0 ? undefined : stops
}

/** The AI SDK takes its JSON Schema type from a package that is not always installed. */
type WithSchema = { readonly inputSchema: object }
type Described = { readonly schema?: object; readonly name?: string; readonly description?: string }

function schemaOf(format: CallOptions['responseFormat']): JsonSchema | undefined {
  if (format?.type !== 'json') return undefined
  const described: Described = format
  const { schema = {}, name: title, description } = described
  return describeSchema(plainSchema(schema), { title, description })
}

/** Copies the schema to drop a hidden field: with it, zod's JSON Schema would also count as a zod schema. */
function plainSchema(schema: object): JsonSchema {
  return { ...schema }
}

function toolsOf(tools: CallOptions['tools'], warnings: Warning[]): ToolSet | undefined {
  const read = (tools ?? []).flatMap((tool): [string, ToolSet[string]][] => {
    if (tool.type === 'function') {
      const { name, description, strict } = tool
      const described: WithSchema = tool
      return [[name, { description, strict, inputSchema: jsonSchema(plainSchema(described.inputSchema)) as StandardSchema }]]
    }
    warnings.push({
      type: 'unsupported',
      feature: `tool ${tool.id}`,
      details: 'Only one service has this tool, so it was not sent to the targets.',
    })
    return []
  })
  return read.length === 0 ? undefined : Object.fromEntries(read)
}

function choiceOf(choice: CallOptions['toolChoice']): GenerateInput['toolChoice'] {
  if (choice === undefined) return undefined
  return choice.type === 'tool' ? { toolName: choice.toolName } : choice.type
}

const efforts: Readonly<Record<NonNullable<CallOptions['reasoning']>, Reasoning | undefined>> = {
  ...{
    'provider-default': undefined,
    none: 'off',
    minimal: 'low',
    low: 'low',
    medium: 'high',
    high: 'high',
    xhigh: 'max',
    max: 'max',
  },
}

function reasoningOf(effort: CallOptions['reasoning'], warnings: Warning[]): Reasoning | undefined {
  if (effort === undefined) return undefined
  const ours = efforts[effort]
  if (effort === 'minimal' || effort === 'medium' || effort === 'xhigh')
    warnings.push({ type: 'compatibility', feature: 'reasoning', details: `'${effort}' was sent as '${ours}'.` })
  return ours
}
