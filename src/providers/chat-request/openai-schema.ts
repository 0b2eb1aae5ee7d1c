import type { JsonSchema } from '../../contract.ts'
import { closes, type Enforceable, isObjectSchema, mapSchemas, propertiesOf, subschemas } from './json-schema.ts'

/**
 * Rewrites a schema for the subset of JSON Schema that OpenAI enforces with `strict`: every property of every object is required,
 * and no others are allowed. An optional property may be null instead, and that null is removed before the answer is validated.
 * Keywords that strict mode lacks (lengths, most formats) move to the description, and we validate them. A schema that cannot be
 * rewritten is sent unchanged and not strict.
 */
export function openaiSchema(schema: JsonSchema): Enforceable {
  const { $schema: _, ...plain } = schema
  return subschemas(plain).every(canBeSaid)
    ? { schema: mapSchemas(plain, strictForm), strict: true }
    : { schema: plain, strict: false }
}

const unsayable = [
  ...['allOf', 'not', 'if', 'then', 'else', 'dependentRequired', 'dependentSchemas', 'patternProperties', 'prefixItems'],
  ...['unevaluatedProperties', 'unevaluatedItems', 'additionalItems', '$dynamicRef'],
]

function canBeSaid(schema: JsonSchema): boolean {
  const says = (keyword: string) => schema[keyword] !== undefined
  if (unsayable.some(says) || (says('anyOf') && says('oneOf'))) return false
  // strict mode cannot express a schema that allows any value
  if (!['type', 'enum', 'const', '$ref', 'anyOf', 'oneOf', 'properties'].some(says)) return false
  if (schema['type'] === 'array' && !says('items')) return false
  return !isObjectSchema(schema) || closes(schema)
}

function strictForm(schema: JsonSchema): JsonSchema {
  const { oneOf, $ref, ...one } = inWords(schema)
  const alternatives = oneOf === undefined ? undefined : { anyOf: oneOf }
  if ($ref !== undefined) return Object.keys(one).length === 0 ? { $ref } : { ...one, anyOf: [{ $ref }] }
  if (!isObjectSchema(one)) return { ...one, ...alternatives }
  const properties = Object.entries(propertiesOf(one))
  const required = new Set(Array.isArray(one['required']) ? one['required'] : [])
  return {
    ...one,
    ...alternatives,
    properties: Object.fromEntries(
      properties.map(([name, property]) => [name, required.has(name) ? property : orNull(property)]),
    ),
    required: properties.map(([name]) => name),
    additionalProperties: false,
  }
}

/** These do not constrain the answer, and strict mode rejects some of them. */
const annotations = new Set(['default', 'examples', 'deprecated', 'readOnly', 'writeOnly', 'discriminator', '$comment'])

const untold = new Set([
  ...['minLength', 'maxLength', 'minProperties', 'maxProperties', 'propertyNames'],
  ...['uniqueItems', 'contains', 'minContains', 'maxContains', 'contentEncoding', 'contentMediaType'],
])

const formats = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'])

/**
 * Moves the keywords that strict mode rejects to the description, so that the model knows them. Our own validation enforces them.
 */
function inWords(schema: JsonSchema): JsonSchema {
  const kept: [string, unknown][] = []
  const told: string[] = []
  for (const [keyword, value] of Object.entries(schema)) {
    if (annotations.has(keyword)) continue
    if (isRefused(keyword, value)) told.push(`${keyword}: ${JSON.stringify(value)}`)
    else kept.push([keyword, value])
  }
  if (told.length === 0) return Object.fromEntries(kept)
  const description = [schema['description'], `(${told.join(', ')})`].filter(text => typeof text === 'string').join(' ')
  return { ...Object.fromEntries(kept), description }
}

function isRefused(keyword: string, value: unknown): boolean {
  if (keyword === 'format') return !formats.has(String(value))
  // strict patterns support no lookahead or lookbehind
  if (keyword === 'pattern') return /\(\?<?[=!]/.test(String(value))
  return untold.has(keyword)
}

const scalars: ReadonlySet<unknown> = new Set(['string', 'number', 'integer', 'boolean'])

function orNull(schema: JsonSchema): JsonSchema {
  const { type } = schema
  if (type === 'null' || (Array.isArray(type) && type.includes('null'))) return schema
  if (scalars.has(type) && schema['enum'] === undefined && schema['const'] === undefined)
    return { ...schema, type: [type, 'null'] }
  const { anyOf } = schema
  if (Array.isArray(anyOf) && anyOf.some(one => (one as JsonSchema | null)?.['type'] === 'null')) return schema
  return { anyOf: [schema, { type: 'null' }] }
}
