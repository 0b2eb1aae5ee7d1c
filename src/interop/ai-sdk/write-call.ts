import type { Call, JsonSchema } from '../../index.ts'
import { type Turn, type Version, writePrompt } from './write-prompt.ts'

export type WrittenCall = { readonly options: { readonly [name: string]: unknown }; readonly unsupported: readonly string[] }

export type ModelTraits = {
  readonly version: Version
  /** Whether the service enforces a schema. */
  readonly isForced: boolean
  /** The key under which its provider reads `providerOptions`. */
  readonly optionsKey: string
}

/** Converts our call to the options of `doStream`. */
export function writeCall(call: Call, { version, isForced, optionsKey }: ModelTraits): WrittenCall {
  const { output, tools, toolChoice, extraBody, reasoning } = call
  const { maxOutputTokens, temperature, topP, seed, stopSequences } = call
  const prompt = writePrompt(call, version)
  const knowsReasoning = version === 'v4'
  const options = {
    prompt: output?.schema === undefined || isForced ? prompt : withSchema(prompt, output.schema),
    ...defined({ maxOutputTokens, temperature, topP, seed, stopSequences }),
    ...defined({ tools: toolsOf(tools), toolChoice: choiceOf(toolChoice), responseFormat: formatOf(output) }),
    ...(reasoning === undefined || !knowsReasoning ? undefined : { reasoning: reasoning === 'off' ? 'none' : reasoning }),
    ...(extraBody === undefined ? undefined : { providerOptions: { [optionsKey]: extraBody } }),
  }
  return { options, unsupported: reasoning === undefined || knowsReasoning ? [] : ['reasoning'] }
}

function defined(fields: { readonly [name: string]: unknown }): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function toolsOf(tools: Call['tools']): unknown {
  if (tools === undefined) return undefined
  return Object.entries(tools).map(([name, { description, inputSchema, strict }]) => ({
    ...{ type: 'function', name, inputSchema },
    ...defined({ description, strict }),
  }))
}

function choiceOf(choice: Call['toolChoice']): unknown {
  if (choice === undefined) return undefined
  return typeof choice === 'string' ? { type: choice } : { type: 'tool', toolName: choice.toolName }
}

function formatOf(output: Call['output']): unknown {
  if (output === undefined) return undefined
  const { schema, name } = output
  return { type: 'json', ...defined({ schema, name }) }
}

/** Adds the schema to the prompt, because several providers request any JSON from their service and drop the schema. */
function withSchema(prompt: readonly Turn[], schema: JsonSchema): readonly Turn[] {
  const words = `Answer with JSON only, without any text around it. It must fit this JSON Schema:\n${JSON.stringify(schema)}`
  const [first, ...rest] = prompt
  if (first === undefined || typeof first.content !== 'string') return [{ role: 'system', content: words }, ...prompt]
  return [{ role: 'system', content: `${first.content}\n\n${words}` }, ...rest]
}
