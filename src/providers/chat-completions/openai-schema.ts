import type { JsonSchema } from '../../contract.ts'
import type { Enforceable } from './json-schema.ts'
import { closes, isObjectSchema, mapSchemas, propertiesOf, subschemas } from './json-schema.ts'

/**
 * A schema in the part of JSON Schema that OpenAI enforces with `strict`: every property of every object is required and there are no
 * others. An optional property may be null instead, and a null that stands for nothing is taken out before the answer is validated.
 * What strict has no word for (lengths, most formats) is told in the description and checked by us. A schema that cannot be put so
 * at all is sent as it is, not strict.
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
  // what may be anything cannot be held to anything
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

/** Say nothing about the answer, and some of them are refused. */
const annotations = new Set(['default', 'examples', 'deprecated', 'readOnly', 'writeOnly', 'discriminator', '$comment'])

const untold = new Set([
  ...['minLength', 'maxLength', 'minProperties', 'maxProperties', 'propertyNames'],
  ...['uniqueItems', 'contains', 'minContains', 'maxContains', 'contentEncoding', 'contentMediaType'],
])

const formats = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'])

/** The keywords that strict refuses go to the description: the model should know them, and our own check holds the answer to them. */
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
  // looking ahead or behind is what its patterns do not know
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
