import type { JsonSchema } from '../contract.ts'

/** An object at the root is what every server can be held to; a union there, even of objects, is not. */
export function isObjectSchema(schema: JsonSchema): boolean {
  return schema['type'] === 'object'
}

/** The same schema as the one field of an object. Its definitions move to the root, where references look for them. */
export function wrapSchema(schema: JsonSchema, field: string): JsonSchema {
  const { $defs = {}, definitions, ...inner } = schema
  const around = (value: unknown, defs: object): JsonSchema => ({
    type: 'object',
    properties: { [field]: value },
    required: [field],
    additionalProperties: false,
    ...(Object.keys(defs).length === 0 ? undefined : { $defs: defs }),
    ...(definitions === undefined ? undefined : { definitions }),
  })
  if (!refersToRoot(inner) && !refersToRoot($defs)) return around(inner, asObject($defs))
  // "#" would now mean the wrapping
  const name = `${field}Itself`
  const moved = asObject(redirect({ ...asObject($defs), [name]: inner }, `#/$defs/${name}`))
  return around({ $ref: `#/$defs/${name}` }, moved)
}

function refersToRoot(value: unknown): boolean {
  return JSON.stringify(value).includes('"$ref":"#"')
}

function redirect(value: unknown, target: string): unknown {
  if (Array.isArray(value)) return value.map(item => redirect(item, target))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === '$ref' && inner === '#' ? target : redirect(inner, target)]),
  )
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}
