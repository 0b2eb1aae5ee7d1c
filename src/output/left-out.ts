import type { JsonSchema } from '../contract.ts'

/**
 * Removes each null that means "absent" from a value: the null of a property that is optional and not nullable in the schema. A server
 * that must write every property (OpenAI's strict mode) has no other way to omit one, and models often write null on their own. Every
 * other null stays for the schema to judge. The value itself is never changed; the result is a copy where needed.
 */
export function nullsLeftOut(schema: JsonSchema): (value: unknown) => unknown {
  if (!hasOptional(schema)) return value => value
  const shapes: Shapes = { root: schema, known: new Map(), numbers: new Map() }
  return value => clean(value, shapeOf(shapes, [schema]), shapes)
}

function hasOptional(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  const { properties } = schema as JsonSchema
  if (isSchema(properties) && Object.keys(properties).some(name => !isRequired(schema as JsonSchema, name))) return true
  return Object.values(schema).some(hasOptional)
}

/**
 * The schemas that a value may match. Created once for each set of schemas, so that repeated values cost nothing and recursive schemas
 * terminate.
 */
type Shape = {
  readonly forms: readonly JsonSchema[]
  readonly fields: Map<string, Shape>
  items: Shape | undefined
}

type Shapes = {
  readonly root: JsonSchema
  readonly known: Map<string, Shape>
  readonly numbers: Map<JsonSchema, number>
}

function shapeOf(shapes: Shapes, schemas: readonly JsonSchema[]): Shape {
  const key = [...new Set(schemas.map(schema => numberOf(shapes, schema)))].toSorted((one, other) => one - other).join()
  const known = shapes.known.get(key)
  if (known !== undefined) return known
  const forms = [...new Set(schemas.flatMap(schema => formsOf(schema, shapes.root)))]
  const shape: Shape = { forms, fields: new Map(), items: undefined }
  shapes.known.set(key, shape)
  return shape
}

function numberOf({ numbers }: Shapes, schema: JsonSchema): number {
  const known = numbers.get(schema) ?? numbers.size
  numbers.set(schema, known)
  return known
}

function clean(value: unknown, shape: Shape, shapes: Shapes): unknown {
  if (typeof value !== 'object' || value === null || shape.forms.length === 0) return value
  return Array.isArray(value) ? cleanList(value, shape, shapes) : cleanObject(value, shape, shapes)
}

function cleanList(list: readonly unknown[], shape: Shape, shapes: Shapes): unknown {
  let copy: unknown[] | undefined
  // by index: a list may have half a million items, and `entries()` creates a pair for each
  for (let index = 0; index < list.length; index += 1) {
    const item = list[index]
    if (typeof item !== 'object' || item === null) continue
    const cleaned = clean(item, itemShape(shape, index, shapes), shapes)
    if (cleaned === item) continue
    copy ??= [...list]
    copy[index] = cleaned
  }
  return copy ?? list
}

function itemShape(shape: Shape, index: number, shapes: Shapes): Shape {
  const places = shape.forms.flatMap(({ prefixItems }) => {
    const place: unknown = Array.isArray(prefixItems) ? prefixItems[index] : undefined
    return isSchema(place) ? [place] : []
  })
  const items = (): JsonSchema[] => shape.forms.flatMap(form => (isSchema(form['items']) ? [form['items']] : []))
  if (places.length > 0) return shapeOf(shapes, [...items(), ...places])
  shape.items ??= shapeOf(shapes, items())
  return shape.items
}

function cleanObject(value: object, shape: Shape, shapes: Shapes): unknown {
  let copy: { [key: string]: unknown } | undefined
  for (const [name, field] of Object.entries(value)) {
    if (typeof field !== 'object' || name === '__proto__') continue
    if (field === null) {
      if (!isLeftOut(name, shape.forms, shapes.root)) continue
      copy ??= { ...value }
      delete copy[name]
      continue
    }
    const cleaned = clean(field, fieldShape(shape, name, shapes), shapes)
    if (cleaned === field) continue
    copy ??= { ...value }
    copy[name] = cleaned
  }
  return copy ?? value
}

/** Shapes of unknown names are not cached: there may be any number of such names. */
function fieldShape(shape: Shape, name: string, shapes: Shapes): Shape {
  const known = shape.fields.get(name)
  if (known !== undefined) return known
  const made = shapeOf(
    shapes,
    shape.forms.flatMap(form => fieldOrRest(form, name)),
  )
  if (shape.forms.some(form => fieldOf(form, name).length > 0)) shape.fields.set(name, made)
  return made
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
  // without a type or alternatives, any value is allowed
  return type === 'null' || (type === undefined && schema['properties'] === undefined && schema['items'] === undefined)
}

/** Returns the schemas behind references and alternatives; the value may match any of them. */
function formsOf(schema: JsonSchema, root: JsonSchema, seen: readonly JsonSchema[] = []): readonly JsonSchema[] {
  if (seen.includes(schema)) return []
  const { $ref, anyOf, oneOf, allOf } = schema
  const inner = [anyOf, oneOf, allOf].flatMap(list => (Array.isArray(list) ? list.map(open).filter(isSchema) : []))
  const target = typeof $ref === 'string' ? behind($ref, root) : undefined
  const next = target === undefined ? inner : [...inner, target]
  if (next.length === 0) return [schema]
  const below = next.flatMap(one => formsOf(one, root, [...seen, schema]))
  return schema['properties'] === undefined ? below : [schema, ...below]
}

/** `true` is the schema of any value. */
const anything: JsonSchema = {}
const open = (schema: unknown): unknown => (schema === true ? anything : schema)

/** Resolves `#/$defs/name` and `#`, the only references that schema libraries generate. */
export function behind(reference: string, root: JsonSchema): JsonSchema | undefined {
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
