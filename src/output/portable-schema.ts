import type { JsonSchema } from '../contract.ts'

/**
 * The same schema in words that more servers know. llama.cpp answers 400 to a reference to the whole schema and to `items: false`
 * behind a tuple; both can be said in another way.
 */
export function portableSchema(schema: JsonSchema): JsonSchema {
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
