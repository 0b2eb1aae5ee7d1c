import type { Issue } from '../contract.ts'

/**
 * The common interface of zod, valibot, arktype and others: https://standardschema.dev. `jsonSchema` belongs to its later extension,
 * which converts the schema to JSON Schema.
 */
export type StandardSchema<Input = unknown, Output = Input> = {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Checks a value. Returns the validated value or the issues. */
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

type StandardIssue = {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The type of the values that a schema returns. */
export type InferOutput<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['output']

/** A schema may also be a function, as in arktype. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !('~standard' in value)) return false
  const standard: unknown = value['~standard']
  return typeof standard === 'object' && standard !== null && 'validate' in standard && typeof standard.validate === 'function'
}

export type Checked = { readonly value: unknown } | { readonly issues: readonly Issue[] }

/**
 * Returns a promise only if the schema itself is asynchronous. An error that the schema throws is the caller's bug and is rethrown
 * unchanged, with one exception: a value so deep or so wide that the stack overflows counts as invalid.
 */
export function validate(schema: StandardSchema, value: unknown): Checked | Promise<Checked> {
  try {
    const validated = schema['~standard'].validate(value)
    return validated instanceof Promise ? validated.then(checked).catch(overflowed) : checked(validated)
  } catch (error) {
    return overflowed(error)
  }
}

function overflowed(error: unknown): Checked {
  if (!(error instanceof RangeError) || !/call stack/i.test(error.message)) throw error
  return { issues: [{ path: [], message: 'It is too large for its schema.' }] }
}

function checked(validated: Validated<unknown>): Checked {
  if (validated.issues === undefined) return { value: validated.value }
  // the issues and paths of arktype are array-like objects of its own
  return { issues: Array.from(validated.issues, ({ message, path = [] }) => ({ message, path: Array.from(path, keyOf) })) }
}

function keyOf(segment: PropertyKey | { readonly key: PropertyKey }): string | number {
  const key = typeof segment === 'object' ? segment.key : segment
  return typeof key === 'symbol' ? String(key) : key
}
