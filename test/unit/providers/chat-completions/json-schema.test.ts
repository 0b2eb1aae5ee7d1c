import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonSchema } from '../../../../src/contract.ts'
import { deepseekSchema, enforceable } from '../../../../src/providers/chat-request/json-schema.ts'

const text = { type: 'string' }
const closed = (properties: JsonSchema): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
})

test.each<[string, JsonSchema]>([
  ['an optional property', { type: 'object', properties: { a: text, b: text }, required: ['a'] }],
  ['no property required', { type: 'object', properties: { a: text } }],
  ['a map with free keys', { type: 'object', additionalProperties: text }],
  ['other properties allowed', { ...closed({ a: text }), additionalProperties: true }],
  ['an optional property further down', closed({ list: { type: 'array', items: { type: 'object', properties: { a: text } } } })],
  ['one in a choice', closed({ either: { anyOf: [text, { type: 'object', properties: { a: text } }] } })],
  ['one in a definition', { ...closed({ a: { $ref: '#/$defs/b' } }), $defs: { b: { type: 'object', properties: { c: text } } } }],
])('%s cannot be enforced, and the schema stays as it is', (_, schema) => {
  expect(enforceable(schema)).toEqual({ schema, strict: false })
})

test('objects are closed at every depth, which is all that changes', () => {
  const open = {
    type: 'object',
    properties: { a: { type: 'array', items: { type: 'object', properties: { b: text }, required: ['b'] } } },
    required: ['a'],
  }
  expect(enforceable({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...open })).toEqual({
    strict: true,
    schema: closed({ a: { type: 'array', items: closed({ b: text }) } }),
  })
})

test('a property that is called like a keyword is a property', () => {
  const schema = closed({ type: text, properties: text, minLength: { type: 'integer' }, items: text })
  expect(enforceable(schema)).toEqual({ schema, strict: true })
  expect(deepseekSchema(schema)).toEqual({ schema, strict: true })
})

test('values are not schemas: an example or a default stays as it is', () => {
  const schema = closed({ a: { type: 'string', default: { properties: 1 }, enum: ['minLength'], minLength: 1 } })
  expect(deepseekSchema(schema).schema).toEqual(
    closed({ a: { type: 'string', default: { properties: 1 }, enum: ['minLength'] } }),
  )
})

const leaf = fc.constantFrom<JsonSchema>(text, { type: 'integer' }, { type: 'string', maxLength: 3 })
const { schema: anySchema } = fc.letrec<{ schema: JsonSchema; object: JsonSchema }>(tie => ({
  schema: fc.oneof({ maxDepth: 3 }, leaf, tie('object'), fc.record({ type: fc.constant('array'), items: tie('schema') })),
  object: fc
    .dictionary(fc.constantFrom('a', 'b', 'type', 'items'), tie('schema'), { maxKeys: 3 })
    .map((properties): JsonSchema => ({ type: 'object', properties, required: Object.keys(properties) })),
}))

test('a schema whose objects require everything is enforced whatever its form, and twice is once', () => {
  fc.assert(
    fc.property(anySchema, schema => {
      const once = enforceable(schema)
      expect(once.strict).toBe(true)
      expect(enforceable(once.schema)).toEqual(once)
    }),
  )
})
