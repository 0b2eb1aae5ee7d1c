import { callback, checkOptions, isPlain, isRecord, kindOf } from '../check.ts'
import type { JsonSchema } from '../contract.ts'
import type { StandardSchema, Validated } from './standard-schema.ts'
import type { ZodCheck } from './zod-check.ts'

/** The result of a check of your own. */
export type JsonSchemaVerdict<Output> =
  /** The result of a function that ajv compiled; its `errors` are read. */
  | boolean
  /** A result in the format of Standard Schema. Its value may differ from the checked one. */
  | Validated<Output>
  /** A result in the format of the AI SDK. */
  | { readonly success: true; readonly value: Output }
  | { readonly success: false; readonly error: Error }

/** Options of `jsonSchema()`. */
export type JsonSchemaOptions<Output> = {
  /**
   * A check of your own, for schemas that zod cannot read or in addition to zod. It receives values that passed zod. An error that it
   * throws rejects the call. @default zod checks what it can; a warning of the result says what is not checked
   */
  readonly validate?: ((value: unknown) => JsonSchemaVerdict<Output> | Promise<JsonSchemaVerdict<Output>>) | undefined
}

type Validate = NonNullable<JsonSchemaOptions<unknown>['validate']>

/** What this file remembers about a schema of `jsonSchema()`. */
type Known = { readonly schema: JsonSchema; readonly text: string; readonly validate: Validate | undefined }

const known = new WeakMap<object, Known>()

/** Adapters create the same schema again for every call; this cache lets zod compile it once. */
const compiled = new Map<string, ZodCheck>()
const alike = new Map<string, StandardSchema<unknown, never>>()
const mostKept = 200

/**
 * Wraps plain JSON Schema for the `output` of a call or the `inputSchema` of a tool. zod's `fromJSONSchema` checks values as far as it can;
 * a warning of the result (`setting` is `output`, or `tools.NAME.inputSchema`) says what is not checked. The type parameter is not verified.
 *
 * @throws {TypeError} The schema is not an object that can be written as JSON.
 * @example
 * const { output } = await client.generate({ prompt, output: jsonSchema<{ name: string }>({ type: 'object', properties: ... }) })
 */
export function jsonSchema<Output = unknown>(
  schema: JsonSchema,
  options: JsonSchemaOptions<Output> = {},
): StandardSchema<unknown, Output> {
  checkOptions(options, { validate: callback }, 'jsonSchema')
  const text = textOf(schema)
  const { validate } = options
  const same = validate === undefined ? alike.get(text) : undefined
  if (same !== undefined) return same
  // a copy, because the caller may change its own: the model must see the schema that checks the value
  const copy = JSON.parse(text) as JsonSchema
  const made = {
    '~standard': {
      ...{ version: 1 as const, vendor: 'json-schema' },
      validate: (value: unknown) => validated(made, value) as Validated<Output> | Promise<Validated<Output>>,
      jsonSchema: { input: () => copy },
    },
  }
  known.set(made, { schema: copy, text, validate })
  if (validate === undefined) keep(alike, text, made as StandardSchema<unknown, never>)
  return made
}

function textOf(schema: unknown): string {
  if (!isPlain(schema)) {
    throw new TypeError(
      `jsonSchema: the schema must be an object like { type: 'object', properties: {} }, not ${kindOf(schema)}.`,
    )
  }
  if ('~standard' in schema) {
    throw new TypeError('jsonSchema: this is already a schema of a library. Pass it without jsonSchema().')
  }
  try {
    return JSON.stringify(schema)
  } catch (cause) {
    throw new TypeError('jsonSchema: the schema refers to itself or contains a BigInt. Write plain data, with $ref.', { cause })
  }
}

/** Loads zod for the schemas that need it; returns `undefined` when nothing is to be loaded. */
export function loadChecks(schemas: readonly unknown[]): Promise<unknown> | undefined {
  const missing = schemas.filter(schema => ofJsonSchema(schema) !== undefined && checkOf(schema) === undefined)
  return missing.length === 0 ? undefined : Promise.all(missing.map(schema => compile(schema as object)))
}

/** Says what is not checked of this schema; undefined if everything is, or if it does not come from `jsonSchema()`. */
export function uncheckedOf(schema: unknown): string | undefined {
  const { validate } = ofJsonSchema(schema) ?? {}
  const { check, unchecked } = checkOf(schema) ?? {}
  if (validate !== undefined || unchecked === undefined) return undefined
  const what = check === undefined ? 'Values are not checked against this JSON Schema' : 'This JSON Schema is only partly checked'
  return `${what}: ${unchecked}. Write jsonSchema(schema, { validate }).`
}

function ofJsonSchema(schema: unknown): Known | undefined {
  return typeof schema === 'object' && schema !== null ? known.get(schema) : undefined
}

function checkOf(schema: unknown): ZodCheck | undefined {
  return compiled.get(ofJsonSchema(schema)?.text ?? '')
}

async function compile(schema: object): Promise<ZodCheck> {
  const made = known.get(schema)
  const there = checkOf(schema)
  if (made === undefined || there !== undefined) return there ?? nothing
  const check = await import('./zod-check.ts').then(
    ({ zodCheck }) => zodCheck(made.schema),
    () => ({ check: undefined, unchecked: 'the package zod cannot be loaded' }),
  )
  keep(compiled, made.text, check)
  return check
}

const nothing: ZodCheck = { check: undefined, unchecked: undefined }

function keep<Value>(cache: Map<string, Value>, key: string, value: Value): void {
  const [oldest] = cache.keys()
  if (cache.size >= mostKept && oldest !== undefined) cache.delete(oldest)
  cache.set(key, value)
}

function validated(schema: object, value: unknown): Validated<unknown> | Promise<Validated<unknown>> {
  const check = checkOf(schema)
  return check === undefined ? compile(schema).then(made => byBoth(schema, made, value)) : byBoth(schema, check, value)
}

function byBoth(schema: object, { check }: ZodCheck, value: unknown): Validated<unknown> | Promise<Validated<unknown>> {
  const first = check?.(value) ?? { value }
  const validate = known.get(schema)?.validate
  if (first.issues !== undefined || validate === undefined) return first
  const verdict = validate(first.value)
  if (verdict instanceof Promise) return verdict.then(said => read(said, { value: first.value, validate }))
  return read(verdict, { value: first.value, validate })
}

type Asked = { readonly value: unknown; readonly validate: Validate }

function read(verdict: JsonSchemaVerdict<unknown>, { value, validate }: Asked): Validated<unknown> {
  if (verdict === true) return { value }
  if (verdict === false) return { issues: ajvIssues(validate) }
  if (isRecord(verdict)) {
    const { success, error, issues } = verdict as { success?: unknown; error?: unknown; issues?: unknown }
    if (success === false)
      return { issues: [{ message: error instanceof Error ? error.message : 'It does not match the schema.' }] }
    if (Array.isArray(issues)) return verdict as Validated<unknown>
    if ('value' in verdict) return { value: verdict.value }
  }
  throw new TypeError(`jsonSchema: validate must return true, false, { value } or { issues }, not ${kindOf(verdict)}.`)
}

/** ajv stores its errors on the function itself. */
function ajvIssues(validate: Validate): readonly { readonly message: string; readonly path?: readonly string[] }[] {
  const { errors } = validate as { readonly errors?: unknown }
  const list = Array.isArray(errors) ? (errors as readonly { instancePath?: unknown; message?: unknown }[]) : []
  const issues = list.map(({ instancePath, message }) => ({
    message: typeof message === 'string' ? message : 'It does not match the schema.',
    path: typeof instancePath === 'string' ? instancePath.split('/').slice(1) : [],
  }))
  return issues.length > 0 ? issues : [{ message: 'It does not match the schema.' }]
}
