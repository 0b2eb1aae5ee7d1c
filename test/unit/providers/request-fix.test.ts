import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { host } from '../../../src/providers/host.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { openai } from '../../../src/providers/openai.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import { type Answer, answerOf, ask, chatStream, startRecorder } from '../../helpers/recording-server.ts'

const apiKey = 'sk-test'
const messages: Call['messages'] = [{ role: 'user', content: 'Hello?' }]

function refusal(message: string, fields: Record<string, unknown> = {}): Answer {
  return { status: 400, body: JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, ...fields } }) }
}

/** Gives the answers one after the other, the last one for ever. */
function inTurn(...answers: readonly Answer[]) {
  return startRecorder((_, index) => answers[index] ?? answers.at(-1) ?? { body: '' })
}

const contextLength = {
  deepseek:
    "This model's maximum context length is 1048576 tokens. However, you requested 1058576 tokens (1000000 in the messages, 58576 in the completion). Please reduce the length of the messages or completion.",
  'deepseek with images':
    "This model's maximum context length is 1048576 tokens. However, the request resolved to 1000000 input tokens (including image/vision expansion). Please reduce the length of the messages or completion.",
  vllm: "'max_tokens' or 'max_completion_tokens' is too large: 58576. This model's maximum context length is 1048576 tokens and your request has 1000000 input tokens (58576 > 1048576 - 1000000).",
}

test.each(Object.entries(contextLength))(
  '%s: an answer that does not fit is asked for once more, as long as there is room',
  async (_, message) => {
    const server = await inTurn(refusal(message), chatStream('Hello'))
    const events = await ask(vllm('x', { baseURL: server.origin }), { messages, maxOutputTokens: 58_576 })
    expect(server.requests.map(({ body }) => body['max_tokens'])).toEqual([58_576, 48_576])
    expect(answerOf(events)).toMatchObject([
      { type: 'warning', setting: 'maxOutputTokens', message: expect.stringContaining('48576 of the 58576') as string },
      { type: 'text-delta', text: 'Hello' },
      { type: 'finish' },
    ])
  },
)

test('a conversation that does not fit itself is not sent again', async () => {
  const message =
    "This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (5000 in the messages, 100 in the completion)."
  const server = await inTurn(refusal(message))
  const failed = ask(vllm('x', { baseURL: server.origin }), { messages, maxOutputTokens: 100 })
  await expect(failed).rejects.toMatchObject({ reason: 'context-length', contextTokens: 4096 })
  expect(server.requests).toHaveLength(1)
})

test("without maxOutputTokens it is the server's own default that is made smaller, where it says what that is", async () => {
  const told = await inTurn(refusal(contextLength.deepseek), chatStream('Hello'))
  await ask(deepseek({ baseURL: told.origin, apiKey }), { messages })
  expect(told.requests.map(({ body }) => body['max_tokens'])).toEqual([undefined, 48_576])
  const server = await inTurn(refusal(contextLength['deepseek with images']))
  await expect(ask(vllm('x', { baseURL: server.origin }), { messages })).rejects.toMatchObject({ reason: 'context-length' })
  expect(server.requests).toHaveLength(1)
})

test('a host that turns out to want the reasoning of every turn gets it (R127, R128)', async () => {
  const server = await inTurn(
    refusal('The `reasoning_content` in the thinking mode must be passed back to the API.'),
    chatStream('Hello'),
  )
  const turns: Call['messages'] = [...messages, { role: 'assistant', content: 'Hi.' }, { role: 'user', content: 'Well?' }]
  await ask(openaiCompatible('x', { baseURL: server.origin }), { messages: turns })
  const sent = server.requests.map(({ body }) => (body['messages'] as { reasoning_content?: string }[])[1]?.reasoning_content)
  expect(sent).toEqual([undefined, ''])
})

test('a host that turns out to refuse the reasoning of earlier turns does not get it (R127)', async () => {
  const server = await inTurn(
    refusal("Extra inputs are not permitted, field: 'messages[1].assistant.reasoning_content'"),
    chatStream('Hello'),
  )
  const turns: Call['messages'] = [
    ...messages,
    { role: 'assistant', content: 'Hi.', reasoningText: 'A greeting.' },
    { role: 'user', content: 'Well?' },
  ]
  const events = await ask(host('fireworks', 'r1', { baseURL: server.origin, apiKey }), { messages: turns })
  const sent = server.requests.map(({ body }) => (body['messages'] as { reasoning_content?: string }[])[1]?.reasoning_content)
  expect(sent).toEqual(['A greeting.', undefined])
  expect(answerOf(events)[0]).toMatchObject({ type: 'warning', setting: 'messages' })
})

test('a server that wants the other name for the token limit gets it', async () => {
  const message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
  const server = await inTurn(refusal(message, { param: 'max_tokens', code: 'unsupported_parameter' }), chatStream('Hello'))
  await ask(openaiCompatible('x', { baseURL: server.origin }), { messages, maxOutputTokens: 9 })
  expect(server.requests.map(({ body }) => [body['max_tokens'], body['max_completion_tokens']])).toEqual([
    [9, undefined],
    [undefined, 9],
  ])
})

test('settings that a model does not take are left out, with a warning for each', async () => {
  const server = await inTurn(
    refusal("Unsupported parameter: 'temperature' is not supported with this model.", { param: 'temperature' }),
    refusal("Unsupported value: 'top_p' does not support 0.5 with this model. Only the default (1) value is supported.", {
      param: 'top_p',
    }),
    chatStream('Hello'),
  )
  const events = await ask(openai('gpt-5.2', { baseURL: server.origin, apiKey }), { messages, temperature: 0.1, topP: 0.5 })
  expect(server.requests.map(({ body }) => [body['temperature'], body['top_p']])).toEqual([
    [0.1, 0.5],
    [undefined, 0.5],
    [undefined, undefined],
  ])
  expect(answerOf(events).flatMap(event => (event.type === 'warning' ? event.setting : []))).toEqual(['temperature', 'topP'])
})

test.each([
  ['max', ['max', 'high']],
  ['off', ['none', 'low']],
  ['low', ['low', undefined]],
] as const)('a model that does not know how to reason "%s" is asked for what is nearest', async (reasoning, efforts) => {
  const message = `Unsupported value: 'reasoning_effort' does not support '${efforts[0]}' with this model. Supported values are: 'x'.`
  const server = await inTurn(refusal(message, { param: 'reasoning_effort', code: 'unsupported_value' }), chatStream('Hello'))
  const events = await ask(openai('gpt-5.4-nano', { baseURL: server.origin, apiKey }), { messages, reasoning })
  expect(server.requests.map(({ body }) => body['reasoning_effort'])).toEqual(efforts)
  expect(answerOf(events)[0]).toMatchObject({ type: 'warning', setting: 'reasoning' })
})

test('a model that calls tools only without reasoning is asked so', async () => {
  const message =
    "Function tools with reasoning_effort are not supported for gpt-7 in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'."
  const server = await inTurn(refusal(message, { param: 'reasoning_effort' }), chatStream('Hello'))
  await ask(openai('gpt-7', { baseURL: server.origin, apiKey }), {
    messages,
    tools: { now: { inputSchema: { type: 'object' } } },
  })
  expect(server.requests.map(({ body }) => body['reasoning_effort'])).toEqual([undefined, 'none'])
})

const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }

test('a schema that the server does not enforce is sent not strict', async () => {
  const message = "Invalid schema for response_format 'answer': In context=(), 'type' is not permitted."
  const server = await inTurn(refusal(message, { param: 'response_format', code: 'invalid_json_schema' }), chatStream('{}'))
  const events = await ask(openai({ baseURL: server.origin, apiKey }), { messages, output: { type: 'json', schema } })
  expect(server.requests.map(({ body }) => body['response_format'])).toMatchObject([
    { json_schema: { strict: true } },
    { json_schema: { strict: false, schema } },
  ])
  expect(answerOf(events)[0]).toMatchObject({ type: 'warning', setting: 'output' })
})

test('a strict tool that the server does not enforce is sent not strict, and one that was not strict not again', async () => {
  const refused = refusal("Invalid schema for function 'now': In context=(), 'type' is not permitted.")
  const server = await inTurn(refused, chatStream('Hello'))
  await ask(openai({ baseURL: server.origin, apiKey }), { messages, tools: { now: { inputSchema: schema, strict: true } } })
  expect(server.requests.map(({ body }) => (body['tools'] as { function: { strict: boolean } }[])[0]?.function.strict)).toEqual([
    true,
    false,
  ])
  const other = await inTurn(refused)
  const failed = ask(openai({ baseURL: other.origin, apiKey }), { messages, tools: { now: { inputSchema: schema } } })
  await expect(failed).rejects.toMatchObject({ reason: 'invalid-request' })
  expect(other.requests).toHaveLength(1)
})

test('a schema that DeepSeek does not take as a strict tool is told in words', async () => {
  const server = await inTurn(refusal("Invalid schema for function 'answer': unknown keyword."), chatStream('{}'))
  await ask(deepseek({ baseURL: server.origin, apiKey }), { messages, reasoning: 'off', output: { type: 'json', schema } })
  expect(server.requests.map(({ url, body }) => [url, body['response_format']])).toEqual([
    ['/beta/chat/completions', undefined],
    ['/chat/completions', { type: 'json_object' }],
  ])
})

test.each([
  ['max', 'high'],
  ['low', undefined],
] as const)('a level of reasoning that an older vLLM does not know: %s becomes %s', async (reasoning, sent) => {
  // router-for-me/CLIProxyAPI#1572, bytedance/deer-flow#1673
  const message = `1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), 'msg': "Input should be 'low', 'medium' or 'high'", 'input': 'max', 'ctx': {'expected': "'low', 'medium' or 'high'"}}\n\n  File "/serve.py", line 34, in create_chat_completion`
  const server = await inTurn(refusal(message), chatStream('Hello'))
  const events = await ask(vllm('x', { baseURL: server.origin }), { messages, reasoning })
  expect(server.requests.map(({ body }) => body['reasoning_effort'])).toEqual([reasoning, sent])
  expect(answerOf(events)[0]).toMatchObject({ type: 'warning', setting: 'reasoning' })
})

/** It thought, and stopped. */
const onlyThought: Answer = {
  body: [{ delta: { reasoning_content: 'Hm.' } }, { delta: { content: '' }, finish_reason: 'stop' }]
    .map(choice => `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`)
    .join(''),
}

test('a model that only thought is asked once more without thinking (R39)', async () => {
  const server = await inTurn(onlyThought, chatStream('Hello'))
  const events = await ask(deepseek({ baseURL: server.origin, apiKey }), { messages })
  expect(server.requests.map(({ body }) => body['thinking'])).toEqual([undefined, { type: 'disabled' }])
  expect(answerOf(events)).toMatchObject([
    { type: 'reasoning-delta', text: 'Hm.' },
    { type: 'warning', setting: 'reasoning' },
    { type: 'text-delta', text: 'Hello' },
    { type: 'finish' },
  ])
})

/** The same, from a server that says what it cost. */
const paidThought: Answer = {
  body: [
    { choices: [{ index: 0, delta: { reasoning_content: 'Hm.' } }] },
    {
      choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
      usage: { prompt_tokens: 9, completion_tokens: 500, completion_tokens_details: { reasoning_tokens: 500 } },
    },
  ]
    .map(chunk => `data: ${JSON.stringify(chunk)}\n\n`)
    .join(''),
}

test('what each request cost is told with it, and not with another', async () => {
  const server = await inTurn(paidThought, chatStream('Hello'))
  const events = await ask(deepseek({ baseURL: server.origin, apiKey }), { messages })
  expect(events.find(event => event.type === 'asked-again')).toMatchObject({
    failure: { reason: 'empty', usage: { outputTokens: 500 } },
  })
  expect(events.at(-1)).toMatchObject({ usage: { inputTokens: 3, outputTokens: 1 } })
})

test('when the second request fails too, its failure is the one that counts', async () => {
  const server = await inTurn(paidThought, { status: 503, body: '' })
  const busy = ask(deepseek({ baseURL: server.origin, apiKey }), { messages })
  await expect(busy).rejects.toMatchObject({ reason: 'overloaded', status: 503 })
})

test('connecting and sending are told once when the reader already has content: the clocks must not begin again', async () => {
  const server = await inTurn(onlyThought, chatStream('Hello'))
  const events = await ask(deepseek({ baseURL: server.origin, apiKey }), { messages })
  expect(events.map(event => event.type).filter(type => ['connecting', 'sent', 'headers'].includes(type))).toEqual([
    'connecting',
    'sent',
    'headers',
    'headers',
  ])
})

test('it is asked once more, not for ever', async () => {
  const server = await inTurn(onlyThought)
  await expect(ask(deepseek({ baseURL: server.origin, apiKey }), { messages })).rejects.toMatchObject({ reason: 'empty' })
  expect(server.requests).toHaveLength(2)
})

test.each([
  ['a server whose thinking cannot be switched off', (baseURL: string) => openaiCompatible('x', { baseURL }), {}],
  ['a call that had it off', (baseURL: string) => deepseek({ baseURL, apiKey }), { reasoning: 'off' as const }],
])('it is not asked again: %s', async (_, create, call) => {
  const server = await inTurn(onlyThought)
  await expect(ask(create(server.origin), { messages, ...call })).rejects.toMatchObject({ reason: 'empty' })
  expect(server.requests).toHaveLength(1)
})

test('any other 400 stands', async () => {
  const server = await inTurn(refusal('Content Exists Risk'))
  await expect(ask(deepseek({ baseURL: server.origin, apiKey }), { messages })).rejects.toMatchObject({
    reason: 'content-filter',
  })
  expect(server.requests).toHaveLength(1)
})

const atMost = 'max_tokens is too large. This model supports at most 1500 completion tokens.'

test.each([
  ['of the call', { extraBody: { max_tokens: 2000 } }, {}, atMost, 1500],
  ['of the call, beside maxOutputTokens', { extraBody: { max_tokens: 2000 }, maxOutputTokens: 9 }, {}, atMost, 1500],
  ['of the target', {}, { extraBody: { max_tokens: 2000 } }, atMost, 1500],
  [
    'of the target, and the room is what is left',
    {},
    { extraBody: { max_tokens: 2000 } },
    "This model's maximum context length is 2048 tokens. However, you requested a total of 2600 tokens.",
    1448,
  ],
])('F41: a limit that only extraBody sets is made smaller too: %s', async (_, call, options, message, most) => {
  const server = await startRecorder(({ body }) => (Number(body['max_tokens']) > most ? refusal(message) : chatStream('Hello')))
  const target = openaiCompatible('x', { baseURL: server.origin, ...options })
  await ask(target, { messages, ...call })
  expect(server.requests.map(({ body }) => body['max_tokens'])).toEqual([2000, most])
  // a ceiling is known from now on; what is smaller stays
  await ask(target, { messages, extraBody: { max_tokens: 100 } })
  expect(server.requests.at(-1)?.body['max_tokens']).toBe(100)
})
