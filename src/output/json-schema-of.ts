import type { JsonSchema } from '../contract.ts'
import type { StandardSchema } from './standard-schema.ts'
import type { zodJsonSchema } from './zod-json-schema.ts'

const target = 'draft-2020-12'

type Convert = (options: { readonly target: string }) => JsonSchema

/** Returns the JSON Schema of a schema's input, before defaults and transforms: that is what the model must write. */
export function jsonSchemaOf(schema: StandardSchema, name: string): JsonSchema {
  const convert = converterOf(schema)
  if (convert === undefined)
    throw new TypeError(`${name} is a schema that cannot be converted to JSON Schema.${adviceFor(schema)}`)
  const jsonSchema = converted(convert, name)
  try {
    JSON.stringify(jsonSchema)
  } catch (cause) {
    const cure = 'Write a schema whose JSON Schema is plain data, with recursive parts under $defs.'
    throw new TypeError(`${name} cannot be sent as JSON: its JSON Schema refers to itself or contains a BigInt. ${cure}`, {
      cause,
    })
  }
  return portableSchema(jsonSchema)
}

function converted(convert: Convert, name: string): JsonSchema {
  try {
    const { $schema: _, ...jsonSchema } = convert({ target })
    return jsonSchema
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`${name} contains a type that JSON Schema cannot express: ${detail}`, { cause })
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
 * Loads what `jsonSchemaOf()` needs for one of these schemas; returns `undefined` when nothing is missing. That is zod's own converter, for
 * schemas of zod 4.0, zod 4.1 and zod/mini, which cannot convert themselves. `import()` works with bundlers and test runners.
 */
export function loadConverter(schemas: readonly unknown[]): Promise<void> | undefined {
  if (zodConverter !== undefined || !schemas.some(schema => isZod(schema) && ownConverter(schema) === undefined)) return undefined
  return import('./zod-json-schema.ts').then(
    loaded => void (zodConverter = loaded.zodJsonSchema),
    (cause: unknown) => {
      throw new Error(
        'The package zod cannot be loaded. It is needed for schemas of zod/mini and of zod before 4.2. Install it: npm install zod',
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

export const zodAdvice = "zod 3.25 and later contain zod 4 too: import { z } from 'zod/v4'."

function adviceFor(schema: StandardSchema): string {
  const { vendor } = schema['~standard']
  if (vendor === 'valibot') return " Write toStandardJsonSchema(schema), from '@valibot/to-json-schema'."
  if (vendor === 'zod') return ` It is one of zod 3. ${zodAdvice}`
  return ' Use zod 4, arktype, or valibot with @valibot/to-json-schema.'
}

/**
 * Returns an equivalent schema that more servers accept. llama.cpp answers 400 to a reference to the whole schema and to `items: false`
 * after a tuple; both can be expressed differently.
 */
function portableSchema(schema: JsonSchema): JsonSchema {
  const closed = map(schema, closeTuple)
  if (!JSON.stringify(closed).includes('"$ref":"#"')) return closed
  const { $defs, ...itself } = map(closed, one => (one['$ref'] === '#' ? { ...one, $ref: '#/$defs/__itself' } : one))
  return { ...itself, $defs: { ...($defs as object | undefined), __itself: itself } }
}

function closeTuple(schema: JsonSchema): JsonSchema {
  const { items, ...rest } = schema
  const { prefixItems, maxItems = Infinity } = schema
  if (items !== false || !Array.isArray(prefixItems)) return schema
  return { ...rest, maxItems: Math.min(prefixItems.length, Number(maxItems)) }
}

function map(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
  const inside = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inside)
    return typeof value === 'object' && value !== null ? map(value as JsonSchema, change) : value
  }
  return change(Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, inside(value)])))
}

/** Every server supports an object at the root of a schema; not every server supports a union there, even of objects. */
export function isObjectSchema(schema: JsonSchema): boolean {
  return schema['type'] === 'object'
}

/** Returns an object schema with this schema as its only field. Definitions move to the root, where references point. */
export function wrapSchema(schema: JsonSchema, field: string): JsonSchema {
  const { $defs, ...inner } = schema
  return {
    type: 'object',
    properties: { [field]: inner },
    required: [field],
    additionalProperties: false,
    ...($defs === undefined ? undefined : { $defs }),
  }
}
