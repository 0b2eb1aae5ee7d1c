import type { JsonSchema } from '../../contract.ts'

/**
 * A schema that a server can enforce, where that is possible without changing what it means: `strict` asks for every property of
 * every object to be required and for no others. An optional property cannot be said there, so such a schema is sent as it is,
 * not strict, and the answer is checked by us all the same.
 */
export function enforceable(schema: JsonSchema): { readonly schema: JsonSchema; readonly strict: boolean } {
  const { $schema: _, ...plain } = schema
  return canBeStrict(plain) ? { schema: closed(plain), strict: true } : { schema: plain, strict: false }
}

/** DeepSeek's strict tools refuse these; without them the schema only allows more, and our own check still holds the answer to all. */
const unknownToDeepSeek = new Set(['minLength', 'maxLength', 'minItems', 'maxItems'])

export function withoutLengths(schema: JsonSchema): JsonSchema {
  return mapSchemas(schema, one => Object.fromEntries(Object.entries(one).filter(([keyword]) => !unknownToDeepSeek.has(keyword))))
}

function canBeStrict(schema: JsonSchema): boolean {
  return subschemas(schema).every(one => {
    const names = propertyNames(one)
    if (!isObjectSchema(one)) return true
    const required = Array.isArray(one['required']) ? one['required'] : []
    // a map with free keys cannot be closed
    return (
      one['properties'] !== undefined &&
      (one['additionalProperties'] ?? false) === false &&
      names.every(name => required.includes(name))
    )
  })
}

function closed(schema: JsonSchema): JsonSchema {
  return mapSchemas(schema, one => (isObjectSchema(one) ? { ...one, additionalProperties: false } : one))
}

function isObjectSchema(schema: JsonSchema): boolean {
  return schema['type'] === 'object' || schema['properties'] !== undefined
}

function propertyNames(schema: JsonSchema): string[] {
  return isSchema(schema['properties']) ? Object.keys(schema['properties']) : []
}

// ---- walking a schema: only keywords that hold schemas are entered, so that a property named `type` is not taken for one

const holdsOne = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames', 'if', 'then', 'else'])
const holdsList = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems'])
const holdsNamed = new Set(['properties', '$defs', 'definitions', 'patternProperties'])

function subschemas(schema: JsonSchema): JsonSchema[] {
  const found: JsonSchema[] = []
  mapSchemas(schema, one => {
    found.push(one)
    return one
  })
  return found
}

function mapSchemas(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
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
