import { type $ZodType, globalRegistry, toJSONSchema } from 'zod/v4/core'
import type { JsonSchema } from '../contract.ts'

/**
 * Converts a zod schema that cannot convert itself. Only such a schema loads this file, because zod takes longer to load than the rest
 * of the package.
 */
export function zodJsonSchema(schema: object, target: string): JsonSchema {
  const metadata = { get: descriptionOf } as typeof globalRegistry
  return toJSONSchema(schema as $ZodType, { target: target as 'draft-2020-12', io: 'input', metadata })
}

/** The schema may come from an older copy of zod, which keeps descriptions in its own registry; only the schema can return them. */
function descriptionOf(schema: $ZodType): object | undefined {
  const { meta } = schema as { readonly meta?: (() => object | undefined) | undefined }
  return globalRegistry.get(schema) ?? meta?.call(schema)
}
