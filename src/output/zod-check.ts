import { fromJSONSchema, type ZodError, type ZodType } from 'zod'
import type { JsonSchema } from '../contract.ts'
import { behind } from './left-out.ts'
import type { Validated } from './standard-schema.ts'

/** Which parts of a JSON Schema zod can check. */
export type ZodCheck = {
  /** Undefined: zod cannot read this schema at all. */
  readonly check: ((value: unknown) => Validated<unknown>) | undefined
  /** What zod does not check, as the end of a sentence; undefined if it checks everything. */
  readonly unchecked: string | undefined
}

/** Only a schema that needs this file loads it, because zod takes longer to load than the rest of the package. */
export function zodCheck(schema: JsonSchema): ZodCheck {
  try {
    const faults = [...faultsIn(schema, { root: schema, isCounted: false, seen: new Set() })]
    const misread = faults.find(({ isMisread }) => isMisread)
    if (misread !== undefined) return { check: undefined, unchecked: `zod misreads this \`${misread.keyword}\`` }
    const read = fromJSONSchema(readable(schema))
    const overlooked = new Set(faults.map(({ keyword }) => `\`${keyword}\``))
    const unchecked = overlooked.size === 0 ? undefined : `zod overlooks ${[...overlooked].join(', ')}`
    return {
      check: value => checked(read, value) ?? checked(fromJSONSchema(withoutDefaults(readable(schema))), value) ?? { value },
      unchecked,
    }
  } catch (cause) {
    return { check: undefined, unchecked: `zod says: ${cause instanceof Error ? cause.message : String(cause)}` }
  }
}

/**
 * Checks a value at once. Undefined: zod throws, which it does if two schemas of one place fill in different defaults. The value is
 * then checked without any, and not filled in. A stack overflow is for the caller to judge.
 */
function checked(schema: ZodType, value: unknown): Validated<unknown> | undefined {
  try {
    const { data, error } = schema.safeParse(value)
    if (error === undefined) return { value: data }
    const again = error.issues.every(isExtra) ? schema.safeParse(withoutExtras(value, error.issues)) : undefined
    return again?.success === true ? { value: again.data } : { issues: error.issues }
  } catch (error) {
    if (error instanceof RangeError) throw error
    return undefined
  }
}

type Issue = ZodError['issues'][number]
type Extra = Issue & { readonly code: 'unrecognized_keys' }

function isExtra(issue: Issue): issue is Extra {
  return issue.code === 'unrecognized_keys'
}

/**
 * Leaves out what a closed object does not name, as zod does with objects of its own. Adapters close every object, because strict modes
 * want that of a schema, and models add properties where nothing enforces it.
 */
function withoutExtras(value: unknown, extras: readonly Extra[]): unknown {
  const copy = structuredClone(value)
  for (const { path, keys } of extras) {
    const owner = path.reduce<unknown>((inner, step) => Reflect.get(inner as object, step), copy) as object
    for (const key of keys) Reflect.deleteProperty(owner, key)
  }
  return copy
}

function withoutDefaults(given: JsonSchema): JsonSchema {
  return everywhere(given, schema => Object.fromEntries(Object.entries(schema).filter(([name]) => name !== 'default')))
}

/** Changes a schema and every schema inside it. */
function everywhere(schema: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema {
  const inner = (value: unknown): unknown => (isRecord(value) ? everywhere(value, change) : value)
  const read = (name: string, value: unknown): unknown => {
    if (inList.includes(name) && Array.isArray(value)) return value.map(inner)
    if (inObject.includes(name) && isRecord(value))
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inner(one)]))
    return inSchema.includes(name) || name === 'propertyNames' ? inner(value) : value
  }
  return Object.fromEntries(Object.entries(change(schema)).map(([name, value]) => [name, read(name, value)]))
}

/** Without `$schema`, zod resolves references only under `$defs`. */
function readable(given: JsonSchema): JsonSchema {
  const schema = everywhere(given, withReadFormat)
  if (schema['$schema'] !== undefined || schema['$defs'] !== undefined || schema['definitions'] === undefined) return schema
  return { ...schema, $schema: 'http://json-schema.org/draft-07/schema#' }
}

/** zod takes only absolute references, and only UUIDs of known versions. */
function withReadFormat(schema: JsonSchema): JsonSchema {
  const { format, ...rest } = schema
  if (format === 'uri-reference') return rest
  return format === 'uuid' && rest['pattern'] === undefined ? { ...rest, pattern: uuid } : schema
}

const uuid = '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'

/** The formats of JSON Schema that are not checked, and all of them. Any other name is only a note to the reader. */
const uncheckedFormats: ReadonlySet<unknown> = new Set([
  ...['uri-reference', 'uri-template', 'iri', 'iri-reference', 'idn-email', 'idn-hostname'],
  ...['json-pointer', 'relative-json-pointer', 'regex'],
])
const formats: ReadonlySet<unknown> = new Set([
  ...uncheckedFormats,
  ...['date-time', 'date', 'time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uuid'],
])

/** Keywords whose value is a schema, a list of schemas, or an object of schemas. */
const inSchema = ['items', 'additionalProperties', 'contains', 'additionalItems']
const inList = ['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items']
const inObject = ['properties', 'patternProperties', '$defs', 'definitions']

const never = ['dependencies', '$dynamicRef', '$recursiveRef']

/** zod reads these keywords only next to `type`. */
const ofType = [
  ...['properties', 'required', 'additionalProperties', 'patternProperties', 'propertyNames', 'minProperties', 'maxProperties'],
  ...['items', 'prefixItems', 'contains', 'minItems', 'maxItems', 'uniqueItems'],
  ...['minLength', 'maxLength', 'pattern', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  'format',
]

/** A keyword that zod 4.6 does not apply; `isMisread`: zod would even reject valid values. */
type Fault = { readonly keyword: string; readonly isMisread: boolean }

type Place = {
  readonly root: JsonSchema
  /** Where matches are counted, a value that zod lets through counts as one too many. */
  readonly isCounted: boolean
  /** The schemas that were visited as targets of references. */
  readonly seen: Set<JsonSchema>
}

/** `test/unit/output/zod-check.test.ts` verifies each of these against zod. */
function* faultsIn(schema: unknown, place: Place): Generator<Fault> {
  if (!isRecord(schema)) return
  const { root, isCounted, seen } = place
  for (const keyword of overlookedHere(schema, root)) yield { keyword, isMisread: isCounted }
  for (const keyword of misreadHere(schema)) yield { keyword, isMisread: true }
  for (const [inner, where] of innerOf(schema, place)) yield* faultsIn(inner, where)
  const target = isCounted ? targetOf(schema, root) : undefined
  if (target === undefined || seen.has(target)) return
  seen.add(target)
  yield* faultsIn(target, place)
}

/** Returns the schemas directly inside a schema. */
function innerOf(schema: JsonSchema, place: Place): readonly (readonly [unknown, Place])[] {
  const { propertyNames } = schema
  return [
    // a property name is always a string
    ...(isRecord(propertyNames) ? [[{ type: 'string', ...propertyNames }, place] as const] : []),
    ...inSchema.map(name => [schema[name], at(name, place)] as const),
    ...inList.flatMap(name => listOf(schema[name]).map(one => [one, at(name, place)] as const)),
    ...inObject.flatMap(name => Object.values(recordOf(schema[name])).map(one => [one, at(name, place)] as const)),
  ]
}

function at(keyword: string, place: Place): Place {
  if (keyword === '$defs' || keyword === 'definitions') return { ...place, isCounted: false }
  return keyword === 'oneOf' || keyword === 'contains' ? { ...place, isCounted: true } : place
}

function overlookedHere(schema: JsonSchema, root: JsonSchema): readonly string[] {
  const has = (name: string): boolean => hasKeyword(schema, name)
  const found = [...never.filter(has), ...openedByOthers(schema, root), ...uncheckedFormat(schema), ...replaced(schema)]
  if (has('$ref')) return [...found, ...['type', ...ofType, 'enum', 'const'].filter(has)]
  if (!has('type')) return [...found, ...ofType.filter(has)]
  if (has('enum') || has('const')) return [...found, ...besideValues(schema)]
  const known = recordOf(schema['properties'])
  const isUnknown = (name: unknown): boolean => typeof name === 'string' && !Object.hasOwn(known, name)
  if (listOf(schema['required']).some(isUnknown)) found.push('required')
  if (has('patternProperties') && isRecord(schema['additionalProperties'])) found.push('additionalProperties')
  if (!has('items') && !has('prefixItems')) found.push(...['minItems', 'maxItems'].filter(has))
  if (has('minItems') && listOf(schema['prefixItems']).some(takesAny)) found.push('minItems')
  return found
}

/** Without a type, zod applies only the last of these. */
function replaced(schema: JsonSchema): readonly string[] {
  if (['type', 'enum', 'const'].some(name => hasKeyword(schema, name))) return []
  return ['$ref', 'anyOf', 'oneOf', 'allOf'].filter(name => hasKeyword(schema, name)).slice(0, -1)
}

/** Beside `enum` and `const`, zod applies no other keyword. */
function besideValues(schema: JsonSchema): readonly string[] {
  const { type, const: constant, enum: values = [constant] } = schema
  const types = Array.isArray(type) ? (type as unknown[]) : [type]
  const isOfType = (value: unknown): boolean => typesOf(value).some(each => types.includes(each))
  return [...(listOf(values).every(isOfType) ? [] : ['type']), ...ofType.filter(name => hasKeyword(schema, name))]
}

function hasKeyword(schema: JsonSchema, name: string): boolean {
  return name === 'format' ? formats.has(schema['format']) : schema[name] !== undefined
}

function uncheckedFormat({ type, format }: JsonSchema): readonly string[] {
  const isText = type === 'string' || (Array.isArray(type) && type.includes('string'))
  return isText && uncheckedFormats.has(format) ? ['format'] : []
}

function typesOf(value: unknown): readonly string[] {
  if (value === null) return ['null']
  if (typeof value === 'number') return Number.isInteger(value) ? ['number', 'integer'] : ['number']
  return [Array.isArray(value) ? 'array' : typeof value]
}

/** Where an object must match several schemas, zod takes a name that one of them allows, even if another forbids it. */
function openedByOthers(schema: JsonSchema, root: JsonSchema): readonly string[] {
  const parts = ['allOf', 'anyOf', 'oneOf'].flatMap(name => listOf(schema[name])).filter(isRecord)
  if (parts.length === 0 || (schema['allOf'] === undefined && schema['type'] === undefined)) return []
  const objects = [schema, ...parts.map(part => targetOf(part, root) ?? part)]
  const isClosed = ({ additionalProperties }: JsonSchema): boolean =>
    additionalProperties === false || isRecord(additionalProperties)
  return [
    ...(objects.some(isClosed) ? ['additionalProperties'] : []),
    ...(objects.some(({ propertyNames }) => propertyNames !== undefined) ? ['propertyNames'] : []),
  ]
}

function targetOf({ $ref }: JsonSchema, root: JsonSchema): JsonSchema | undefined {
  return typeof $ref === 'string' ? behind($ref, root) : undefined
}

/** zod lets an item of such a schema be absent. */
function takesAny(schema: unknown): boolean {
  return schema === true || (isRecord(schema) && Object.keys(schema).length === 0)
}

/** zod compares objects by identity, and compiles patterns without the `u` flag that JSON Schema expects. */
function misreadHere(schema: JsonSchema): readonly string[] {
  const { pattern, const: constant, enum: values } = schema
  const patterns = Object.keys(recordOf(schema['patternProperties']))
  return [
    ...(isObject(constant) ? ['const'] : []),
    ...(listOf(values).some(isObject) ? ['enum'] : []),
    ...(typeof pattern === 'string' && isUnicode(pattern) ? ['pattern'] : []),
    ...(patterns.some(isUnicode) ? ['patternProperties'] : []),
  ]
}

function isUnicode(pattern: string): boolean {
  return /\\p\{|\\u\{/i.test(pattern)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isRecord(value: unknown): value is JsonSchema {
  return isObject(value) && !Array.isArray(value)
}

function recordOf(value: unknown): JsonSchema {
  return isRecord(value) ? value : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
