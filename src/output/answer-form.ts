import type { ToolCall } from '../contract.ts'
import { isForm } from './forms.ts'
import { loadChecks, uncheckedOf } from './json-schema.ts'
import { loadConverter } from './json-schema-of.ts'
import { type HowAnswered, type OutputSpec, outputSpec } from './output-spec.ts'
import { isStandardSchema } from './standard-schema.ts'
import { type ToolSet, type ToolsSpec, toolsSpec } from './tool-set.ts'

/** The schemas that the answer of one call must match. */
export type AnswerForm = {
  readonly output: OutputSpec | undefined
  readonly tools: ToolsSpec | undefined
  /** The parts of the schemas that are not checked, whichever target answers. */
  readonly warnings: readonly Unchecked[]
}

type Unchecked = { readonly type: 'warning'; readonly setting: string; readonly message: string }

type FormInput = { readonly output?: unknown; readonly tools?: ToolSet | undefined }

/**
 * Loads what the schemas of this input need before `answerForm()` can read them; returns `undefined` when nothing is missing, as nearly
 * always after the first call. The input has not been checked yet.
 */
export function loadForm(input: unknown): Promise<void> | undefined {
  if (typeof input !== 'object' || input === null) return undefined
  const { output, tools } = input as { readonly output?: unknown; readonly tools?: unknown }
  if (output === undefined && tools === undefined) return undefined
  const schemas = schemasOf(output, tools).map(({ schema }) => schema)
  const converter = loadConverter(schemas)
  const checks = loadChecks(schemas)
  return converter === undefined && checks === undefined ? undefined : Promise.all([converter, checks]).then(() => {})
}

/** Returns every schema of a call, and the setting that contains it. */
function schemasOf(output: unknown, tools: unknown): readonly { readonly setting: string; readonly schema: unknown }[] {
  const element = isStandardSchema(output) && isForm(output) ? output['~form'].element : undefined
  const inputs = Object.entries(
    (tools ?? {}) as { readonly [name: string]: { readonly inputSchema?: unknown } | undefined | null },
  )
  return [
    { setting: 'output', schema: output },
    { setting: 'output', schema: element },
    ...inputs.map(([name, tool]) => ({ setting: `tools.${name}.inputSchema`, schema: tool?.inputSchema })),
  ]
}

/** Undefined: any plain text is valid. @throws {TypeError} A schema is not one, or has no JSON Schema. */
export function answerForm(input: FormInput): AnswerForm | undefined {
  const { output, tools } = input
  if (output === undefined && tools === undefined) return undefined
  return {
    output: output === undefined ? undefined : outputSpec(output),
    tools: tools === undefined ? undefined : toolsSpec(tools),
    warnings: schemasOf(output, tools).flatMap(({ setting, schema }) => {
      const message = uncheckedOf(schema)
      return message === undefined ? [] : [{ type: 'warning' as const, setting, message }]
    }),
  }
}

type Content = { readonly text: string; readonly toolCalls: readonly ToolCall[]; readonly output: unknown }

/** Validates the value and the tool inputs of a complete answer; rejects with a `ProviderError` that says what does not match. */
export async function inForm<Answer extends Content>(answer: Answer, form: AnswerForm, how: HowAnswered): Promise<Answer> {
  const toolCalls = (await form.tools?.check(answer.toolCalls, how)) ?? answer.toolCalls
  // a model that calls tools has not answered yet
  const output: unknown = toolCalls.length > 0 ? undefined : await form.output?.read(answer.text, how)
  return { ...answer, toolCalls, output }
}
