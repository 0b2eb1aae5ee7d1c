import type { JsonSchema } from '../contract.ts'
import type { StandardSchema } from './standard-schema.ts'

/**
 * A schema that says how its value travels: the answer is always a JSON object, because OpenAI and strict tools take nothing else, so
 * a value of another kind stands in a field of one.
 */
export type Form<Output> = StandardSchema<unknown, Output> & {
  readonly '~form': {
    readonly field: string
    readonly jsonSchema: (name: string) => JsonSchema
    /** The schema of each item, where the items of a list are handed out one by one. */
    readonly element?: StandardSchema | undefined
    /** The bare words that are an answer too. */
    readonly words?: readonly string[] | undefined
  }
}

export function isForm(schema: StandardSchema): schema is Form<unknown> {
  return '~form' in schema
}
