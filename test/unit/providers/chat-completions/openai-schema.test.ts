import { expect, test } from 'vitest'
import type { JsonSchema } from '../../../../src/contract.ts'
import { openaiSchema } from '../../../../src/providers/chat-request/openai-schema.ts'

const text = { type: 'string' }
const object = (properties: JsonSchema, required = Object.keys(properties)): JsonSchema => ({
  type: 'object',
  properties,
  required,
})
const closed = (properties: JsonSchema): JsonSchema => ({ ...object(properties), additionalProperties: false })

test.each<[string, JsonSchema, JsonSchema]>([
  ['a text', text, { type: ['string', 'null'] }],
  ['one of several words', { type: 'string', enum: ['a'] }, { anyOf: [{ type: 'string', enum: ['a'] }, { type: 'null' }] }],
  ['an object', object({ b: text }), { anyOf: [closed({ b: text }), { type: 'null' }] }],
  ['a reference', { $ref: '#/$defs/b' }, { anyOf: [{ $ref: '#/$defs/b' }, { type: 'null' }] }],
  ['what may be null already', { type: ['string', 'null'] }, { type: ['string', 'null'] }],
  ['a choice with null', { anyOf: [text, { type: 'null' }] }, { anyOf: [text, { type: 'null' }] }],
])('an optional property that is %s is required and may be null', (_, given, sent) => {
  expect(openaiSchema(object({ a: given, b: text }, ['b']))).toEqual({ schema: closed({ a: sent, b: text }), strict: true })
})

test.each<[string, JsonSchema, JsonSchema]>([
  ['oneOf', { oneOf: [text, { type: 'null' }] }, { anyOf: [text, { type: 'null' }] }],
  ['default', { type: 'string', default: 'x' }, text],
  ['maxLength', { type: 'string', maxLength: 20 }, { type: 'string', description: '(maxLength: 20)' }],
  [
    'a format that it does not know',
    { type: 'string', format: 'uri', description: 'Where.' },
    { type: 'string', description: 'Where. (format: "uri")' },
  ],
  ['a pattern that looks ahead', { type: 'string', pattern: '^(?!x)' }, { type: 'string', description: '(pattern: "^(?!x)")' }],
  ['words beside a reference', { $ref: '#/$defs/b', description: 'B.' }, { description: 'B.', anyOf: [{ $ref: '#/$defs/b' }] }],
])('%s is said in another way', (_, given, sent) => {
  expect(openaiSchema(object({ a: given }))).toEqual({ schema: closed({ a: sent }), strict: true })
})

test.each<[string, JsonSchema]>([
  ['anything at all', {}],
  ['a map', { type: 'object', propertyNames: text, additionalProperties: text }],
  ['other properties', { ...closed({ b: text }), additionalProperties: true }],
  ['a tuple', { type: 'array', prefixItems: [text], maxItems: 1 }],
  ['two schemas at once', { allOf: [closed({ b: text }), closed({ c: text })] }],
])('with %s in it a schema is sent as it is, not strict', (_, given) => {
  const schema = object({ a: given }, [])
  expect(openaiSchema(schema)).toEqual({ schema, strict: false })
})

test('formats, numbers and lengths of lists stay, and a property that is called like a keyword is a property', () => {
  const schema = closed({
    mail: { type: 'string', format: 'email' },
    maxLength: { type: 'integer', minimum: 1, maximum: 9 },
    default: { type: 'array', items: text, maxItems: 3 },
  })
  expect(openaiSchema(schema)).toEqual({ schema, strict: true })
})
