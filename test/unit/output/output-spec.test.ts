import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { array, choice } from '../../../src/output/forms.ts'
import { outputSpec } from '../../../src/output/output-spec.ts'

const schemaOf = (schema: unknown) => outputSpec(schema).format.schema
const how = { isForced: true, finishReason: 'stop', requestId: undefined } as const

test.for([
  ['zod', z.object({ name: z.string() })],
  ['arktype', type({ name: 'string' })],
  ['valibot', toStandardJsonSchema(v.object({ name: v.string() }))],
] as const)('a schema of %s is told to models as JSON Schema, and checks what they answer', async ([, schema]) => {
  const spec = outputSpec(schema)
  expect(spec.format.schema).toMatchObject({ type: 'object', properties: { name: { type: 'string' } }, required: ['name'] })
  expect(await spec.read('{"name":"Bread"}', how)).toEqual({ name: 'Bread' })
  const failure: unknown = await (async () => spec.read('{"name":1}', how))().catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({ reason: 'invalid-output', text: '{"name":1}', issues: [{ path: ['name'] }] })
})

test('what offers no JSON Schema is refused with what to write', () => {
  expect(() => outputSpec(v.object({ name: v.string() }))).toThrow(/toStandardJsonSchema/)
  expect(() => outputSpec({ '~standard': { version: 1, vendor: 'zod', validate: () => ({}) } })).toThrow(/'zod\/v4'/)
  expect(() => outputSpec({ '~standard': { version: 1, vendor: 'other', validate: () => ({}) } })).toThrow(/zod 4, arktype/)
  expect(() => outputSpec({ type: 'object' })).toThrow(/Write jsonSchema/)
  expect(() => outputSpec(z.object({ on: z.date() }))).toThrow(/JSON Schema cannot express/)
  expect(() => choice([])).toThrow(TypeError)
  expect(() => array('names' as never)).toThrow(TypeError)
})

test('the same schema is converted once', () => {
  const schema = z.object({ name: z.string() })
  expect(outputSpec(schema)).toBe(outputSpec(schema))
})

test('what is no object travels in a field of one, with its definitions at the root', () => {
  expect(schemaOf(z.string())).toEqual({
    type: 'object',
    properties: { value: { type: 'string' } },
    required: ['value'],
    additionalProperties: false,
  })
  type Tree = { name: string; children: Tree[] }
  const tree: z.ZodType<Tree> = z.object({
    name: z.string(),
    get children() {
      return z.array(tree)
    },
  })
  for (const schema of [tree, z.array(tree), array(tree), z.union([tree, z.null()])]) {
    const text = JSON.stringify(schemaOf(schema))
    expect(text).not.toContain('"$ref":"#"')
    for (const [, name = ''] of text.matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g))
      expect(schemaOf(schema)).toHaveProperty(['$defs', name])
  }
})

test('a tuple is closed in a way that every server knows', () => {
  const { properties } = schemaOf(z.object({ pair: z.tuple([z.boolean(), z.string()]) })) as { properties: object }
  expect(properties).toEqual({
    pair: { type: 'array', prefixItems: [{ type: 'boolean' }, { type: 'string' }], minItems: 2, maxItems: 2 },
  })
})

test('a schema that takes its time is waited for', async () => {
  const schema = z.object({ name: z.string().refine(async name => Promise.resolve(name !== 'Bread')) })
  expect(await outputSpec(schema).read('{"name":"Cake"}', how)).toEqual({ name: 'Cake' })
  await expect(outputSpec(schema).read('{"name":"Bread"}', how)).rejects.toMatchObject({ reason: 'invalid-output' })
  const items = await outputSpec(array(schema)).check([{ name: 'Cake' }, { name: 'Bread' }])
  expect(items).toMatchObject({ issues: [{ path: [1, 'name'] }] })
})

test('no part of an answer is in the message, only where it is wrong', () => {
  const read = () => outputSpec(z.object({ list: z.array(z.literal('a')) })).read('{"list":["a","secret"]}', how)
  expect(read).toThrow('The answer does not have the requested form: it does not match the schema at list.1 (see issues).')
})
