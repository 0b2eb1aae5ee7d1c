import { type JsonSchema, jsonSchema, type StandardSchema } from '../index.ts'

/** A JSON Schema that came with a request, ready for the prompt and for validation. */
export type CheckedSchema = StandardSchema & {
  /** Whether the text of the model can be streamed as it is: the value is not wrapped, and null is never used for an omitted property. */
  readonly mayStream: boolean
}

export type SchemaWords = { readonly title: string | undefined; readonly description: string | undefined }

/** Adds what a request says about its schema, unless the schema says it already. The title is the name under which services are sent it. */
export function describeSchema(schema: JsonSchema, words: SchemaWords): JsonSchema {
  const missing = Object.entries(words).filter(([word, text]) => text !== undefined && schema[word] === undefined)
  return missing.length === 0 ? schema : { ...schema, ...Object.fromEntries(missing) }
}

const made = new Map<string, CheckedSchema>()
const mostMade = 200

/**
 * Returns a compiled schema. An application sends the same schema with every request, in a new object each time, and compiling it takes a
 * quarter of a millisecond, so the last 200 schemas are cached by their text.
 *
 * @param text the schema as JSON
 */
export function schemaOf(schema: JsonSchema, text = JSON.stringify(schema)): CheckedSchema {
  const known = made.get(text)
  if (known !== undefined) {
    made.delete(text)
    made.set(text, known)
    return known
  }
  const checked = create(schema)
  made.set(text, checked)
  for (const oldest of made.keys()) {
    if (made.size <= mostMade) break
    made.delete(oldest)
  }
  return checked
}

/**
 * The schema may be untrusted, so its regular expressions are never run: one with catastrophic backtracking would block the whole process.
 * The model still sees them, and the sender validates the answer anyway.
 */
function create(schema: JsonSchema): CheckedSchema {
  const told = jsonSchema(schema)
  const { validate } = jsonSchema(withoutPatterns(schema) as JsonSchema)['~standard']
  return { '~standard': { ...told['~standard'], validate }, mayStream: mayStream(schema) }
}

function withoutPatterns(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutPatterns)
  if (typeof schema !== 'object' || schema === null) return schema
  const kept = Object.entries(schema).filter(
    ([key, value]) => !(key === 'pattern' && typeof value === 'string') && key !== 'patternProperties',
  )
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutPatterns(value)]))
}

/** Returns whether text that begins with `{` is valid for strict readers: the value is not wrapped, and null never means "omitted". */
export function mayStream(schema: JsonSchema): boolean {
  return schema['type'] === 'object' && !hasOptional(schema)
}

/** Finds an optional property: servers that must write every property write null instead, and null can only be removed from the complete value. */
function hasOptional(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  const { properties, required } = schema as JsonSchema
  if (typeof properties === 'object' && properties !== null) {
    const names = Object.keys(properties)
    if (names.some(name => !Array.isArray(required) || !required.includes(name))) return true
  }
  return Object.values(schema).some(hasOptional)
}
