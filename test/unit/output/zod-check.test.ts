import { expect, test } from 'vitest'
import { z } from 'zod'
import type { JsonSchema } from '../../../src/contract.ts'
import { zodCheck } from '../../../src/output/zod-check.ts'

const number = { type: 'number' }

/** Schemas that zod lets values through which do not fit, each with such a value and the keyword that it overlooks. */
const overlooked: Readonly<Record<string, readonly [JsonSchema, unknown, string]>> = {
  'properties without a type': [{ properties: { a: number } }, { a: 'x' }, 'properties'],
  'required without a type': [{ anyOf: [{ required: ['a'] }, { required: ['b'] }] }, {}, 'required'],
  'required of a property that has no schema': [{ type: 'object', properties: {}, required: ['a'] }, {}, 'required'],
  'a length without a type': [{ minLength: 3 }, 'a', 'minLength'],
  'a number beside a reference': [{ $ref: '#/$defs/x', minimum: 5, $defs: { x: number } }, 1, 'minimum'],
  'an enum beside a reference': [{ $ref: '#/$defs/x', enum: [1], $defs: { x: number } }, 2, 'enum'],
  'a const beside a reference': [{ $ref: '#/$defs/x', const: 1, $defs: { x: number } }, 2, 'const'],
  'one of two lists of alternatives': [{ anyOf: [number], oneOf: [{ type: 'string' }] }, 'a', 'anyOf'],
  'a reference beside a list': [{ $ref: '#/$defs/x', allOf: [{ maximum: 5 }], $defs: { x: number } }, 'a', '$ref`, `maximum'],
  dependencies: [{ type: 'object', dependencies: { a: ['b'] } }, { a: 1 }, 'dependencies'],
  'a dynamic reference': [{ $dynamicRef: '#x', $defs: { x: { $dynamicAnchor: 'x', ...number } } }, 's', '$dynamicRef'],
  'other properties beside patterns': [
    { type: 'object', patternProperties: { '^a': number }, additionalProperties: { type: 'string' } },
    { b: 2 },
    'additionalProperties',
  ],
  'a count of items of any kind': [{ type: 'array', minItems: 2 }, [1], 'minItems'],
  'the greatest count of items of any kind': [{ type: 'array', maxItems: 1 }, [1, 2], 'maxItems'],
  'a count of places that take anything': [{ type: 'array', prefixItems: [true], minItems: 1 }, [], 'minItems'],
  'a length beside an enum': [{ type: 'string', enum: ['a'], minLength: 3 }, 'a', 'minLength'],
  'a type that a const does not have': [{ type: 'string', const: 0 }, 0, 'type'],
  'a type beside a reference': [{ $ref: '#/$defs/x', type: 'string', $defs: { x: number } }, 1, 'type'],
  'what one of two schemas forbids and the other names': [
    {
      allOf: [
        { type: 'object', properties: { a: number }, additionalProperties: false },
        { type: 'object', properties: { b: number } },
      ],
    },
    { a: 1, b: 2 },
    'additionalProperties',
  ],
  'what a reference forbids and its neighbour names': [
    {
      type: 'object',
      properties: { b: number },
      allOf: [{ $ref: '#/$defs/x' }],
      $defs: { x: { type: 'object', properties: { a: number }, additionalProperties: false } },
    },
    { a: 1, b: 2 },
    'additionalProperties',
  ],
  'a name that one of two schemas takes': [
    { type: 'object', properties: {}, anyOf: [{ type: 'object', propertyNames: { pattern: '^a' } }] },
    { b: 1 },
    'propertyNames',
  ],
  'a format without a type': [{ format: 'email' }, 'a', 'format'],
  'a format that it does not know': [{ type: ['string', 'null'], format: 'regex' }, '(', 'format'],
  'what stands deep': [
    { type: 'array', items: { type: 'object', properties: { a: { minLength: 3 } } } },
    [{ a: '' }],
    'minLength',
  ],
}

test.for(Object.entries(overlooked))('zod overlooks %s, and it is told', ([, [schema, value, keyword]]) => {
  expect(z.fromJSONSchema(schema as never).safeParse(value).success).toBe(true)
  const { check, unchecked } = zodCheck(schema)
  expect(unchecked).toBe(`zod overlooks \`${keyword}\``)
  expect(check?.(value).issues).toBeUndefined()
})

/** Schemas by which zod refuses a value that fits. */
const misread: Readonly<Record<string, readonly [JsonSchema, unknown, string]>> = {
  'a const that is an object': [{ const: { a: 1 } }, { a: 1 }, 'const'],
  'an enum of lists': [{ enum: [[1], 'x'] }, [1], 'enum'],
  'a pattern of letters of any language': [{ type: 'string', pattern: String.raw`^\p{L}$` }, 'é', 'pattern'],
  'one of two sets of required properties': [
    { type: 'object', properties: { a: number, b: number }, oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    { a: 1 },
    'required',
  ],
  'one of two schemas, one of them behind a reference': [
    { oneOf: [{ type: 'number' }, { $ref: '#/$defs/x' }], $defs: { x: { minLength: 3 } } },
    1,
    'minLength',
  ],
  'how many items match': [{ type: 'array', contains: { minimum: 3 }, maxContains: 1 }, [1, 4], 'minimum'],
  'names of any language': [
    { type: 'object', patternProperties: { [String.raw`^\p{L}$`]: number }, additionalProperties: false },
    { é: 1 },
    'patternProperties',
  ],
}

test.for(Object.entries(misread))('zod misreads %s, so it is not asked', ([, [schema, value, keyword]]) => {
  expect(z.fromJSONSchema(schema as never).safeParse(value).success).toBe(false)
  expect(zodCheck(schema)).toEqual({ check: undefined, unchecked: `zod misreads this \`${keyword}\`` })
})

test.for<[string, JsonSchema]>([
  ['not', { not: { type: 'string' } }],
  ['if', { if: { type: 'string' }, else: { minimum: 2 } }],
  ['unevaluatedProperties', { type: 'object', unevaluatedProperties: false }],
  ['a reference to elsewhere', { $ref: 'https://example.com/schema' }],
  ['a pattern that does not compile', { type: 'string', pattern: '(' }],
  ['a type that there is not', { type: 'strng' }],
])('zod does not read %s: its own words say why', ([, schema]) => {
  expect(zodCheck(schema)).toEqual({ check: undefined, unchecked: expect.stringMatching(/^zod |says: ./) })
})

test('what a closed object does not name is left out, wherever it stands, and of no other value', () => {
  const closed = { type: 'object', properties: { a: number }, required: ['a'], additionalProperties: false }
  const { check } = zodCheck({
    ...{ type: 'object', properties: { list: { type: 'array', items: closed }, one: closed }, additionalProperties: false },
  })
  const value = { list: [{ a: 1, b: 2 }, { a: 3 }], one: { c: null, a: 4 }, ['__proto__']: 5, d: {} }
  const before = structuredClone(value)
  expect(check?.(value)).toEqual({ value: { list: [{ a: 1 }, { a: 3 }], one: { a: 4 } } })
  expect(value).toEqual(before)
  expect(check?.({ list: [{ a: 's', b: 2 }] }).issues).toMatchObject([{ path: ['list', 0, 'a'] }, { keys: ['b'] }])
  expect(check?.({ one: { b: 2 } }).issues).toHaveLength(2)
})

test('a schema as deep as the stack is not checked, and says so', () => {
  let schema: JsonSchema = number
  for (let depth = 0; depth < 20_000; depth += 1) schema = { type: 'array', items: schema }
  expect(zodCheck(schema)).toMatchObject({ check: undefined, unchecked: expect.stringContaining('stack') })
})

test.for<[string, JsonSchema, unknown, unknown]>([
  ['definitions without $schema', { $ref: '#/definitions/x', definitions: { x: number } }, 1, 's'],
  [
    'a schema that refers to itself',
    { type: 'object', properties: { c: { $ref: '#' } }, additionalProperties: false },
    { c: {} },
    { c: 1 },
  ],
  ['a tuple', { type: 'array', prefixItems: [number], items: false }, [1], ['s']],
  ['names by a pattern', { type: 'object', propertyNames: { pattern: '^a' } }, { a: 1 }, { b: 1 }],
  ['a word of a list', { type: 'string', enum: ['a', 'b'] }, 'a', 'c'],
  ['a whole number of a list', { type: 'integer', enum: [1, 2] }, 1, 3],
  ['one of two kinds', { oneOf: [{ type: 'object', properties: { a: number }, required: ['a'] }, number] }, 1, {}],
  ['a UUID of an unknown version', { type: 'string', format: 'uuid' }, '12345678-1234-9234-1234-1234567890ab', '12345678'],
  ['a name that is no format of JSON Schema', { type: 'string', format: 'password' }, 'secret', 5],
  ['a format of numbers', { type: 'integer', format: 'int64' }, 5, 'five'],
  ['one of two', { type: 'object', anyOf: [{ type: 'object', properties: { a: number }, required: ['a'] }] }, { a: 1 }, {}],
])('zod checks %s wholly', ([, schema, right, wrong]) => {
  const { check, unchecked } = zodCheck(schema)
  expect(unchecked).toBeUndefined()
  expect(check?.(right).issues).toBeUndefined()
  expect(check?.(wrong).issues).toBeDefined()
})

test('zod would refuse a relative reference, so its format is left out, and that is told', () => {
  const schema = { type: 'array', items: { type: 'string', format: 'uri-reference' } }
  expect(z.fromJSONSchema(schema as never).safeParse(['/a#b']).success).toBe(false)
  const { check, unchecked } = zodCheck(schema)
  expect(unchecked).toBe('zod overlooks `format`')
  expect(check?.(['/a#b']).issues).toBeUndefined()
  expect(check?.([5]).issues).toBeDefined()
})

test('a value for which zod throws, because two schemas fill in different defaults, is not filled in', () => {
  const withDefault = (value: number) => ({ type: 'object', properties: { a: { ...number, default: value } } })
  const { check, unchecked } = zodCheck({ allOf: [withDefault(1), withDefault(2)] })
  expect(unchecked).toBeUndefined()
  expect(check?.({})).toEqual({ value: {} })
  expect(check?.({ a: 'x' }).issues).toBeDefined()
})

test('a value for which zod throws is checked without the defaults', () => {
  const withDefault = (value: number) => ({ type: 'object', properties: { a: { ...number, default: value } } })
  const properties = { x: { allOf: [withDefault(1), withDefault(2)] }, default: { type: 'string' } }
  const { check } = zodCheck({ type: 'object', properties, required: ['x', 'default'] })
  expect(check?.({ x: {}, default: 'a' })).toEqual({ value: { x: {}, default: 'a' } })
  for (const wrong of [{ x: {} }, { x: {}, default: 5 }])
    expect(check?.(wrong)).toMatchObject({ issues: [{ path: ['default'] }] })
})
