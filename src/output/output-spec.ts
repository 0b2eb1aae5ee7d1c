import { isRecord } from '../check.ts'
import type { FinishReason, JsonSchema, OutputFormat } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { findJson } from './find-json.ts'
import { isForm } from './forms.ts'
import { invalidOutput } from './invalid-output.ts'
import { isObjectSchema, jsonSchemaOf, wrapSchema, zodAdvice } from './json-schema-of.ts'
import { nullsLeftOut } from './left-out.ts'
import { jsonWork } from '../json-cost.ts'
import { readJson } from '../parse-json.ts'
import { type Checked, isStandardSchema, type StandardSchema, validate } from './standard-schema.ts'

/** A schema of the answer, prepared for every target and every attempt. */
export type OutputSpec = {
  /** The format that providers request. */
  readonly format: OutputFormat
  /** The field that contains the value; undefined if the answer itself is the value. */
  readonly field: string | undefined
  /** Checks one item, if a stream reports items one by one. */
  readonly checkElement: ((item: unknown) => Checked | Promise<Checked>) | undefined
  /** False for `choice()`: half a word means nothing. */
  readonly hasPartials: boolean
  /** Returns the value in a complete text. Throws a `ProviderError` with reason `invalid-output`, the text and its issues. */
  read(text: string, how: HowAnswered): unknown
  /** Checks a value that no model wrote, such as a default response. */
  check(value: unknown): Checked | Promise<Checked>
}

export type HowAnswered = {
  /** The target enforces the schema during generation, so text around the JSON is not tolerated. */
  readonly isForced: boolean
  readonly finishReason: FinishReason
  readonly requestId: string | undefined
}

/** Cached, because the same schema is used for many calls. */
const made = new WeakMap<StandardSchema, OutputSpec>()

/** @throws {TypeError} The value is not a schema, or the schema has no JSON Schema. */
export function outputSpec(schema: unknown): OutputSpec {
  if (!isStandardSchema(schema)) {
    if (isOldZod(schema)) throw new TypeError(`generate: output is a schema of a zod version that is too old. ${zodAdvice}`)
    if (isRecord(schema)) throw new TypeError(`generate: output is a plain object. ${jsonSchemaAdvice}`)
    throw new TypeError("generate: output must be a schema, for example z.object({ name: z.string() }), or choice(['a', 'b']).")
  }
  const spec = made.get(schema) ?? create(schema)
  made.set(schema, spec)
  return spec
}

const jsonSchemaAdvice = 'Write jsonSchema({ ... }) around JSON Schema, or pass a schema like z.object({ name: z.string() }).'

/** zod before 3.24 does not implement Standard Schema. */
function isOldZod(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && '_def' in schema && 'safeParse' in schema
}

function create(schema: StandardSchema): OutputSpec {
  const form = isForm(schema) ? schema['~form'] : undefined
  const jsonSchema = form?.jsonSchema('generate: output') ?? jsonSchemaOf(schema, 'generate: output')
  const field = form?.field ?? (isObjectSchema(jsonSchema) ? undefined : 'value')
  const words = form?.words ?? []
  const cleaned = nullsLeftOut(jsonSchema)
  const valueIn = (text: string, how: HowAnswered): unknown => {
    const trimmed = text.trim()
    return words.includes(trimmed) ? trimmed : cleaned(unwrap(parse(trimmed, how), field))
  }
  return {
    format: { type: 'json', name: nameOf(jsonSchema), schema: wrapped(jsonSchema, field) },
    field,
    checkElement: form?.element === undefined ? undefined : elementCheck(form.element, jsonSchema),
    hasPartials: form?.words === undefined,
    check: value => validate(schema, value),
    read(text, how) {
      // R123: an answer that was cut at the output limit can look complete
      if (how.finishReason === 'length')
        throw invalidOutput('it was cut off at the output limit. Raise maxOutputTokens', { text, how })
      if (how.finishReason === 'content-filter') throw filtered(text, how)
      const checked = validate(schema, valueIn(text, how))
      const settle = (outcome: Checked): unknown => {
        if ('value' in outcome) return outcome.value
        throw invalidOutput('it does not match the schema', { text, how, issues: outcome.issues })
      }
      return checked instanceof Promise ? checked.then(settle) : settle(checked)
    },
  }
}

/** Services show the name to the model. They allow letters, digits, underscores and hyphens. */
function nameOf({ title }: JsonSchema): string {
  return typeof title === 'string' && /^[\w-]{1,64}$/.test(title) ? title : 'answer'
}

function elementCheck(element: StandardSchema, { items, $defs }: JsonSchema): OutputSpec['checkElement'] {
  const cleaned = nullsLeftOut({ ...(items as JsonSchema), $defs })
  return item => validate(element, cleaned(item))
}

/** Not `invalid-output`: with that reason the call would ask the next model for what this one withheld. */
function filtered(text: string, { requestId }: HowAnswered): ProviderError {
  const message = 'The content filter of the service ended the answer before it was complete. No other target is asked.'
  return new ProviderError(message, { reason: 'content-filter', status: 200, requestId, text })
}

function wrapped(schema: JsonSchema, field: string | undefined): JsonSchema {
  return field === undefined ? schema : wrapSchema(schema, field)
}

function parse(text: string, how: HowAnswered): unknown {
  const work = jsonWork()
  try {
    return readJson(text, work)
  } catch {
    const found = how.isForced ? undefined : findJson(text, work)
    if (found !== undefined) return found.value
    // no cause: the parser's message would quote the answer
    throw invalidOutput('it is not valid JSON', { text, how })
  }
}

/** A target that gets the schema only in its prompt may leave out the wrapping object. */
export function unwrap(value: unknown, field: string | undefined): unknown {
  if (field === undefined || typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return value
  return (value as Readonly<Record<string, unknown>>)[field]
}
