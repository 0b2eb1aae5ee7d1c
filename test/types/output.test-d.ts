import * as v from 'valibot'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { array, choice, createClient, deepseek, jsonSchema } from 'unbusy'
import type { AnswerStream, DeepPartial, GenerateInput, StreamInterruptedError } from 'unbusy'

const client = createClient({ chain: [deepseek()] })
const recipe = z.object({ name: z.string(), steps: z.array(z.object({ minutes: z.number() })) })
type Recipe = z.infer<typeof recipe>

test('the type of output comes from the schema', async () => {
  expectTypeOf((await client.generate({ prompt: 'Hi', output: recipe })).output).toEqualTypeOf<Recipe>()
  expectTypeOf((await client.generate({ prompt: 'Hi' })).output).toEqualTypeOf<undefined>()
  expectTypeOf((await client.generate('Hi')).output).toEqualTypeOf<undefined>()
  const dated = z.object({ on: z.string().transform(text => new Date(text)) })
  expectTypeOf((await client.generate({ prompt: 'Hi', output: dated })).output).toEqualTypeOf<{ on: Date }>()
  const ofValibot = toStandardJsonSchema(v.object({ name: v.string() }))
  expectTypeOf((await client.generate({ prompt: 'Hi', output: ofValibot })).output).toEqualTypeOf<{ name: string }>()
  const ofArktype = type({ name: 'string' })
  expectTypeOf((await client.generate({ prompt: 'Hi', output: ofArktype })).output).toEqualTypeOf<{ name: string }>()
  // @ts-expect-error there is no such field
  void (await client.generate({ prompt: 'Hi', output: recipe })).output.nme
})

test('choice and array have their types', async () => {
  const mood = await client.generate({ prompt: 'Hi', output: choice(['good', 'bad']) })
  expectTypeOf(mood.output).toEqualTypeOf<'good' | 'bad'>()
  // @ts-expect-error no such word
  void (mood.output === 'ugly')
  const recipes = await client.generate({ prompt: 'Hi', output: array(recipe) })
  expectTypeOf(recipes.output).toEqualTypeOf<Recipe[]>()
})

test('the type of jsonSchema() is what the caller says, and validate must give it', async () => {
  const named = jsonSchema<{ name: string }>({ type: 'object' })
  expectTypeOf((await client.generate({ prompt: 'Hi', output: named })).output).toEqualTypeOf<{ name: string }>()
  expectTypeOf((await client.generate({ prompt: 'Hi', output: jsonSchema({}) })).output).toEqualTypeOf<unknown>()
  const { toolCalls } = await client.generate({ prompt: 'Hi', tools: { weather: { inputSchema: named } } })
  expectTypeOf(toolCalls[0]?.input).toEqualTypeOf<{ name: string } | undefined>()
  void jsonSchema<number>({}, { validate: value => typeof value === 'number' })
  // @ts-expect-error not the type that was promised
  void jsonSchema<number>({}, { validate: () => ({ value: 'one' }) })
  // @ts-expect-error no such option
  void jsonSchema({}, { check: () => true })
})

test('what is no schema does not compile', () => {
  // @ts-expect-error JSON Schema has no type of its own
  void client.generate({ prompt: 'Hi', output: { type: 'object' } })
  // @ts-expect-error a text
  void client.generate({ prompt: 'Hi', output: 'json' })
  // @ts-expect-error words are texts
  choice([1, 2])
  // @ts-expect-error a list has a schema for its items
  array('names')
  // @ts-expect-error a number
  void client.generate({ prompt: 'Hi', output: recipe, repair: true })
})

test('a default is of the type of the schema', () => {
  void client.generate({ prompt: 'Hi', output: recipe, defaultResponse: { name: 'Bread', steps: [] } })
  void client.generate({ prompt: 'Hi', output: recipe, defaultResponse: async () => ({ name: 'Bread', steps: [] }) })
  void client.generate({ prompt: 'Hi', output: choice(['good', 'bad']), defaultResponse: 'good' })
  void client.generate({ prompt: 'Hi', defaultResponse: 'We are busy.' })
  // @ts-expect-error a field is missing
  void client.generate({ prompt: 'Hi', output: recipe, defaultResponse: { name: 'Bread' } })
  // @ts-expect-error no such word
  void client.generate({ prompt: 'Hi', output: choice(['good', 'bad']), defaultResponse: 'ugly' })
  // @ts-expect-error a text is no recipe
  void client.generate({ prompt: 'Hi', output: recipe, defaultResponse: () => 'We are busy.' })
})

test('a stream shows parts of the value, and items of the list', async () => {
  const stream = await client.stream({ prompt: 'Hi', output: recipe })
  expectTypeOf((await stream.result()).output).toEqualTypeOf<Recipe>()
  for await (const event of stream) {
    if (event.type === 'partial-output') {
      expectTypeOf(event.output).toEqualTypeOf<DeepPartial<Recipe>>()
      expectTypeOf(event.output.name).toEqualTypeOf<string | undefined>()
    }
    // @ts-expect-error a recipe has no items
    if (event.type === 'element') void event.element.name
  }
  for await (const event of await client.stream({ prompt: 'Hi', output: array(recipe) })) {
    if (event.type === 'element') expectTypeOf(event.element).toEqualTypeOf<Recipe>()
  }
  for await (const event of await client.stream('Hi')) {
    // @ts-expect-error nothing typed was asked for
    if (event.type === 'partial-output') void event
  }
})

test('a stream that is gone on with has the type of its call', async () => {
  const stream = await client.stream({ prompt: 'Hi', output: recipe })
  expectTypeOf(stream.resume).returns.resolves.toEqualTypeOf<typeof stream>()
  expectTypeOf((await (await stream.resume()).result()).output).toEqualTypeOf<Recipe>()
  const moods = await (await client.stream({ prompt: 'Hi', output: array(choice(['good', 'bad'])) })).resume()
  for await (const event of moods) if (event.type === 'element') expectTypeOf(event.element).toEqualTypeOf<'good' | 'bad'>()
  // an error that was caught knows nothing of the call
  expectTypeOf<StreamInterruptedError['resume']>().returns.resolves.toEqualTypeOf<AnswerStream>()
})

test('an input that was made elsewhere keeps working', async () => {
  const input: GenerateInput = { prompt: 'Hi', output: recipe }
  expectTypeOf((await client.generate(input)).output).toBeUnknown()
})
