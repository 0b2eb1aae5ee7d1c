import type { JsonSchema } from '../contract.ts'
import { portableSchema } from './portable-schema.ts'
import type { StandardSchema } from './standard-schema.ts'
import type { zodJsonSchema } from './zod-json-schema.ts'

const target = 'draft-2020-12'

type Convert = (options: { readonly target: string }) => JsonSchema

/** What a model must write for this schema to take it: its input, before defaults and transforms. */
export function jsonSchemaOf(schema: StandardSchema, name: string): JsonSchema {
  const convert = converterOf(schema)
  if (convert === undefined) throw new TypeError(`${name} is a schema that offers no JSON Schema.${adviceFor(schema)}`)
  const jsonSchema = converted(convert, name)
  try {
    JSON.stringify(jsonSchema)
  } catch (cause) {
    const cure = 'Write a schema whose JSON Schema is plain data; what is recursive stands under $defs.'
    throw new TypeError(`${name} cannot be sent as JSON: its JSON Schema refers to itself or holds a BigInt. ${cure}`, { cause })
  }
  return portableSchema(jsonSchema)
}

function converted(convert: Convert, name: string): JsonSchema {
  try {
    const { $schema: _, ...jsonSchema } = convert({ target })
    return jsonSchema
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`${name} holds a type that JSON Schema has no word for: ${detail}`, { cause })
  }
}

function converterOf(schema: StandardSchema): Convert | undefined {
  const own = ownConverter(schema)
  if (own !== undefined || zodConverter === undefined || !isZod(schema)) return own
  const convert = zodConverter
  return options => convert(schema, options.target)
}

function ownConverter(schema: StandardSchema): Convert | undefined {
  const standard = schema['~standard'] as { readonly jsonSchema?: { readonly input?: Convert } }
  return standard.jsonSchema?.input
}

let zodConverter: typeof zodJsonSchema | undefined

/**
 * Loads what `jsonSchemaOf()` needs for one of these schemas; `undefined` where all is there. It is zod's own converter, for schemas of
 * zod 4.0 and 4.1 and of zod/mini, which cannot convert themselves. It is loaded by `import()`, which bundlers and test runners know.
 */
export function loadConverter(schemas: readonly unknown[]): Promise<void> | undefined {
  if (zodConverter !== undefined || !schemas.some(schema => isZod(schema) && ownConverter(schema) === undefined)) return undefined
  return import('./zod-json-schema.ts').then(
    loaded => void (zodConverter = loaded.zodJsonSchema),
    (cause: unknown) => {
      throw new Error(
        'The package zod cannot be loaded. It is needed for schemas of zod/mini and of zod before 4.2: install it.',
        {
          cause,
        },
      )
    },
  )
}

function isZod(schema: unknown): schema is StandardSchema {
  return typeof schema === 'object' && schema !== null && '_zod' in schema && '~standard' in schema
}

export const zodAdvice = "zod 3.25 and later hold zod 4 too: import { z } from 'zod/v4'."

function adviceFor(schema: StandardSchema): string {
  const { vendor } = schema['~standard']
  if (vendor === 'valibot') return " Write toStandardJsonSchema(schema), from '@valibot/to-json-schema'."
  if (vendor === 'zod') return ` It is one of zod 3. ${zodAdvice}`
  return ' zod 4, arktype, and valibot with @valibot/to-json-schema do.'
}
