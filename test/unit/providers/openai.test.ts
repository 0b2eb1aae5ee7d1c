import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { openai } from '../../../src/providers/openai.ts'
import { answerOf, ask, chatStream, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

const messages: Call['messages'] = [{ role: 'user', content: 'Hello?' }]
const weather = { inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } }

async function sent(model: string, call: Partial<Call>) {
  const server = await startRecorder(() => chatStream('Hello'))
  const events = await ask(openai(model, { baseURL: server.origin, apiKey: 'sk-test' }), { messages, ...call })
  return { body: server.requests[0]?.body ?? {}, warnings: warningsOf(events) }
}

test('the gpt-6 family calls tools without reasoning only, and is told so', async () => {
  expect(await sent('gpt-6-luna', { tools: { weather }, reasoning: 'high' })).toMatchObject({
    body: { reasoning_effort: 'none' },
    warnings: ['reasoning'],
  })
  expect(await sent('gpt-6-luna', { tools: { weather }, reasoning: 'off' })).toMatchObject({
    body: { reasoning_effort: 'none' },
    warnings: [],
  })
  expect(await sent('gpt-5', { tools: { weather }, reasoning: 'high' })).toMatchObject({
    body: { reasoning_effort: 'high' },
    warnings: [],
  })
})

test('while it reasons the gpt-6 family takes no temperature and no topP', async () => {
  const { body, warnings } = await sent('gpt-6-sol', { temperature: 0, topP: 0.5 })
  expect(body).not.toHaveProperty('temperature')
  expect(body).not.toHaveProperty('top_p')
  expect(warnings).toEqual(['temperature', 'topP'])
  expect(await sent('gpt-6-sol', { temperature: 0, reasoning: 'off' })).toMatchObject({
    body: { temperature: 0, reasoning_effort: 'none' },
    warnings: [],
  })
})

test('reasoning that extraBody switches off is off: nothing is left out, and no tool is in its way', async () => {
  const call = { temperature: 0, topP: 0.5, tools: { weather }, extraBody: { reasoning_effort: 'none' } }
  expect(await sent('gpt-6-luna', call)).toMatchObject({
    body: { reasoning_effort: 'none', temperature: 0, top_p: 0.5 },
    warnings: [],
  })
})

test.each(['off', 'low', 'high', 'max'] as const)('reasoning "%s" is an effort', async reasoning => {
  expect((await sent('gpt-6-luna', { reasoning })).body['reasoning_effort']).toBe(reasoning === 'off' ? 'none' : reasoning)
})

test('strict tools get a schema that strict knows; one that cannot be put so is sent not strict', async () => {
  const loose = { type: 'object', properties: { city: { type: 'string' } }, additionalProperties: true }
  const { body, warnings } = await sent('gpt-6-luna', {
    reasoning: 'off',
    tools: {
      weather: { ...weather, strict: true },
      other: { inputSchema: loose, strict: true },
      free: { inputSchema: loose },
      optional: { inputSchema: { ...weather.inputSchema, required: [] }, strict: true },
    },
  })
  expect(warnings).toEqual(['tools'])
  expect(body['tools']).toMatchObject([
    { function: { name: 'weather', strict: true, parameters: { ...weather.inputSchema, additionalProperties: false } } },
    { function: { name: 'other', strict: false, parameters: loose } },
    { function: { name: 'free', parameters: loose } },
    { function: { strict: true, parameters: { properties: { city: { type: ['string', 'null'] } }, required: ['city'] } } },
  ])
})

test('JSON without a schema is JSON mode, with the word json in the prompt', async () => {
  expect((await sent('gpt-6-luna', { output: { type: 'json' } })).body).toMatchObject({
    response_format: { type: 'json_object' },
    messages: [{ role: 'developer', content: 'Answer in JSON.' }, { role: 'user' }],
  })
})

test('images go by address and as data', async () => {
  const images = ['https://example.com/cat.png', 'data:image/png;base64,aGk=']
  const content = [{ type: 'text' as const, text: 'Which?' }, ...images.map(image => ({ type: 'image' as const, image }))]
  expect((await sent('gpt-6-luna', { messages: [{ role: 'user', content }] })).body['messages']).toEqual([
    {
      role: 'user',
      content: [{ type: 'text', text: 'Which?' }, ...images.map(url => ({ type: 'image_url', image_url: { url } }))],
    },
  ])
})

test('a tag in its answer is text: it keeps its thoughts to itself', async () => {
  const server = await startRecorder(() => chatStream('<think>is a tag</think>'))
  const events = await ask(openai({ baseURL: server.origin, apiKey: 'sk-test' }), { messages })
  expect(answerOf(events)[0]).toEqual({ type: 'text-delta', text: '<think>is a tag</think>' })
})
