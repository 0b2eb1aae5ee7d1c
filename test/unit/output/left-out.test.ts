import { expect, test } from 'vitest'
import { z } from 'zod'
import type { JsonSchema } from '../../../src/contract.ts'
import { jsonSchemaOf } from '../../../src/output/json-schema-of.ts'
import { nullsLeftOut } from '../../../src/output/left-out.ts'

const inner = z.object({ a: z.string().optional(), b: z.string().nullable(), c: z.string().nullish() })
type Tree = { name: string; left?: Tree | undefined }
const tree: z.ZodType<Tree> = z.object({
  name: z.string(),
  get left() {
    return tree.optional()
  },
})

test.each<[string, z.ZodType, unknown, unknown]>([
  ['of an optional property goes', inner, { a: null, b: 'b' }, { b: 'b' }],
  ['that the schema allows stays', inner, { b: null, c: null }, { b: null, c: null }],
  [
    'of a required property stays, to be refused',
    z.object({ a: z.string(), b: z.string().optional() }),
    { a: null },
    { a: null },
  ],
  ['of a property with a default goes', z.object({ a: z.number().default(1) }), { a: null }, {}],
  ['in a list goes', z.object({ list: z.array(inner) }), { list: [{ a: null, b: 'b' }] }, { list: [{ b: 'b' }] }],
  ['in a map goes', z.record(z.string(), inner), { x: { a: null, b: '' } }, { x: { b: '' } }],
  ['in a tuple goes', z.tuple([inner]), [{ a: null, b: '' }], [{ b: '' }]],
  ['behind a reference goes', tree, { name: 'x', left: { name: 'y', left: null } }, { name: 'x', left: { name: 'y' } }],
  [
    'in one of several objects goes',
    z.union([z.object({ kind: z.literal(1), a: z.string().optional() }), z.object({ kind: z.literal(2) })]),
    { kind: 1, a: null },
    { kind: 1 },
  ],
  [
    'that one of several objects allows stays',
    z.union([z.object({ a: z.string().optional() }), z.object({ a: z.null(), b: z.string() })]),
    { a: null, b: 'b' },
    { a: null, b: 'b' },
  ],
  ['of a property that may be anything stays', z.object({ a: z.unknown().optional() }), { a: null }, { a: null }],
  ['that nobody asked for stays', inner, { x: null }, { x: null }],
  ['in the place of the whole stays', inner, null, null],
])('a null %s', (_, schema, value, expected) => {
  const given = structuredClone(value)
  const cleaned = nullsLeftOut(jsonSchemaOf(schema, 'test'))(given)
  expect(cleaned).toEqual(expected)
  expect(given).toEqual(value)
})

test('a schema that refers to itself for ever is no trap', () => {
  const schema: JsonSchema = { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, $defs: { a: { $ref: '#/$defs/a' } } }
  expect(nullsLeftOut(schema)({ a: null })).toEqual({})
  expect(nullsLeftOut({ ...schema, properties: { a: { $ref: '#' } } })({ a: { a: null } })).toEqual({ a: {} })
})

test('a null stays where one of several schemas is true, which takes anything', () => {
  const schema: JsonSchema = { type: 'object', properties: { a: { anyOf: [{ type: 'number' }, true] } } }
  expect(nullsLeftOut(schema)({ a: null })).toEqual({ a: null })
})
