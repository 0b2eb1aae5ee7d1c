import { createClient, jsonSchema, openai } from 'unbusy'
import { answer, startServer } from 'unbusy/testing'

await using server = await startServer(
  [answer('{"name":"Lasagna","minutes":"ninety"}'), answer('{"name":"Lasagna","minutes":90}')],
  {
    format: 'openai',
  },
)
await using client = createClient({ chain: [openai({ baseURL: server.baseURL, apiKey: 'test' })], repair: 1 })

type Recipe = { readonly name: string; readonly minutes: number }

const { output, attempts } = await client.generate({
  prompt: 'A recipe.',
  output: jsonSchema<Recipe>({
    type: 'object',
    properties: { name: { type: 'string' }, minutes: { type: 'integer', minimum: 1 } },
    required: ['name', 'minutes'],
  }),
})
console.log(`${output.name}: ${output.minutes} minutes, after ${attempts.length} requests`)

// zod cannot read `not`, so a function checks the value: one that ajv compiled, or your own.
const notEmpty = jsonSchema<string>(
  { not: { const: '' }, type: 'string' },
  { validate: value => (value === '' ? { issues: [{ message: 'It is empty.' }] } : { value: String(value) }) },
)
console.log(await notEmpty['~standard'].validate(''))
//=> Lasagna: 90 minutes, after 2 requests
//=> { issues: [ { message: 'It is empty.' } ] }
