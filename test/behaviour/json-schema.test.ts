import { expect, vi } from 'vitest'
import { array, createClient, jsonSchema, openai } from 'unbusy'
import { answer, fakeTarget } from 'unbusy/testing'
import { test } from '../helpers/vitest.ts'

const recipe = {
  type: 'object',
  properties: { name: { type: 'string' }, minutes: { type: 'integer', default: 30 } },
  required: ['name'],
}
/** zod cannot read it. */
const noText = { not: { type: 'string' } }

test('a wrong value is a failed attempt: the next target answers, and the value is the one of the schema', async () => {
  const first = fakeTarget('{"name":1}', { name: 'first' })
  const client = createClient({ chain: [first, fakeTarget('{"name":"Lasagna"}', { name: 'second' })] })
  const result = await client.generate({ prompt: 'A recipe.', output: jsonSchema<{ name: string }>(recipe) })
  expect(result).toMatchObject({ output: { name: 'Lasagna', minutes: 30 }, provider: 'second', warnings: [] })
  expect(result.attempts[0]).toMatchObject({ reason: 'invalid-output' })
})

test('the schema is sent as it was when it was given, without $schema', async ({ server }) => {
  const { baseURL, requests } = await server(answer('{"name":"Lasagna"}'), { format: 'openai' })
  const mine: Record<string, unknown> = { $schema: 'http://json-schema.org/draft-07/schema#', ...recipe }
  const output = jsonSchema(mine)
  mine['type'] = 'string'
  await using client = createClient({ chain: [openai({ baseURL, apiKey: 'test' })] })
  await client.generate({ prompt: 'A recipe.', output })
  const sent = JSON.stringify(requests[0]?.json)
  expect(sent).toContain('"type":"object"')
  expect(sent).not.toContain('$schema')
})

test('tool inputs are checked, and arrays item by item', async () => {
  const inputSchema = jsonSchema<{ city: string }>({
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  })
  const call = (input: unknown) => ({ toolCalls: [{ toolName: 'weather', input }] })
  const client = createClient({ chain: [fakeTarget(call({})), fakeTarget(call({ city: 'Oslo' }), { name: 'second' })] })
  const { toolCalls, provider } = await client.generate({ prompt: 'Cold?', tools: { weather: { inputSchema } } })
  expect({ toolCalls, provider }).toMatchObject({ toolCalls: [{ input: { city: 'Oslo' } }], provider: 'second' })

  const lists = createClient({ chain: [fakeTarget('[1,"2"]'), fakeTarget('[1,2]', { name: 'second' })] })
  const listed = await lists.generate({ prompt: 'Numbers.', output: array(jsonSchema<number>({ type: 'number' })) })
  expect(listed).toMatchObject({ output: [1, 2], provider: 'second' })
})

test('what nobody checks is said by a warning of the result and of the stream, once each', async () => {
  const message = expect.stringMatching(
    /^Values are not checked against this JSON Schema: zod .*jsonSchema\(schema, \{ validate \}\)\.$/,
  )
  const chain = [fakeTarget('5'), fakeTarget('6')]
  const client = createClient({ chain })
  const output = jsonSchema(noText)
  const { warnings, output: value } = await client.generate({ prompt: 'Hi.', output })
  expect({ warnings, value }).toEqual({ warnings: [{ provider: 'fake', setting: 'output', message }], value: 5 })

  const stream = await client.stream({ prompt: 'Hi.', output, tools: { go: { inputSchema: jsonSchema(noText) } } })
  const told: unknown[] = []
  for await (const event of stream) if (event.type === 'warning') told.push(event)
  expect(told).toEqual([
    { type: 'warning', setting: 'output', message },
    { type: 'warning', setting: 'tools.go.inputSchema', message },
  ])
})

test('what zod overlooks is said, and the rest is checked', async () => {
  const loose = jsonSchema({ type: 'object', properties: { name: { type: 'string' } }, required: ['name', 'minutes'] })
  const client = createClient({ chain: [fakeTarget('{"name":1}'), fakeTarget('{"name":"Lasagna"}', { name: 'second' })] })
  const { warnings } = await client.generate({ prompt: 'Hi.', output: loose })
  expect(warnings).toEqual([
    {
      provider: 'second',
      setting: 'output',
      message: expect.stringContaining('This JSON Schema is only partly checked: zod overlooks `required`'),
    },
  ])
})

const verdicts = {
  'a boolean': (value: unknown) => value === 5,
  'a boolean, later': async (value: unknown) => value === 5,
  'Standard Schema': (value: unknown) => (value === 5 ? { value } : { issues: [{ message: 'Not five.' }] }),
  'the AI SDK': (value: unknown) =>
    value === 5 ? { success: true as const, value } : { success: false as const, error: new Error('Not five.') },
}

test.for(Object.entries(verdicts))('a check of your own may answer as %s does, and no warning comes', async ([, validate]) => {
  const client = createClient({ chain: [fakeTarget('4'), fakeTarget('5', { name: 'second' })] })
  const result = await client.generate({ prompt: 'Hi.', output: jsonSchema(noText, { validate }) })
  expect(result).toMatchObject({ output: 5, provider: 'second', warnings: [] })
})

test('what ajv leaves on its function are the issues', async () => {
  const validate = Object.assign(() => false, { errors: [{ instancePath: '/name', message: 'must be string' }] })
  const client = createClient({ chain: [fakeTarget('{"name":5}')] })
  const error: unknown = await client
    .generate({ prompt: 'Hi.', output: jsonSchema(noText, { validate }) })
    .catch((e: unknown) => e)
  expect(error).toMatchObject({ failures: [{ issues: [{ path: ['name'], message: 'must be string' }] }] })
})

test('a check of your own sees only what zod lets through, with its defaults', async () => {
  const validate = vi.fn<(value: unknown) => boolean>(() => true)
  const client = createClient({ chain: [fakeTarget('{"name":1}'), fakeTarget('{"name":"Lasagna"}', { name: 'second' })] })
  await client.generate({ prompt: 'Hi.', output: jsonSchema(recipe, { validate }) })
  expect(validate.mock.calls).toEqual([[{ name: 'Lasagna', minutes: 30 }]])
})

test('what it throws, or a nonsense that it answers, is your bug and rejects the call', async () => {
  const bug = new Error('mine')
  const second = fakeTarget('5', { name: 'second' })
  const client = createClient({ chain: [fakeTarget('5'), second] })
  const thrower = jsonSchema(noText, {
    validate: () => {
      throw bug
    },
  })
  await expect(client.generate({ prompt: 'Hi.', output: thrower })).rejects.toBe(bug)
  const nonsense = jsonSchema(noText, { validate: (() => 'yes') as never })
  await expect(client.generate({ prompt: 'Hi.', output: nonsense })).rejects.toThrow(
    'jsonSchema: validate must return true, false, { value } or { issues }, not a string.',
  )
  expect(second.provider.calls).toEqual([])
})

test('wrong arguments say what to write', async () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  expect(() => jsonSchema('object' as never)).toThrow("an object like { type: 'object', properties: {} }, not a string.")
  expect(() => jsonSchema(circle)).toThrow('refers to itself')
  expect(() => jsonSchema(jsonSchema(recipe) as never)).toThrow('without jsonSchema()')
  expect(() => jsonSchema(recipe, { validate: true as never })).toThrow('jsonSchema: validate must be a function')
  expect(() => jsonSchema(recipe, { check: () => true } as never)).toThrow("there is no option 'check'")
  const client = createClient({ chain: [fakeTarget('5')] })
  await expect(client.generate({ prompt: 'Hi.', output: recipe as never })).rejects.toThrow(
    'generate: output is a plain object. Write jsonSchema({ ... }) around JSON Schema',
  )
})

test('the same schema, written anew for every call, is one schema', () => {
  expect(jsonSchema({ ...recipe })).toBe(jsonSchema({ ...recipe }))
  expect(jsonSchema({ type: 'number' })).not.toBe(jsonSchema({ ...recipe }))
})
