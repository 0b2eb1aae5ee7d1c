import { expect, onTestFinished, test, vi } from 'vitest'
import type { Call, Tool } from '../../../src/contract.ts'
import { deepseekBalance, deepseekModels } from '../../../src/providers/deepseek-account.ts'
import { deepseekFim } from '../../../src/providers/deepseek-fim.ts'
import { deepseek, type DeepSeekOptions } from '../../../src/providers/deepseek.ts'
import { type Answer, answerOf, ask, chatStream, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

const apiKey = 'sk-test'
const messages: Call['messages'] = [{ role: 'user', content: 'Hello?' }]

async function sent(call: Partial<Call>, options: DeepSeekOptions = {}, path = '') {
  const server = await startRecorder(() => chatStream('Hello'))
  const events = await ask(deepseek('deepseek-flash', { baseURL: server.origin + path, apiKey, ...options }), {
    messages,
    ...call,
  })
  const [request] = server.requests
  return { url: request?.url, body: request?.body ?? {}, warnings: warningsOf(events), events }
}

test('nothing is put behind a base URL of the user', async () => {
  expect((await sent({})).url).toBe('/chat/completions')
  expect((await sent({}, {}, '/v1')).url).toBe('/v1/chat/completions')
  expect((await sent({}, {}, '/proxy/?team=1')).url).toBe('/proxy/chat/completions?team=1')
})

test.each(['', '/v1', '/beta', '/beta/'])(
  'prefix completion goes to /beta, which stands beside /v1 (base URL with "%s")',
  async path => {
    const { url, body } = await sent({ prefix: { text: '```python\n', reasoningText: 'Code.' } }, {}, path)
    expect(url).toBe('/beta/chat/completions')
    expect(body['messages']).toEqual([
      { role: 'user', content: 'Hello?' },
      { role: 'assistant', content: '```python\n', reasoning_content: 'Code.', prefix: true },
    ])
  },
)

test('a beginning of the caller and what was received of the answer are one beginning', async () => {
  const turns: Call['messages'] = [...messages, { role: 'assistant', content: 'Once ', prefix: true }]
  const { body } = await sent({ messages: turns, prefix: { text: 'upon', reasoningText: '' } })
  expect((body['messages'] as unknown[])[1]).toEqual({ role: 'assistant', content: 'Once upon', prefix: true })
})

test.each([
  ['says nothing of the beginning', ' a time'],
  ['repeats it', 'Once upon a midnight dreary, a time'],
])('a continuation is only what comes after the beginning, when the server %s', async (_, answer) => {
  const server = await startRecorder(() => chatStream(answer))
  const target = deepseek({ baseURL: server.origin, apiKey })
  const events = await ask(target, { messages, prefix: { text: 'Once upon a midnight dreary,', reasoningText: '' } })
  expect(answerOf(events)[0]).toEqual({ type: 'text-delta', text: ' a time' })
})

const strictTool = (inputSchema: Tool['inputSchema']): Call['tools'] => ({ weather: { inputSchema, strict: true } })

test('strict tools go to /beta, with the schema that it takes', async () => {
  const tools = strictTool({
    type: 'object',
    properties: { city: { type: 'string', minLength: 2 }, days: { type: 'array', items: { type: 'integer' }, maxItems: 5 } },
    required: ['city', 'days'],
  })
  const { url, body, warnings } = await sent({ tools })
  expect(url).toBe('/beta/chat/completions')
  expect(warnings).toEqual([])
  expect(body['tools']).toMatchObject([
    {
      function: {
        strict: true,
        parameters: {
          type: 'object',
          properties: { city: { type: 'string' }, days: { type: 'array', items: { type: 'integer' } } },
          required: ['city', 'days'],
          additionalProperties: false,
        },
      },
    },
  ])
  expect(JSON.stringify(body['tools'])).not.toMatch(/minLength|maxItems/)
})

test('a tool that cannot be strict is sent as it is, with a warning', async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city'] }
  const { url, body, warnings } = await sent({ tools: strictTool(schema) })
  expect(url).toBe('/chat/completions')
  expect(warnings).toEqual(['tools'])
  expect(body['tools']).toMatchObject([{ function: { strict: false, parameters: schema } }])
})

const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }

test('JSON mode: the word json is put into the prompt when it is not there, and nothing when it is (R31)', async () => {
  const { body } = await sent({ output: { type: 'json' } })
  expect(body['response_format']).toEqual({ type: 'json_object' })
  expect(body['messages']).toEqual([{ role: 'system', content: 'Answer in JSON.' }, ...messages])
  const asked: Call['messages'] = [{ role: 'user', content: 'As JSON, please.' }]
  expect((await sent({ messages: asked, output: { type: 'json' } })).body['messages']).toEqual(asked)
})

test('JSON mode: a schema is told in the one system message', async () => {
  const turns: Call['messages'] = [{ role: 'developer', content: 'Be brief.' }, ...messages]
  const { body } = await sent({ messages: turns, output: { type: 'json', schema } })
  expect(body['messages']).toMatchInlineSnapshot(`
    [
      {
        "content": "Be brief.

    Answer in JSON that conforms to this JSON Schema: {"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}",
        "role": "system",
      },
      {
        "content": "Hello?",
        "role": "user",
      },
    ]
  `)
})

test('without thinking a schema is enforced, as the input of a strict tool, and read as text', async () => {
  const toolCalls = (fields: Record<string, unknown>) => ({
    choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...fields }] } }],
  })
  const chunks = [
    toolCalls({ id: 'call_1', type: 'function', function: { name: 'dragon', arguments: '' } }),
    toolCalls({ function: { arguments: '{"name":' } }),
    toolCalls({ function: { arguments: '"Smaug"}' } }),
    { choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] },
  ]
  const server = await startRecorder(() => ({ body: chunks.map(chunk => `data: ${JSON.stringify(chunk)}\n\n`).join('') }))
  const target = deepseek({ baseURL: server.origin, apiKey })
  const events = await ask(target, { messages, reasoning: 'off', output: { type: 'json', name: 'dragon', schema } })
  expect(answerOf(events)).toMatchObject([
    { type: 'text-delta', text: '{"name":' },
    { type: 'text-delta', text: '"Smaug"}' },
    { type: 'finish', finishReason: 'stop' },
  ])
  expect(server.requests[0]).toMatchObject({
    url: '/beta/chat/completions',
    body: {
      messages,
      tool_choice: { type: 'function', function: { name: 'dragon' } },
      tools: [{ function: { name: 'dragon', strict: true, parameters: { additionalProperties: false } } }],
    },
  })
  expect(server.requests[0]?.body).not.toHaveProperty('response_format')
})

test.each<[string, Partial<Call>]>([
  ['it thinks', { output: { type: 'json', schema } }],
  ['a property is optional', { reasoning: 'off', output: { type: 'json', schema: { ...schema, required: [] } } }],
  [
    'there are other tools',
    { reasoning: 'off', output: { type: 'json', schema }, tools: { now: { inputSchema: { type: 'object' } } } },
  ],
])('a schema is told in words when %s', async (_, call) => {
  const { url, body } = await sent(call)
  expect(url).toBe('/chat/completions')
  expect(body).toMatchObject({ response_format: { type: 'json_object' }, messages: [{ role: 'system' }, {}] })
})

test('the sentence that asks for JSON can be another (R31)', async () => {
  const { body } = await sent({ output: { type: 'json' } }, { jsonInstruction: () => 'Antworte in JSON.' })
  expect(body['messages']).toEqual([{ role: 'system', content: 'Antworte in JSON.' }, ...messages])
})

test('what an account can say of a call: user, log probabilities, and fields that have no option', async () => {
  const options = {
    userId: 'user-7',
    topLogprobs: 2,
    extraBody: { thinking: { type: 'disabled' }, stream_options: undefined, level: 1 },
  }
  const { body } = await sent({ extraBody: { level: 2 }, temperature: 0 }, options)
  expect(body).toEqual({
    model: 'deepseek-flash',
    messages,
    temperature: 0,
    user_id: 'user-7',
    logprobs: true,
    top_logprobs: 2,
    thinking: { type: 'disabled' },
    level: 2,
    stream: true,
  })
})

test('the user of each call is named by a function', async () => {
  const userId = (call: Call) => call.metadata['user'] as string | undefined
  expect(await sent({ metadata: { user: 'user-8' } }, { userId })).toMatchObject({ body: { user_id: 'user-8' }, warnings: [] })
  expect((await sent({}, { userId })).body).not.toHaveProperty('user_id')
  expect((await sent({ extraBody: { user_id: 'own' } }, { userId: 'other' })).body['user_id']).toBe('own')
  const { body, warnings } = await sent({ metadata: { user: 'x'.repeat(513) } }, { userId })
  expect(body).not.toHaveProperty('user_id')
  expect(warnings).toEqual(['userId'])
})

test('thinking that a target switches off by an effort of none is off', async () => {
  const tools: Call['tools'] = { weather: { inputSchema: { type: 'object' } } }
  const call = { temperature: 0, tools, toolChoice: 'required' as const }
  expect(await sent(call, { extraBody: { reasoning_effort: 'none' } })).toMatchObject({
    body: { temperature: 0, tool_choice: 'required' },
    warnings: [],
  })
})

test('thinking: temperature is left out; without thinking topP is', async () => {
  const both = { temperature: 0.3, topP: 0.96 }
  expect(await sent({ ...both })).toMatchObject({ body: { top_p: 0.96 }, warnings: ['temperature'] })
  expect(await sent({ ...both, reasoning: 'off' })).toMatchObject({
    body: { temperature: 0.3, thinking: { type: 'disabled' } },
    warnings: ['topP'],
  })
})

test('a tool can be forced only without thinking', async () => {
  const tools: Call['tools'] = { weather: { inputSchema: { type: 'object' } } }
  expect(await sent({ tools, toolChoice: 'required' })).toMatchObject({ body: { tool_choice: 'auto' }, warnings: ['toolChoice'] })
  expect(await sent({ tools, toolChoice: { toolName: 'weather' }, reasoning: 'off' })).toMatchObject({
    body: { tool_choice: { type: 'function', function: { name: 'weather' } } },
    warnings: [],
  })
})

test('an account that cannot stream asks for JSON and gets the whole text at once', async () => {
  const message = { role: 'assistant', content: 'Hello', reasoning_content: 'Hm.' }
  const body = JSON.stringify({ id: 'a', choices: [{ index: 0, message, finish_reason: 'stop' }] })
  const server = await startRecorder(() => ({ body: `\n\n${body}` }))
  const target = deepseek({ baseURL: server.origin, apiKey, stream: false })
  expect(target.provider.capabilities?.stream).toBe(false)
  expect(answerOf(await ask(target, { messages }))).toMatchObject([
    { type: 'reasoning-delta', text: 'Hm.' },
    { type: 'text-delta', text: 'Hello' },
    { type: 'finish' },
  ])
  expect(server.requests[0]?.body).toEqual({ model: 'deepseek-flash', messages, stream: false })
})

test('the older names of flash cost what flash costs', () => {
  const priceOf = (model: string) => deepseek(model, { apiKey }).price
  expect(['deepseek-v4-flash', 'deepseek-v4-flash-vision-exp'].map(priceOf)).toEqual([
    priceOf('deepseek-flash'),
    priceOf('deepseek-flash'),
  ])
  expect(priceOf('deepseek-flash')).toBeDefined()
})

// ---- probes

test('deepseekModels tells the models of the key', async () => {
  const data = [
    { id: 'deepseek-flash', object: 'model', name: 'DeepSeek-V4.1-Flash' },
    { id: 'deepseek-v4-pro', object: 'model' },
  ]
  const server = await startRecorder(() => ({ body: JSON.stringify({ object: 'list', data }) }))
  expect(await deepseekModels({ baseURL: server.origin, apiKey })).toEqual([
    { id: 'deepseek-flash', name: 'DeepSeek-V4.1-Flash' },
    { id: 'deepseek-v4-pro', name: undefined },
  ])
  expect(server.requests[0]).toMatchObject({ method: 'GET', url: '/models', headers: { authorization: 'Bearer sk-test' } })
})

test('deepseekBalance tells amounts as numbers', async () => {
  const info = { currency: 'CNY', total_balance: '110.00', granted_balance: '10.00', topped_up_balance: '100.00' }
  const server = await startRecorder(() => ({ body: JSON.stringify({ is_available: true, balance_infos: [info] }) }))
  expect(await deepseekBalance({ baseURL: server.origin, apiKey })).toEqual({
    available: true,
    balances: [{ currency: 'CNY', total: 110, granted: 10, toppedUp: 100 }],
  })
})

test('a probe fails like a call: a wrong key, no key, no JSON', async () => {
  const answers: Answer[] = [
    { status: 401, body: '{"error":{"message":"Authentication Fails, Your api key: ****test is invalid"}}' },
    { body: '<html>' },
  ]
  const server = await startRecorder((_, index) => answers[index] ?? { body: '' })
  await expect(deepseekBalance({ baseURL: server.origin, apiKey })).rejects.toMatchObject({
    reason: 'authentication',
    status: 401,
  })
  await expect(deepseekModels({ baseURL: server.origin, apiKey })).rejects.toMatchObject({ reason: 'malformed-response' })
  vi.stubEnv('DEEPSEEK_API_KEY', '')
  onTestFinished(() => void vi.unstubAllEnvs())
  await expect(deepseekModels({ baseURL: server.origin })).rejects.toMatchObject({ reason: 'authentication', status: undefined })
  expect(server.requests).toHaveLength(2)
})

test("what fails without a chain says who failed, also when our own time is over; the caller's abort is the caller's", async () => {
  const limit = new AbortController()
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal)
  onTestFinished(() => void vi.restoreAllMocks())
  const server = await startRecorder((_, index) => {
    if (index > 1) limit.abort(new DOMException('late', 'TimeoutError'))
    return { status: 402, body: '' }
  })
  const options = { baseURL: server.origin, apiKey }
  await expect(deepseekBalance(options)).rejects.toMatchObject({ reason: 'quota', provider: 'deepseek', model: '' })
  const filled = deepseekFim({ ...options, prompt: 'x' })
  await expect(filled).rejects.toMatchObject({ reason: 'quota', provider: 'deepseek', model: 'deepseek-flash' })
  await expect(deepseekModels(options)).rejects.toMatchObject({ name: 'ProviderError', reason: 'timeout', provider: 'deepseek' })
  const left = new Error('left')
  await expect(deepseekFim({ ...options, prompt: 'x', signal: AbortSignal.abort(left) })).rejects.toBe(left)
})

test('deepseekFim fills a gap', async () => {
  const body = {
    id: 'a',
    choices: [{ text: '  total = a + b', finish_reason: 'stop' }],
    usage: { prompt_tokens: 9, completion_tokens: 5 },
  }
  const server = await startRecorder(() => ({ body: `\n\n${JSON.stringify(body)}` }))
  const filled = await deepseekFim({
    baseURL: `${server.origin}/v1`,
    apiKey,
    prompt: 'def add(a, b):\n',
    suffix: '\n  return total',
    maxOutputTokens: 64,
  })
  expect(filled).toMatchObject({ text: '  total = a + b', finishReason: 'stop', usage: { inputTokens: 9, outputTokens: 5 } })
  expect(server.requests[0]).toMatchObject({
    url: '/beta/completions',
    body: { model: 'deepseek-flash', prompt: 'def add(a, b):\n', suffix: '\n  return total', max_tokens: 64 },
  })
})

test.each<[string, Answer, string]>([
  ['a blank body is busy (R43)', { body: '\n\n\n' }, 'overloaded'],
  ['503 is busy', { status: 503, body: '{"error":{"message":"Service is too busy."}}' }, 'overloaded'],
  ['half a body is no answer', { body: '{"choices":[{"text":"x' }, 'truncated'],
  ['an error inside a 200', { body: '{"error":{"message":"Insufficient Balance"}}' }, 'quota'],
  ['a broken finish', { body: '{"choices":[{"text":"x","finish_reason":"insufficient_system_resource"}]}' }, 'overloaded'],
  ['no choice', { body: '{"choices":[]}' }, 'malformed-response'],
  ['F65: an error in a 200, with its code beside it', { body: '{"error":"no","code":429}' }, 'rate-limit'],
  ['F65: a flat error in a 200', { body: '{"code":"Arrearage","message":"no"}' }, 'quota'],
])('deepseekFim: %s', async (_, answer, reason) => {
  const server = await startRecorder(() => answer)
  await expect(deepseekFim({ baseURL: server.origin, apiKey, prompt: 'x' })).rejects.toMatchObject({
    name: 'ProviderError',
    reason,
  })
})
