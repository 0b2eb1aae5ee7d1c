import { array, createClient, type StandardSchema } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect, test } from 'vitest'
import * as mini from 'zod/mini'
import { peers } from '../helpers/peers.ts'

const olderZods = peers('zod-old')

const recipe = mini.object({ name: mini.string(), minutes: mini.optional(mini.number()) })
const answered = { text: '{"name":"Lasagna","minutes":40}' }

test('zod/mini, which offers no JSON Schema, is an output, the item of a list and the input of a tool', async () => {
  const target = fakeTarget([
    answered,
    { text: '{"elements":[{"name":"Lasagna"}]}' },
    { toolCalls: [{ toolName: 'cook', input: { name: 'Lasagna' } }] },
  ])
  const client = createClient({ chain: [target] })
  const { output } = await client.generate({ prompt: 'A recipe.', output: recipe })
  expect(output).toEqual({ name: 'Lasagna', minutes: 40 })
  const list = await client.stream({ prompt: 'Recipes.', output: array(recipe) })
  expect((await list.result()).output).toEqual([{ name: 'Lasagna' }])
  const { toolCalls } = await client.generate({ prompt: 'Cook.', tools: { cook: { inputSchema: recipe } } })
  expect(toolCalls).toMatchObject([{ toolName: 'cook', input: { name: 'Lasagna' } }])
  const [single, , tool] = target.provider.calls.map(({ call }) => call)
  expect(single?.output?.schema).toMatchObject({ properties: { name: { type: 'string' } }, required: ['name'] })
  expect(tool?.tools?.['cook']?.inputSchema).toMatchObject({ properties: { minutes: { type: 'number' } }, required: ['name'] })
})

test('two calls at once may be the first that need it', async () => {
  const target = fakeTarget({ text: '{"name":"Lasagna"}' })
  const client = createClient({ chain: [target] })
  const ask = async (): Promise<unknown> => (await client.generate({ prompt: 'A recipe.', output: recipe })).output
  expect(await Promise.all([ask(), ask()])).toEqual([{ name: 'Lasagna' }, { name: 'Lasagna' }])
})

test('a type that JSON Schema has no word for is refused before anything is sent', async () => {
  const target = fakeTarget('{}')
  const asked = createClient({ chain: [target] }).generate({ prompt: 'When?', output: mini.object({ on: mini.date() }) })
  await expect(asked).rejects.toThrow(/^generate: output contains a type that JSON Schema cannot express: Date/)
  expect(target.provider.calls).toEqual([])
})

type OldZod = {
  readonly object: (shape: object) => StandardSchema
  readonly string: () => { describe(description: string): StandardSchema }
}

test.skipIf(olderZods.isMissing).each(['zod-4.0', 'zod-4.1', 'zod-3/v4'])(
  `so is %s, with its descriptions${olderZods.suffix}`,
  async name => {
    const old = await olderZods.load<OldZod>(name)
    const target = fakeTarget(answered)
    const output = old.object({ name: old.string().describe('How it is called.') })
    const result = await createClient({ chain: [target] }).generate({ prompt: 'A recipe.', output })
    expect(result.output).toEqual({ name: 'Lasagna' })
    expect(target.provider.calls[0]?.call.output?.schema).toMatchObject({
      properties: { name: { type: 'string', description: 'How it is called.' } },
    })
  },
)

test.skipIf(olderZods.isMissing)(`F102: users of zod 3 are told that zod 4 is in it already${olderZods.suffix}`, async () => {
  const old = await olderZods.load<OldZod>('zod-3')
  const target = fakeTarget(answered)
  const asked = createClient({ chain: [target] }).generate({ prompt: 'A recipe.', output: old.object({ name: old.string() }) })
  await expect(asked).rejects.toThrow(
    /^generate: output is a schema that cannot be converted to JSON Schema\. It is one of zod 3.*from 'zod\/v4'/,
  )
  expect(target.provider.calls).toEqual([])
})
