import type { JsonSchema } from '../contract.ts'

/** An object at the root is what every server can be held to; a union there, even of objects, is not. */
export function isObjectSchema(schema: JsonSchema): boolean {
  return schema['type'] === 'object'
}

/** The same schema as the one field of an object. Its definitions move to the root, where references look for them. */
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
