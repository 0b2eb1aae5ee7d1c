import { expect, test } from 'vitest'
import { z } from 'zod'
import { array, choice, createClient, llama, ProviderError } from 'unbusy'
import type { StandardSchema } from 'unbusy'
import { baseURL, llamaRunning } from '../helpers/llama-running.ts'

/** A llama.cpp server with a small model. What it writes is nonsense, but held to the schema by its grammar. */
const skip = { skip: llamaRunning.isMissing, timeout: 120_000 }
const { suffix } = llamaRunning

const word = z.string().max(12)
const colour = z.enum(['red', 'green', 'blue'])
const point = z.object({ x: z.int().min(0).max(99), y: z.int().min(0).max(99) })

const scalars = {
  text: word,
  'a text of a length': z.string().min(2).max(5),
  'a whole number': z.int().min(-5).max(5),
  'a number': z.number().min(0).max(9),
  'yes or no': z.boolean(),
  nothing: z.null(),
  'a colour': colour,
  'one word': z.literal('yes'),
  'one number': z.literal(42),
  'words and numbers': z.literal(['a', 1, true]),
  'or null': word.nullable(),
  'a union of scalars': z.union([z.boolean(), colour]),
  'a date as text': z.iso.date(),
  'a pattern': z.string().regex(/^[A-Z]{2}-\d{3}$/),
} satisfies Record<string, StandardSchema>

const rooted = {
  'list of points': z.array(point).max(2),
  'list of words': z.array(word).min(1).max(3),
  'list of lists': z.array(z.array(z.int().min(0).max(9)).max(2)).max(2),
  pair: z.tuple([z.boolean(), colour]),
  'choice()': choice(['positive', 'negative', 'neutral']),
  'array()': array(colour),
  'array() of objects': array(z.object({ on: z.boolean() })),
  'a union of objects': z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('circle'), radius: z.int().min(1).max(9) }),
    z.object({ kind: z.literal('square'), side: z.int().min(1).max(9) }),
  ]),
} satisfies Record<string, StandardSchema>

const tree: z.ZodType = z.object({
  value: z.int().min(0).max(9),
  get left() {
    return tree.nullable()
  },
})

const objects = {
  nested: z.object({ a: z.object({ b: z.object({ c: z.boolean() }) }) }),
  'with an optional field': z.object({ name: word, nick: word.optional() }),
  'all optional': z.object({ a: z.boolean().optional(), b: colour.optional() }),
  'with a default': z.object({ size: z.enum(['s', 'm']).default('m'), on: z.boolean() }),
  'unicode keys': z.object({ größe: z.int().min(0).max(9), 名前: word, 'ключ с пробелом': z.boolean() }),
  'emoji keys': z.object({ '🙂': z.boolean(), 'a\tb': z.boolean() }),
  'keys that need quotes': z.object({ 'a-b': z.boolean(), 'c.d': z.boolean(), '"e"': z.boolean(), 'back\\slash': z.boolean() }),
  'unicode values': z.object({ city: z.enum(['Zürich', '東京', 'Москва']) }),
  'a field named type': z.object({ type: colour, properties: z.boolean() }),
  closed: z.strictObject({ on: z.boolean() }),
  'lists in it': z.object({ points: z.array(point).max(2), tags: z.array(colour).max(2) }),
  'a union in it': z.object({ id: z.union([z.int().min(0).max(9), colour]) }),
  'a map': z.object({ on: z.record(colour, z.boolean()) }),
  tree,
} satisfies Record<string, StandardSchema>

const schemas: readonly (readonly [string, StandardSchema])[] = [
  ...Object.entries(scalars),
  ...Object.entries(scalars).map(([name, schema]) => [`${name}, in an object`, z.object({ value: schema })] as const),
  ...Object.entries(rooted),
  ...Object.entries(objects),
]

test(`llama.cpp: ${schemas.length} schemas are enough to tell`, () => {
  expect(schemas.length).toBeGreaterThanOrEqual(50)
})

test.for(schemas)(
  `llama.cpp, held to %s: a value of it, or a clean failure, never a wrong value${suffix}`,
  skip,
  async ([, schema]) => {
    await using client = createClient({ chain: [llama({ baseURL, retry: 0 })], timeout: { firstChunkMs: 60_000 } })
    const asked = client.generate({ prompt: 'Answer.', output: schema, maxOutputTokens: 120, seed: 7, temperature: 0.7 })
    const outcome = await asked.then(
      ({ text, output }) => ({ text, output }),
      (error: unknown) => (error as { failures: readonly ProviderError[] }).failures[0],
    )
    if (outcome instanceof ProviderError) {
      expect(outcome).toMatchObject({ reason: 'invalid-output' })
      // it was cut, or breaks a rule that a grammar has no word for; it was not refused
      expect(outcome.text).toEqual(expect.any(String))
    } else {
      // what the model wrote is what the schema made of it
      expect(JSON.parse(outcome!.text)).toBeTypeOf('object')
      expect(outcome!.output).toBeDefined()
    }
  },
)

test(`llama.cpp: most of these schemas are met${suffix}`, skip, async () => {
  await using client = createClient({ chain: [llama({ baseURL, retry: 0 })], timeout: { firstChunkMs: 60_000 } })
  const stream = await client.stream({ prompt: 'Answer.', output: array(point), maxOutputTokens: 200, seed: 1 })
  const elements: unknown[] = []
  for await (const event of stream) if (event.type === 'element') elements.push(event.element)
  expect((await stream.result()).output).toEqual(elements)
})
