import type { ToolCall } from '../contract.ts'
import { isForm } from './form.ts'
import { loadConverter } from './json-schema-of.ts'
import { type HowAnswered, type OutputSpec, outputSpec } from './output-spec.ts'
import { isStandardSchema } from './standard-schema.ts'
import { type ToolSet, type ToolsSpec, toolsSpec } from './tool-set.ts'

/** The form that the answer of one call must have. */
export type AnswerForm = {
  readonly output: OutputSpec | undefined
  readonly tools: ToolsSpec | undefined
}

type FormInput = { readonly output?: unknown; readonly tools?: ToolSet | undefined }

/**
 * Loads what the schemas of this input need before `answerForm()` can read them; `undefined` where nothing is missing, which is all but
 * the first time. The input was not checked yet.
 */
export function loadForm(input: unknown): Promise<void> | undefined {
  if (typeof input !== 'object' || input === null) return undefined
  const { output, tools } = input as { readonly output?: unknown; readonly tools?: unknown }
  if (output === undefined && tools === undefined) return undefined
  const element = isStandardSchema(output) && isForm(output) ? output['~form'].element : undefined
  const inputs = Object.values(tools ?? {}).map(
    (tool: { readonly inputSchema?: unknown } | undefined | null) => tool?.inputSchema,
  )
  return loadConverter([output, element, ...inputs])
}

/** Undefined: a plain text will do. @throws {TypeError} A schema is none, or cannot be told to a model. */
export function answerForm(input: FormInput): AnswerForm | undefined {
  const { output, tools } = input
  if (output === undefined && tools === undefined) return undefined
  return {
    output: output === undefined ? undefined : outputSpec(output),
    tools: tools === undefined ? undefined : toolsSpec(tools),
  }
}

type Content = { readonly text: string; readonly toolCalls: readonly ToolCall[]; readonly output: unknown }

/** A whole answer with its value and the inputs of its tool calls validated; a `ProviderError` says what does not fit. */
export async function inForm<Answer extends Content>(answer: Answer, form: AnswerForm, how: HowAnswered): Promise<Answer> {
  const toolCalls = (await form.tools?.check(answer.toolCalls, how)) ?? answer.toolCalls
  // a model that asks for tools has not come to its answer yet
  const output: unknown = toolCalls.length > 0 ? undefined : await form.output?.read(answer.text, how)
  return { ...answer, toolCalls, output }
}
