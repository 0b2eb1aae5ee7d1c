import type { Issue } from '../contract.ts'

/**
 * What zod, valibot, arktype and others have in common: the interface of https://standardschema.dev. `jsonSchema` belongs to its
 * later part, which tells what the schema looks like as JSON Schema.
 */
export type StandardSchema<Input = unknown, Output = Input> = {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
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

/** The type of the values that a schema lets through. */
export type InferOutput<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['output']

/** A schema may be a function too: those of arktype are. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !('~standard' in value)) return false
  const standard: unknown = value['~standard']
  return typeof standard === 'object' && standard !== null && 'validate' in standard && typeof standard.validate === 'function'
}

export type Checked = { readonly value: unknown } | { readonly issues: readonly Issue[] }

/**
 * Only what is asynchronous in the schema itself makes this a promise. What a schema throws is a bug of the caller's and is thrown as it
 * is, but for one thing: a value that is built so deep or so wide that the stack runs out does not fit.
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
  // those of arktype are lists of a kind of their own
  return { issues: Array.from(validated.issues, ({ message, path = [] }) => ({ message, path: Array.from(path, keyOf) })) }
}

function keyOf(segment: PropertyKey | { readonly key: PropertyKey }): string | number {
  const key = typeof segment === 'object' ? segment.key : segment
  return typeof key === 'symbol' ? String(key) : key
}
