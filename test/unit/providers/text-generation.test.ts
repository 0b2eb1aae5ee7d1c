import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { textGeneration, type TextGenerationOptions } from '../../../src/providers/text-generation.ts'
import { type Answer, answerOf, ask, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

const messages: Call['messages'] = [{ role: 'user', content: 'Why is the sky blue?' }]

async function asked(
  options: Partial<TextGenerationOptions> = {},
  call: Partial<Call> = {},
  answer: Answer = { body: '{"response":"Rayleigh."}' },
) {
  const server = await startRecorder(() => answer)
  const target = textGeneration({ baseURL: server.origin, ...options })
  const events = await ask(target, { messages, ...call })
  const [{ method, url, body } = { method: '', url: '', body: {} as Record<string, unknown> }] = server.requests
  return { method, url, body, answer: answerOf(events), warnings: warningsOf(events) }
}

test('POST /generate with a prompt answers a response: one text, then the finish, and no usage', async () => {
  expect(await asked()).toEqual({
    method: 'POST',
    url: '/generate',
    body: { prompt: 'Why is the sky blue?' },
    answer: [
      { type: 'text-delta', text: 'Rayleigh.' },
      { type: 'finish', finishReason: 'stop' },
    ],
    warnings: [],
  })
})

test('the prompt may stand in the URL', async () => {
  expect(await asked({ promptIn: 'query' })).toMatchObject({
    method: 'POST',
    url: '/generate?prompt=Why+is+the+sky+blue%3F',
    body: {},
  })
  expect(await asked({ method: 'GET', path: 'ask', promptField: 'q' })).toMatchObject({
    method: 'GET',
    url: '/ask?q=Why+is+the+sky+blue%3F',
    body: undefined,
  })
})

test('names can be set, and fields that the server has besides', async () => {
  const options = { path: '/v2/complete', promptField: 'inputs', responseField: 'generated_text', extraBody: { top_k: 1 } }
  const { url, body, answer } = await asked(options, { extraBody: { top_k: 2 } }, { body: '{"generated_text":"Yes."}' })
  expect({ url, body, text: answer[0] }).toEqual({
    url: '/v2/complete',
    body: { inputs: 'Why is the sky blue?', top_k: 2 },
    text: { type: 'text-delta', text: 'Yes.' },
  })
})

test('a bare JSON text is an answer too', async () => {
  expect((await asked({}, {}, { body: '"Yes."' })).answer[0]).toEqual({ type: 'text-delta', text: 'Yes.' })
})

test('a conversation becomes one prompt, with a heading for every turn', async () => {
  const turns: Call['messages'] = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: 'One.' },
    { role: 'user', content: [{ type: 'text', text: 'Two?' }] },
  ]
  expect((await asked({}, { messages: turns })).body['prompt']).toMatchInlineSnapshot(`
    "Be brief.

    User: One?

    Assistant: One.

    User: Two?

    Assistant:"
  `)
  const toPrompt = () => '<s>[INST] Two? [/INST]'
  expect((await asked({ toPrompt }, { messages: turns })).body['prompt']).toBe('<s>[INST] Two? [/INST]')
})

test('settings that it cannot take give a warning each', async () => {
  expect((await asked({}, { temperature: 0, seed: 1, reasoning: 'high' })).warnings).toEqual(['temperature', 'seed', 'reasoning'])
})

test('JSON is asked for in words', async () => {
  expect((await asked({}, { output: { type: 'json' } })).body['prompt']).toBe('Answer in JSON.\n\nWhy is the sky blue?')
})

test.each<[string, Answer, string]>([
  ['a blank body is busy (R43)', { body: '\n\n' }, 'overloaded'],
  ['an empty text', { body: '{"response":" "}' }, 'empty'],
  ['another field', { body: '{"text":"x"}' }, 'malformed-response'],
  ['half a body', { body: '{"response":"Ra' }, 'truncated'],
  ['plain text', { body: 'Rayleigh.' }, 'malformed-response'],
  ['an error inside a 200', { body: '{"error":"queue is full"}' }, 'overloaded'],
  ['503', { status: 503, body: '{"detail":"busy"}' }, 'overloaded'],
  ['422 of FastAPI', { status: 422, body: '{"detail":[{"loc":["body","prompt"],"msg":"field required"}]}' }, 'invalid-request'],
])('%s is a failure, never an answer', async (_, answer, reason) => {
  await expect(asked({}, {}, answer)).rejects.toMatchObject({ name: 'ProviderError', reason })
})

test.each([
  ['Triton', { model_name: 'ensemble', text_output: 'Hi' }, 'stop'],
  ['KoboldCpp', { results: [{ text: 'Hi', finish_reason: 'length' }] }, 'length'],
  ['llama.cpp', { content: 'Hi', stop: true, stop_type: 'limit', tokens_evaluated: 3, tokens_predicted: 4 }, 'length'],
  ['llama.cpp, older', { content: 'Hi', stop: true, stopped_limit: true }, 'length'],
  ['llama.cpp, a stop word', { content: 'Hi', stop: true, stop_type: 'word' }, 'stop'],
  ['SageMaker', { predictions: ['Hi'] }, 'stop'],
  ['completions', { choices: [{ text: 'Hi', finish_reason: 'length' }] }, 'length'],
  ['chat completions', { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] }, 'stop'],
  ['a result', { result: 'Hi' }, 'stop'],
  ['a status around it', { code: 0, msg: 'ok', data: { response: 'Hi' } }, 'stop'],
])('F65: the answer of %s is read', async (_, body, finishReason) => {
  const { answer } = await asked({}, {}, { body: JSON.stringify(body) })
  expect(answer).toMatchObject([
    { type: 'text-delta', text: 'Hi' },
    { type: 'finish', finishReason },
  ])
})

test.each([
  [{ code: 500, msg: 'CUDA out of memory', data: null }, 'server-error'],
  [{ code: 500, msg: 'CUDA out of memory', result: 'failed' }, 'server-error'],
  [{ status: 'error', message: 'The model is too busy' }, 'overloaded'],
])('F65: the error %j in a 200 is none', async (body, reason) => {
  await expect(asked({}, {}, { body: JSON.stringify(body) })).rejects.toMatchObject({ reason })
})

test.each([
  ['lines', '{"response":"Hi","done":false}\n{"response":" you","done":true}\n'],
  ['events of llama.cpp', 'data: {"content":"Hi","stop":false}\n\ndata: {"content":" you","stop":true,"stop_type":"eos"}\n\n'],
  ['events of KoboldCpp', 'data: {"token":"Hi"}\n\ndata: {"token":" you","finish_reason":"stop"}\n\n'],
])('F64: %s are read to their end', async (_, body) => {
  const { answer } = await asked({}, {}, { body })
  const text = answer.map(event => (event.type === 'text-delta' ? event.text : '')).join('')
  expect(text).toBe('Hi you')
})

test('R37: the first of several lines is no answer', async () => {
  await expect(asked({}, {}, { body: '{"response":"Hi","done":false}\n' })).rejects.toMatchObject({ reason: 'truncated' })
})
