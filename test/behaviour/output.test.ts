import { expect } from 'vitest'
import { z } from 'zod'
import { array, ChainExhaustedError, choice, createClient, openai, ProviderError } from 'unbusy'
import { answer, fakeTarget } from 'unbusy/testing'
import { test } from '../helpers/vitest.ts'

const recipe = z.object({ name: z.string(), minutes: z.number() })
const lasagna = { name: 'Lasagna', minutes: 90 }
const whole = JSON.stringify(lasagna)

test('a typed answer is a value, and its text is kept', async () => {
  const target = fakeTarget(whole)
  const result = await createClient({ chain: [target] }).generate({ prompt: 'A recipe.', output: recipe })
  expect(result).toMatchObject({ output: lasagna, text: whole, degraded: false })
  expect(target.provider.calls[0]?.call.output).toMatchObject({
    type: 'json',
    schema: { type: 'object', required: ['name', 'minutes'] },
  })
})

const missing: Record<string, string> = {
  'wrong types': '{"name":"Lasagna","minutes":"ninety"}',
  'a missing field': '{"name":"Lasagna"}',
  'half JSON': '{"name":"Lasagna","minutes":9',
  'half JSON around a whole part': 'Here: {"name":"Lasagna","steps":[1,2]',
  prose: 'Lasagna takes ninety minutes.',
  'two values': `${whole} or ${whole}`,
}

test.for(Object.entries(missing))(
  '%s: the next target answers, and nobody is charged (R119, R120, R121, R122)',
  async ([, text]) => {
    const first = fakeTarget(text, { name: 'first' })
    const client = createClient({ chain: [first, fakeTarget(whole, { name: 'second' })] })
    const result = await client.generate({ prompt: 'A recipe.', output: recipe })
    expect(result).toMatchObject({ output: lasagna, provider: 'second' })
    expect(result.attempts.map(({ reason }) => reason)).toEqual(['invalid-output', undefined])
    expect(client.health()[0]).toMatchObject({ state: 'closed' })
  },
)

test('an empty answer is not a typed one: the next target answers', async () => {
  const client = createClient({ chain: [fakeTarget('', { name: 'first' }), fakeTarget(whole, { name: 'second' })] })
  expect(await client.generate({ prompt: 'A recipe.', output: recipe })).toMatchObject({ output: lasagna, provider: 'second' })
})

test('JSON that was cut at the output limit is no answer, even when it looks whole (R123)', async () => {
  const first = fakeTarget({ text: whole, finishReason: 'length' }, { name: 'first' })
  const client = createClient({ chain: [first, fakeTarget(whole, { name: 'second' })] })
  expect(await client.generate({ prompt: 'A recipe.', output: recipe })).toMatchObject({ provider: 'second' })
})

test.for([whole, '{"name":"Las'])(
  'JSON that a content filter ended is no answer, whole or cut, and no laxer model is asked (R123): %s',
  async text => {
    const second = fakeTarget(whole, { name: 'second' })
    const client = createClient({ chain: [fakeTarget({ text, finishReason: 'content-filter' }), second] })
    await expect(client.generate({ prompt: 'A recipe.', output: recipe })).rejects.toMatchObject({ reason: 'content-filter' })
    expect(second.provider.calls).toEqual([])
  },
)

test.for([`\`\`\`json\n${whole}\n\`\`\``, `Sure! Here it is [as asked]:\n\n${whole}\n\nEnjoy {your meal}.`])(
  'fences and prose around one value are read where a target cannot be held to a schema: %s',
  async text => {
    const loose = fakeTarget(text, { capabilities: { output: 'prompt' } })
    expect(await createClient({ chain: [loose] }).generate({ prompt: 'A recipe.', output: recipe })).toMatchObject({
      output: lasagna,
    })
    const forced = fakeTarget(text, { capabilities: { output: 'json-schema' } })
    const refused = createClient({ chain: [forced] }).generate({ prompt: 'A recipe.', output: recipe })
    await expect(refused).rejects.toMatchObject({ reason: 'invalid-output' })
  },
)

test('when all fail, the error has every raw text and what is wrong with it', async () => {
  const chain = [fakeTarget('{"name":1}', { name: 'first' }), fakeTarget('No.', { name: 'second' })]
  const error: unknown = await createClient({ chain })
    .generate({ prompt: 'secret', output: recipe })
    .catch((thrown: unknown) => thrown)
  if (!(error instanceof ChainExhaustedError)) throw new Error('expected', { cause: error })
  expect(error.failures.map(({ text }) => text)).toEqual(['{"name":1}', 'No.'])
  expect(error.failures[0]?.issues?.map(({ path }) => path)).toEqual([['name'], ['minutes']])
  expect(error.failures.every(failure => failure instanceof ProviderError && failure.reason === 'invalid-output')).toBe(true)
  expect(error.trail).toContain('name, minutes')
})

test('repair asks the same target once more with what was wrong, also when it is not retried', async () => {
  const target = fakeTarget(['{"name":"Lasagna","minutes":"ninety"}', whole], { retry: 0 })
  const client = createClient({ chain: [target], repair: 1 })
  const result = await client.generate({ prompt: 'A recipe.', output: recipe })
  expect(result.output).toEqual(lasagna)
  const [user, assistant, complaint] = target.provider.calls[1]!.call.messages
  expect([user?.role, assistant?.role, complaint?.role]).toEqual(['user', 'assistant', 'user'])
  expect(assistant?.content).toContain('ninety')
  expect(complaint?.content).toContain('- minutes: ')
})

test('what repair does not help, the next target answers, with the question as it was', async () => {
  const first = fakeTarget('No.', { name: 'first' })
  const second = fakeTarget(whole, { name: 'second' })
  const result = await createClient({ chain: [first, second] }).generate({ prompt: 'A recipe.', output: recipe, repair: 2 })
  expect(result.attempts.map(({ provider }) => provider)).toEqual(['first', 'first', 'first', 'second'])
  expect(second.provider.calls[0]?.call.messages).toHaveLength(1)
})

test('a call may bring its own default; the default of a client counts if it fits the schema', async () => {
  const chain = [fakeTarget('No.')]
  const own = await createClient({ chain }).generate({ prompt: 'Hi', output: recipe, defaultResponse: lasagna })
  expect(own).toMatchObject({ output: lasagna, degraded: true })
  const fits = createClient({ chain, defaultResponse: () => lasagna })
  expect(await fits.generate({ prompt: 'Hi', output: recipe })).toMatchObject({ output: lasagna, degraded: true })
  const misses = createClient({ chain, defaultResponse: 'We are busy.' })
  await expect(misses.generate({ prompt: 'Hi', output: recipe })).rejects.toBeInstanceOf(ChainExhaustedError)
  expect(await misses.generate({ prompt: 'Hi', output: z.string() })).toMatchObject({ output: 'We are busy.' })
})

test('OpenAI is held to optional properties too, and a null for one of them is as good as none', async ({ server }) => {
  const output = z.object({
    name: z.string(),
    nick: z.string().optional(),
    born: z.number().nullable(),
    lives: z.int().default(9),
  })
  const text = '{"name":"Minka","nick":null,"born":null,"lives":null}'
  const strict = await server(answer(text), { format: 'openai' })
  const client = createClient({ chain: [openai({ apiKey: 'test', baseURL: strict.baseURL })] })
  const result = await client.generate({ prompt: 'A cat.', output })
  expect(result).toMatchObject({ output: { name: 'Minka', born: null, lives: 9 }, text })
  expect(result.output).not.toHaveProperty('nick')
  expect(strict.requests[0]?.json).toMatchObject({
    response_format: { json_schema: { strict: true, schema: { required: ['name', 'nick', 'born', 'lives'] } } },
  })
  await client.close()
})

test('items of a list, and the inputs of tools, are rid of such nulls as well', async () => {
  const item = z.object({ n: z.number(), note: z.string().optional() })
  const target = fakeTarget([
    '{"elements":[{"n":1,"note":null},{"n":2,"note":"x"}]}',
    { toolCalls: [{ toolName: 'add', input: { n: 1, note: null } }] },
  ])
  const client = createClient({ chain: [target] })
  const elements: unknown[] = []
  const stream = await client.stream({ prompt: 'Hi', output: array(item) })
  for await (const event of stream) if (event.type === 'element') elements.push(event.element)
  expect(elements).toEqual([{ n: 1 }, { n: 2, note: 'x' }])
  const { toolCalls } = await client.generate({ prompt: 'Hi', tools: { add: { inputSchema: item, strict: true } } })
  expect(toolCalls[0]?.input).toEqual({ n: 1 })
})

test('choice() answers one of its words, wrapped or bare', async () => {
  const output = choice(['positive', 'negative'])
  const target = fakeTarget(['{"choice":"positive"}', 'negative', 'neutral'])
  const client = createClient({ chain: [target] })
  expect((await client.generate({ prompt: 'Nice!', output })).output).toBe('positive')
  expect((await client.generate({ prompt: 'Bad!', output })).output).toBe('negative')
  await expect(client.generate({ prompt: 'Hm.', output })).rejects.toMatchObject({ reason: 'invalid-output' })
  expect(target.provider.calls[0]?.call.output?.schema).toEqual({
    type: 'object',
    properties: { choice: { type: 'string', enum: ['positive', 'negative'] } },
    required: ['choice'],
    additionalProperties: false,
  })
})

test('a stream shows the value as it grows, and the whole of it at the end', async () => {
  const target = fakeTarget({ text: ['```json\n{"name":"Las', 'agna","min', 'utes":9', '0}\n```'] })
  const stream = await createClient({ chain: [target] }).stream({ prompt: 'A recipe.', output: recipe })
  const partials = new Set<unknown>()
  for await (const event of stream) if (event.type === 'partial-output') partials.add(event.output)
  // always the same object: it grows
  expect([...partials]).toEqual([lasagna])
  expect((await stream.result()).output).toEqual(lasagna)
})

test('a stream of array() tells each item when it is whole, validated', async () => {
  const output = array(z.object({ id: z.string().transform(Number) }))
  const target = fakeTarget({ text: ['{"elements":[{"id":"1"},{"i', 'd":"2"}', ',{"id":"3"}]}'] })
  const stream = await createClient({ chain: [target] }).stream({ prompt: 'Three.', output })
  const elements: unknown[] = []
  for await (const event of stream) if (event.type === 'element') elements.push([event.index, event.element])
  expect(elements).toEqual([
    [0, { id: 1 }],
    [1, { id: 2 }],
    [2, { id: 3 }],
  ])
  expect((await stream.result()).output).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
})

test('a stream whose whole value misses the schema breaks, or begins anew where that was said before', async () => {
  const chain = [fakeTarget('{"name":"Lasagna"}', { name: 'first' }), fakeTarget(whole, { name: 'second' })]
  const broken = await createClient({ chain }).stream({ prompt: 'A recipe.', output: recipe, repair: 1 })
  await expect(broken.result()).rejects.toMatchObject({
    name: 'StreamInterruptedError',
    failure: { reason: 'invalid-output', text: '{"name":"Lasagna"}' },
  })
  const restarting = await createClient({ chain, afterFirstToken: 'restart' }).stream({ prompt: 'A recipe.', output: recipe })
  const seen: string[] = []
  let shown: unknown
  for await (const event of restarting) {
    if (event.type === 'restart') seen.push(`restart: ${event.reason}`)
    if (event.type === 'partial-output') shown = event.output
  }
  expect(seen).toEqual(['restart: invalid-output'])
  expect(shown).toEqual(lasagna)
  expect(await restarting.result()).toMatchObject({ output: lasagna, text: whole, provider: 'second' })
})

test('what a stream holds back is repaired unseen', async () => {
  const target = fakeTarget(['{"name":"Lasagna"}', whole])
  const stream = await createClient({ chain: [target], holdBackChars: 1_000 }).stream({ prompt: 'Hi', output: recipe, repair: 1 })
  expect(await stream.text()).toBe(whole)
  expect((await stream.result()).output).toEqual(lasagna)
})

test('an element that misses its schema is not told, nor is one after it', async () => {
  const target = fakeTarget('{"elements":[{"n":1},{"n":"x"},{"n":3}]}')
  const stream = await createClient({ chain: [target] }).stream({ prompt: 'Hi', output: array(z.object({ n: z.number() })) })
  const elements: unknown[] = []
  const read = async () => {
    for await (const event of stream) if (event.type === 'element') elements.push(event.element)
  }
  await expect(read()).rejects.toMatchObject({ failure: { reason: 'invalid-output' } })
  expect(elements).toEqual([{ n: 1 }])
})

test('elements of an asynchronous schema come in order, before the end', async () => {
  const item = z.object({ n: z.number().refine(async n => Promise.resolve(n > 0)) })
  const target = fakeTarget({ text: ['{"elements":[{"n":1},', '{"n":2}', ',{"n":3}]}'] })
  const stream = await createClient({ chain: [target] }).stream({ prompt: 'Hi', output: array(item) })
  const types: unknown[] = []
  for await (const event of stream) types.push(event.type === 'element' ? event.element : event.type)
  expect(types.filter(type => typeof type === 'object')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  expect(types.at(-1)).toBe('finish')
})

test('an error inside a schema is the caller own: it is thrown as it is', async () => {
  const bug = new RangeError('a bug in a refinement')
  const output = z.object({ name: z.string() }).refine(() => {
    throw bug
  })
  await expect(createClient({ chain: [fakeTarget(whole)] }).generate({ prompt: 'Hi', output })).rejects.toBe(bug)
})

test.for([undefined, 7n, () => 'Sorry.', Symbol('sorry')])('a default function that returns %s is told of it', async value => {
  const client = createClient({ chain: [fakeTarget({ error: 'quota' })], defaultResponse: () => value })
  const message = 'The function in `defaultResponse` returned'
  await expect(client.generate('Hi')).rejects.toThrow(message)
  await expect(client.stream('Hi')).rejects.toBeInstanceOf(TypeError)
})
