import { createRequire } from 'node:module'

import type { JsonSchema } from '../contract.ts'
import { portableSchema } from './portable-schema.ts'
import type { StandardSchema } from './standard-schema.ts'

type Convert = (options: { readonly target: string }) => JsonSchema

/** What a model must write for this schema to take it: its input, before defaults and transforms. */
export function jsonSchemaOf(schema: StandardSchema, name: string): JsonSchema {
  const convert = converterOf(schema)
  if (convert === undefined) throw new TypeError(`${name} is a schema that offers no JSON Schema.${adviceFor(schema)}`)
  try {
    const { $schema: _, ...jsonSchema } = convert({ target: 'draft-2020-12' })
    return portableSchema(jsonSchema)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`${name} holds a type that JSON Schema has no word for: ${detail}`, { cause })
  }
}

function converterOf(schema: StandardSchema): Convert | undefined {
  const standard = schema['~standard'] as { readonly jsonSchema?: { readonly input?: Convert } }
  return standard.jsonSchema?.input ?? ('_zod' in schema ? options => zodConvert(schema, options) : undefined)
}

/** For a zod from before it offered JSON Schema by itself. Loaded only then: it would triple the time of the import. */
function zodConvert(schema: StandardSchema, { target }: { readonly target: string }): JsonSchema {
  const { toJSONSchema } = createRequire(import.meta.url)('zod') as {
    toJSONSchema: (schema: StandardSchema, options: { readonly target: string; readonly io: 'input' }) => JsonSchema
  }
  return toJSONSchema(schema, { target, io: 'input' })
}

function adviceFor(schema: StandardSchema): string {
  const { vendor } = schema['~standard']
  if (vendor === 'valibot') return " Write toStandardJsonSchema(schema), from '@valibot/to-json-schema'."
  if (vendor === 'zod') return " zod can from version 4: import { z } from 'zod' of 4.0 or later."
  return ' zod 4, arktype, and valibot with @valibot/to-json-schema do.'
}
