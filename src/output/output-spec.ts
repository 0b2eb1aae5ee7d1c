import type { FinishReason, JsonSchema, OutputFormat } from '../contract.ts'
import { ProviderError } from '../errors.ts'
import { findJson } from './find-json.ts'
import { isForm } from './form.ts'
import { invalidOutput } from './invalid-output.ts'
import { jsonSchemaOf, zodAdvice } from './json-schema-of.ts'
import { nullsLeftOut } from './left-out.ts'
import { readJson } from '../parse-json.ts'
import { type Checked, isStandardSchema, type StandardSchema, validate } from './standard-schema.ts'
import { isObjectSchema, wrapSchema } from './wrap-schema.ts'

/** A form of answer, ready for every target and every attempt. */
export type OutputSpec = {
  /** What providers are asked for. */
  readonly format: OutputFormat
  /** The field in which the value stands; undefined when the answer itself is the value. */
  readonly field: string | undefined
  /** Checks one item, where they are handed out one by one. */
  readonly checkElement: ((item: unknown) => Checked | Promise<Checked>) | undefined
  /** Half a word of a choice says nothing. */
  readonly hasPartials: boolean
  /** The value in a whole text. Throws a `ProviderError` with reason `invalid-output`, with the text and what is wrong with it. */
  read(text: string, how: HowAnswered): unknown
  /** Whether a value made elsewhere, such as a default, is one of this form. */
  check(value: unknown): Checked | Promise<Checked>
}

export type HowAnswered = {
  /** The target is held to the schema as it writes: what stands around the JSON is not excused. */
  readonly isForced: boolean
  readonly finishReason: FinishReason
  readonly requestId: string | undefined
}

/** Schemas are made once and used for many calls; what is made of them is the same every time. */
const made = new WeakMap<StandardSchema, OutputSpec>()

/** @throws {TypeError} It is no schema, or one that cannot be told to a model. */
export function outputSpec(schema: unknown): OutputSpec {
  if (!isStandardSchema(schema)) {
    if (isOldZod(schema)) throw new TypeError(`generate: output is a schema of a zod that is too old. ${zodAdvice}`)
    throw new TypeError("generate: output must be a schema, for example z.object({ name: z.string() }), or choice(['a', 'b']).")
  }
  const spec = made.get(schema) ?? create(schema)
  made.set(schema, spec)
  return spec
}

/** zod before 3.24 knew no common interface. */
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
    format: { type: 'json', name: 'answer', schema: wrapped(jsonSchema, field) },
    field,
    checkElement: form?.element === undefined ? undefined : elementCheck(form.element, jsonSchema),
    hasPartials: form?.words === undefined,
    check: value => validate(schema, value),
    read(text, how) {
      // R123: what was cut at the output limit can look whole
      if (how.finishReason === 'length')
        throw invalidOutput('it was cut at the output limit. Raise maxOutputTokens', { text, how })
      if (how.finishReason === 'content-filter') throw filtered(text, how)
      const checked = validate(schema, valueIn(text, how))
      const settle = (outcome: Checked): unknown => {
        if ('value' in outcome) return outcome.value
        throw invalidOutput('it does not fit the schema', { text, how, issues: outcome.issues })
      }
      return checked instanceof Promise ? checked.then(settle) : settle(checked)
    },
  }
}

function elementCheck(element: StandardSchema, { items, $defs }: JsonSchema): OutputSpec['checkElement'] {
  const cleaned = nullsLeftOut({ ...(items as JsonSchema), $defs })
  return item => validate(element, cleaned(item))
}

/** Not `invalid-output`: that would ask the next model for what this one withheld. */
function filtered(text: string, { requestId }: HowAnswered): ProviderError {
  const message = 'The content filter of the service ended the answer before it was whole. No other target is asked.'
  return new ProviderError(message, { reason: 'content-filter', status: 200, requestId, text })
}

function wrapped(schema: JsonSchema, field: string | undefined): JsonSchema {
  return field === undefined ? schema : wrapSchema(schema, field)
}

function parse(text: string, how: HowAnswered): unknown {
  try {
    return readJson(text)
  } catch {
    const found = how.isForced ? undefined : findJson(text)
    if (found !== undefined) return found.value
    // no cause: the parser's message quotes the answer
    throw invalidOutput('it is no JSON that can be read', { text, how })
  }
}

/** A target that is only asked in words may leave the wrapping out. */
export function unwrap(value: unknown, field: string | undefined): unknown {
  if (field === undefined || typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return value
  return (value as Readonly<Record<string, unknown>>)[field]
}
