import type { JsonSchema } from '../contract.ts'

/**
 * Takes out of a value each null that stands for "there is none": of a property that the schema lets be left out and does not let be
 * null. A server that must write every property (OpenAI's strict) can say it in no other way, and models say it so without being
 * asked to. Every other null stays, for the schema to judge. The value itself is never changed.
 */
export function nullsLeftOut(schema: JsonSchema): (value: unknown) => unknown {
  if (!hasOptional(schema)) return value => value
  return value => clean(value, [schema], schema)
}

function hasOptional(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  const { properties } = schema as JsonSchema
  if (isSchema(properties) && Object.keys(properties).some(name => !isRequired(schema as JsonSchema, name))) return true
  return Object.values(schema).some(hasOptional)
}

/** @param schemas what the value may be: one of these */
function clean(value: unknown, schemas: readonly JsonSchema[], root: JsonSchema): unknown {
  if (typeof value !== 'object' || value === null || schemas.length === 0) return value
  const forms = schemas.flatMap(schema => formsOf(schema, root))
  if (Array.isArray(value)) {
    const items = forms.flatMap(form => (isSchema(form['items']) ? [form['items']] : []))
    const places = forms.flatMap(form => (Array.isArray(form['prefixItems']) ? [form['prefixItems'] as unknown[]] : []))
    return value.map((item, index) => clean(item, [...items, ...places.map(place => place[index]).filter(isSchema)], root))
  }
  const entries = Object.entries(value).flatMap(([name, field]): [string, unknown][] => {
    if (field === null) return isLeftOut(name, forms, root) ? [] : [[name, null]]
    return [
      [
        name,
        clean(
          field,
          forms.flatMap(form => fieldOrRest(form, name)),
          root,
        ),
      ],
    ]
  })
  return Object.fromEntries(entries)
}

function isLeftOut(name: string, forms: readonly JsonSchema[], root: JsonSchema): boolean {
  const naming = forms.filter(form => fieldOf(form, name).length > 0)
  return (
    naming.some(form => !isRequired(form, name)) &&
    naming.every(form => fieldOf(form, name).every(field => !formsOf(field, root).some(takesNull)))
  )
}

function takesNull(schema: JsonSchema): boolean {
  const { type, enum: words } = schema
  if ('const' in schema) return schema['const'] === null
  if (Array.isArray(words)) return words.includes(null)
  if (Array.isArray(type)) return type.includes('null')
  // neither a type nor alternatives: it may be anything
  return type === 'null' || (type === undefined && schema['properties'] === undefined && schema['items'] === undefined)
}

/** The schemas behind references and alternatives, of which any may hold. */
function formsOf(schema: JsonSchema, root: JsonSchema, seen: readonly JsonSchema[] = []): readonly JsonSchema[] {
  if (seen.includes(schema)) return []
  const { $ref, anyOf, oneOf, allOf } = schema
  const inner = [anyOf, oneOf, allOf].flatMap(list => (Array.isArray(list) ? list.filter(isSchema) : []))
  const target = typeof $ref === 'string' ? behind($ref, root) : undefined
  const next = target === undefined ? inner : [...inner, target]
  if (next.length === 0) return [schema]
  const below = next.flatMap(one => formsOf(one, root, [...seen, schema]))
  return schema['properties'] === undefined ? below : [schema, ...below]
}

/** `#/$defs/name`, or `#`: no other reference is made of a schema that people write. */
function behind(reference: string, root: JsonSchema): JsonSchema | undefined {
  if (reference === '#') return root
  const [, group = '', name = ''] = /^#\/(\$defs|definitions)\/(.+)$/.exec(reference) ?? []
  const named = root[group]
  const found = isSchema(named) ? named[name.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined
  return isSchema(found) ? found : undefined
}

function fieldOf({ properties }: JsonSchema, name: string): JsonSchema[] {
  const field = isSchema(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined
  return isSchema(field) ? [field] : []
}

function fieldOrRest(form: JsonSchema, name: string): JsonSchema[] {
  const named = fieldOf(form, name)
  const { additionalProperties: rest } = form
  return named.length === 0 && isSchema(rest) ? [rest] : named
}

function isRequired({ required }: JsonSchema, name: string): boolean {
  return Array.isArray(required) && required.includes(name)
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
