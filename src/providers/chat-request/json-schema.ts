import type { JsonSchema } from '../../contract.ts'

/** A schema to send, and whether the server can enforce it strictly. */
export type Enforceable = { readonly schema: JsonSchema; readonly strict: boolean }

/**
 * Makes a schema enforceable if that does not change its meaning: `strict` requires every property of every object and allows no
 * others. A schema with an optional property is sent unchanged and not strict, and we still validate the answer.
 */
export function enforceable(schema: JsonSchema): Enforceable {
  const { $schema: _, ...plain } = schema
  return canBeStrict(plain) ? { schema: closed(plain), strict: true } : { schema: plain, strict: false }
}

/** DeepSeek's strict tools reject these. Without them the schema only allows more, and our own validation still enforces them. */
const unknownToDeepSeek = new Set(['minLength', 'maxLength', 'minItems', 'maxItems'])

export function deepseekSchema(schema: JsonSchema): Enforceable {
  const enforced = enforceable(schema)
  if (!enforced.strict) return enforced
  const known = (one: JsonSchema) =>
    Object.fromEntries(Object.entries(one).filter(([keyword]) => !unknownToDeepSeek.has(keyword)))
  return { schema: mapSchemas(enforced.schema, known), strict: true }
}

function canBeStrict(schema: JsonSchema): boolean {
  return subschemas(schema).every(one => {
    if (!isObjectSchema(one)) return true
    const required = Array.isArray(one['required']) ? one['required'] : []
    return closes(one) && Object.keys(propertiesOf(one)).every(name => required.includes(name))
  })
}

/** Whether the object allows only its named properties. A map with arbitrary keys cannot be closed. */
export function closes(schema: JsonSchema): boolean {
  return schema['properties'] !== undefined && (schema['additionalProperties'] ?? false) === false
}

function closed(schema: JsonSchema): JsonSchema {
  return mapSchemas(schema, one => (isObjectSchema(one) ? { ...one, additionalProperties: false } : one))
}

export function isObjectSchema(schema: JsonSchema): boolean {
  return schema['type'] === 'object' || schema['properties'] !== undefined
}

export function propertiesOf(schema: JsonSchema): { readonly [name: string]: JsonSchema } {
  return isSchema(schema['properties']) ? (schema['properties'] as { readonly [name: string]: JsonSchema }) : {}
}

// ---- walking a schema: only keywords that hold schemas are followed, so that a property named `type` is not mistaken for a
// keyword

const holdsOne = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames', 'if', 'then', 'else'])
const holdsList = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems'])
const holdsNamed = new Set(['properties', '$defs', 'definitions', 'patternProperties'])

export function subschemas(schema: JsonSchema): JsonSchema[] {
  const found: JsonSchema[] = []
  mapSchemas(schema, one => {
    found.push(one)
    return one
  })
  return found
}

export function mapSchemas(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
  const inside = (value: unknown): unknown => (isSchema(value) ? mapSchemas(value, change) : value)
  const entries = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (holdsOne.has(keyword)) return [keyword, inside(value)]
    if (holdsList.has(keyword) && Array.isArray(value)) return [keyword, value.map(inside)]
    if (holdsNamed.has(keyword) && isSchema(value)) {
      return [keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inside(one)]))]
    }
    return [keyword, value]
  })
  return change(Object.fromEntries(entries))
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
