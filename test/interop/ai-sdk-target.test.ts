import { createClient, openaiCompatible, runTools } from 'unbusy'
import { aiSdk, unbusy } from 'unbusy/ai-sdk'
import { answer, fakeTarget, providerContract, raw, runAttempt, status } from 'unbusy/testing'
import { createGateway } from 'ai'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { peers } from '../helpers/peers.ts'
import { test } from '../helpers/vitest.ts'

const group = peers('ai-sdk')
type Model = Parameters<typeof aiSdk>[0]
type Make = (options: {
  readonly baseURL: string
  readonly apiKey?: string
  readonly name?: string
  readonly includeUsage?: boolean
}) => (model: string) => Model
type Modules = { readonly [name in Factory]: Make }
type Factory = 'createOpenAICompatible' | 'createDeepSeek' | 'createAnthropic' | 'createGoogleGenerativeAI' | 'createMistral'

/** Stands where the packages are not installed: the cases are listed with it, and skipped. */
const missing = { specificationVersion: 'v4', provider: 'missing', modelId: 'missing', doStream() {} } as unknown as Model

async function factory(module: string, name: Factory): Promise<Make> {
  return group.isMissing ? () => () => missing : (await group.load<Modules>(module))[name]
}
const compatible = await factory('@ai-sdk/openai-compatible', 'createOpenAICompatible')
const deepseek = await factory('@ai-sdk/deepseek', 'createDeepSeek')
const deepseekV2 = await factory('deepseek-v2', 'createDeepSeek')
const deepseekV3 = await factory('deepseek-v3', 'createDeepSeek')
const anthropic = await factory('@ai-sdk/anthropic', 'createAnthropic')
const google = await factory('@ai-sdk/google', 'createGoogleGenerativeAI')
const mistral = await factory('@ai-sdk/mistral', 'createMistral')

const comments = 'Its reader of server-sent events swallows comments.'
const skip = { queue: comments, 'abort while queued': comments }
const kinds = {
  '@ai-sdk/openai-compatible': { make: compatible, format: 'openai' },
  '@ai-sdk/deepseek': { make: deepseek, format: 'deepseek' },
  '@ai-sdk/deepseek 2 (specification v3)': { make: deepseekV3, format: 'deepseek' },
  '@ai-sdk/deepseek 1 (specification v2)': { make: deepseekV2, format: 'deepseek' },
} as const

describe.skipIf(group.isMissing)(`the provider contract${group.suffix}`, () => {
  describe.each(Object.entries(kinds))('%s', (_, { make, format }) => {
    const cases = providerContract(
      ({ baseURL, apiKey }) => aiSdk(make({ baseURL, apiKey, name: 'test', includeUsage: true })('m')),
      { format, skip, timeoutMs: 25_000 },
    )
    for (const { name, run, skip: reason } of cases) {
      test.skipIf(reason !== undefined)(name, async () => {
        await expect(run()).resolves.toBeUndefined()
      })
    }
  })
})

const weather = { weather: { inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } }

function sse(events: readonly object[]): ReturnType<typeof raw> {
  const text = events.map(event => `${'type' in event ? `event: ${String(event.type)}\n` : ''}data: ${JSON.stringify(event)}\n\n`)
  return raw(text.join(''), { contentType: 'text/event-stream' })
}

/** What Anthropic sends: a signed thought, a text, a call. */
const claude = [
  {
    type: 'message_start',
    message: { id: 'm1', model: 'claude', role: 'assistant', content: [], usage: { input_tokens: 7, output_tokens: 1 } },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'I look.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'signed-1' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'Let me see.' } },
  { type: 'content_block_stop', index: 1 },
  { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"city":"Oslo"}' } },
  { type: 'content_block_stop', index: 2 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 9 } },
  { type: 'message_stop' },
]
const gemini = [
  { candidates: [{ content: { role: 'model', parts: [{ text: 'I look.', thought: true }] } }] },
  {
    candidates: [
      {
        content: {
          role: 'model',
          parts: [{ functionCall: { name: 'weather', args: { city: 'Oslo' } }, thoughtSignature: 'signed-2' }],
        },
        finishReason: 'STOP',
      },
    ],
    usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 9, totalTokenCount: 16 },
  },
]
const mistralChunk = (delta: object, more: object = {}) => ({
  ...{ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'mistral' },
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
})
const mistralAnswer = [
  mistralChunk({ role: 'assistant', content: 'Let me see.' }),
  {
    ...mistralChunk(
      { content: '', tool_calls: [{ id: 'abcdefghi', function: { name: 'weather', arguments: '{"city":"Oslo"}' }, index: 0 }] },
      { finish_reason: 'tool_calls' },
    ),
    usage: { prompt_tokens: 7, completion_tokens: 9, total_tokens: 16 },
  },
]

describe.skipIf(group.isMissing)(`services with a format of their own${group.suffix}`, () => {
  const rows = [
    ['Anthropic', anthropic, claude, { text: 'Let me see.', reasoning: 'I look.', length: 5 }],
    ['Google', google, gemini, { text: '', reasoning: 'I look.', length: 5 }],
    ['Mistral', mistral, mistralAnswer, { text: 'Let me see.', reasoning: '', length: 4 }],
  ] as const

  test.for(rows)('%s: text, thoughts, calls and usage', async ([, make, events, expected], { server }) => {
    const upstream = await server(sse(events))
    const client = createClient({ chain: [aiSdk(make({ baseURL: upstream.url, apiKey: 'k' })('m'), { retry: 0 })] })
    const result = await client.generate({ prompt: 'Cold?', tools: weather, maxOutputTokens: 100 })
    expect(result).toMatchObject({
      ...{ text: expected.text, reasoningText: expected.reasoning, finishReason: 'tool-calls' },
      toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }],
      ...{ usage: { inputTokens: 7, outputTokens: 9 }, warnings: [] },
    })
    await client.close()
  })

  test.for(rows)('%s: a body that ends before its end is `truncated`', async ([, make, events], { server }) => {
    const upstream = await server(sse(events.slice(0, -2).length < 2 ? events.slice(0, 1) : events.slice(0, -2)))
    const run = runAttempt(aiSdk(make({ baseURL: upstream.url, apiKey: 'k' })('m')), { call: { tools: weather } })
    await run.over
    if (run.outcome === 'rejected') expect(run.error).toMatchObject({ reason: 'truncated' })
    expect(run.events.filter(({ type }) => type === 'finish' || type === 'tool-call')).toEqual([])
  })

  test.for(rows)('%s: 529, 429 with a time, 401 and 400 are told apart', async ([, make], { server }) => {
    const upstream = await server([status(529), status(429, undefined, { 'retry-after': '7' }), status(401), status(404)])
    const target = aiSdk(make({ baseURL: upstream.url, apiKey: 'k' })('m'))
    const reasons: unknown[] = []
    for (let index = 0; index < 4; index += 1) {
      const run = runAttempt(target)
      await run.over
      reasons.push((run.error as { reason?: unknown }).reason)
      if (index === 1) expect(run.error).toMatchObject({ status: 429, retryAfterMs: 7_000 })
    }
    expect(reasons).toEqual(['overloaded', 'rate-limit', 'authentication', 'not-found'])
  })

  test('signatures go back to the service that made them, and to no other (F57)', async ({ server }) => {
    const signed = await server([sse(claude), sse(claude)])
    const other = await server(answer('It is cold.'), { format: 'openai' })
    const first = createClient({ chain: [aiSdk(anthropic({ baseURL: signed.url, apiKey: 'k' })('m'), { retry: 0 })] })
    const result = await first.generate({ prompt: 'Cold?', tools: weather, maxOutputTokens: 100 })
    // as from a database
    const message = JSON.parse(JSON.stringify(result.message)) as typeof result.message
    const messages = [
      { role: 'user', content: 'Cold?' },
      message,
      { role: 'tool', toolCallId: 'toolu_1', content: 'cold' },
    ] as const
    await first.generate({ messages, tools: weather, maxOutputTokens: 100 })
    expect(signed.requests[1]?.json).toMatchObject({
      messages: [
        { role: 'user' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'I look.', signature: 'signed-1' },
            { type: 'text' },
            { type: 'tool_use', id: 'toolu_1' },
          ],
        },
        { role: 'user' },
      ],
    })
    const second = createClient({ chain: [openaiCompatible('m', { baseURL: other.baseURL, apiKey: 'k' })] })
    await second.generate({ messages, tools: weather })
    expect(other.requests[0]?.body).not.toContain('signed-1')
    await Promise.all([first.close(), second.close()])
  })

  test("Gemini's signature of a call goes back with it", async ({ server }) => {
    const upstream = await server([sse(gemini), sse(gemini)])
    const client = createClient({ chain: [aiSdk(google({ baseURL: upstream.url, apiKey: 'k' })('m'), { retry: 0 })] })
    const run = await runTools(client, 'Cold?', {
      tools: { weather: { ...weather.weather, execute: () => 'cold' } },
      maxSteps: 2,
    })
    expect(run.steps).toHaveLength(2)
    expect(upstream.requests[1]?.body).toContain('"thoughtSignature":"signed-2"')
    await client.close()
  })

  test('a conversation goes out as the service wants it', async ({ server }) => {
    const upstream = await server(sse(claude))
    const run = runAttempt(aiSdk(anthropic({ baseURL: upstream.url, apiKey: 'k' })('m')), {
      call: {
        messages: [
          { role: 'system', content: 'Be kind.' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What?' },
              { type: 'image', image: 'data:image/png;base64,iVBORw==' },
            ],
          },
          {
            role: 'assistant',
            content: 'I see.',
            toolCalls: [{ toolCallId: 'c1', toolName: 'weather', input: { city: 'Oslo' } }],
          },
          { role: 'tool', toolCallId: 'c1', content: 'cold' },
        ],
        ...{ tools: weather, temperature: 0.5, maxOutputTokens: 9, toolChoice: { toolName: 'weather' } },
      },
    })
    await run.over
    expect(upstream.requests[0]?.json).toMatchObject({
      ...{ system: [{ text: 'Be kind.' }], max_tokens: 9, temperature: 0.5, tool_choice: { type: 'tool', name: 'weather' } },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What?' },
            { type: 'image', source: { media_type: 'image/png', data: 'iVBORw==' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'I see.' },
            { type: 'tool_use', id: 'c1', name: 'weather', input: { city: 'Oslo' } },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: 'cold' }] },
      ],
    })
  })

  test('tool calls are not lost where the body stays open behind the finish, or its connection breaks', async ({ server }) => {
    const calls = answer('', { toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] })
    const replies = [{ stallAfterChunks: 'finish' }, { cutAfterChunks: 'finish', cutBy: 'rst' }] as const
    const upstream = await server(
      replies.map(conduct => ({ ...calls, ...conduct })),
      { format: 'openai' },
    )
    const client = createClient({ chain: [aiSdk(compatible({ baseURL: upstream.baseURL, name: 'test' })('m'), { retry: 0 })] })
    for (const _ of replies) {
      const { toolCalls, finishReason } = await client.generate({ prompt: 'Cold?', tools: weather })
      expect([finishReason, toolCalls]).toEqual(['tool-calls', [expect.objectContaining({ input: { city: 'Oslo' } })]])
    }
    await client.close()
  })

  test('a wrong key in the environment is a failure of the call, not of the making of the chain', async ({ server }) => {
    const upstream = await server(answer('Hi.'))
    const keyless = aiSdk(mistral({ baseURL: upstream.url })('m'), { retry: 0 })
    const client = createClient({ chain: [keyless, aiSdk(compatible({ baseURL: upstream.url, name: 'x' })('m'))] })
    const { text, attempts } = await client.generate('Hi')
    expect([text, attempts[0]?.reason]).toEqual(['Hi.', 'authentication'])
    await client.close()
  })

  test('the schema is told in words where the service is not held to it, and a wrong answer goes to the next target', async ({
    server,
  }) => {
    const wrong = await server(answer('{"name": 7}'), { format: 'openai' })
    const right = await server(answer('{"name": "Bob"}'), { format: 'openai' })
    const chain = [wrong, right].map(({ baseURL }) => aiSdk(compatible({ baseURL, apiKey: 'k', name: 'x' })('m'), { retry: 0 }))
    const client = createClient({ chain })
    const { output } = await client.generate({ prompt: 'Who?', output: z.object({ name: z.string() }) })
    expect(output).toEqual({ name: 'Bob' })
    expect(JSON.stringify(wrong.requests[0]?.json)).toContain('It must fit this JSON Schema')
    await client.close()
  })
})

describe('errors of a model', () => {
  class ApiCallError extends Error {
    override readonly name = 'AI_APICallError'
    readonly requestBodyValues = { messages: 'the secret prompt' }
    constructor(fields: object) {
      super('No.')
      Object.assign(this, fields)
    }
  }
  const failing = (thrown: unknown): Model => ({
    ...{ specificationVersion: 'v4', provider: 'test.chat', modelId: 'm', supportedUrls: {} },
    doGenerate: () => Promise.reject(thrown),
    doStream: () => Promise.reject(thrown),
  })
  const aiError = (name: string, fields: object = {}) => Object.assign(new Error('No.'), { name, ...fields })
  const cases: readonly (readonly [thrown: unknown, expected: object])[] = [
    [new ApiCallError({}), { reason: 'network' }],
    [new ApiCallError({ statusCode: 200 }), { reason: 'malformed-response' }],
    // as the packages report a connection that is lost in the middle of a body
    [
      new ApiCallError({ statusCode: 200, cause: new TypeError('terminated', { cause: { code: 'ECONNRESET' } }) }),
      { reason: 'truncated' },
    ],
    [
      new ApiCallError({ statusCode: 402, responseBody: '{"error":{"message":"Insufficient Balance"}}' }),
      { reason: 'quota', status: 402 },
    ],
    [aiError('AI_LoadAPIKeyError'), { reason: 'authentication' }],
    [aiError('AI_NoSuchModelError'), { reason: 'not-found' }],
    [aiError('AI_UnsupportedFunctionalityError'), { reason: 'invalid-request' }],
    [aiError('AI_InvalidPromptError'), { reason: 'invalid-request' }],
    [aiError('AI_InvalidResponseDataError', { data: undefined }), { reason: 'truncated' }],
    [aiError('AI_InvalidResponseDataError', { data: {} }), { reason: 'malformed-response' }],
    [aiError('AI_SomethingOfTomorrow'), { reason: 'malformed-response' }],
    [new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }), { reason: 'network' }],
    ['overloaded_error', { reason: 'overloaded' }],
    // limits of the model itself
    [new DOMException('The operation timed out.', 'TimeoutError'), { reason: 'timeout' }],
    [
      new ApiCallError({ cause: new TypeError('fetch failed', { cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } }) }),
      { reason: 'timeout' },
    ],
    // other packages have no names of the AI SDK
    [aiError('GatewayRateLimitError', { statusCode: 429 }), { reason: 'rate-limit', status: 429 }],
    [aiError('ThrottlingException', { $metadata: { httpStatusCode: 429 } }), { reason: 'rate-limit', status: 429 }],
    [aiError('APIError', { status: 529 }), { reason: 'overloaded', status: 529 }],
    [
      { name: 'overloaded_error', message: 'Busy.' },
      { reason: 'overloaded', status: undefined },
    ],
    [new Error('Ollama gave up.'), { reason: 'server-error', said: 'Ollama gave up.' }],
    [new SyntaxError('Unexpected token < in JSON'), { reason: 'malformed-response' }],
  ]

  test.for(cases)('%s is %o, and holds no prompt', async ([thrown, expected]) => {
    const run = runAttempt(aiSdk(failing(thrown)))
    await run.over
    expect(run.error).toMatchObject(expected)
    expect((run.error as Error).cause).toBeUndefined()
  })

  const saying = (...parts: readonly object[]): Model =>
    ({ ...failing(0), doStream: async () => ({ stream: ReadableStream.from(parts) }) }) as unknown as Model
  const said = { type: 'text-delta', id: '1', delta: 'Hi.' }

  test.for([
    [{ unified: 'interrupted', raw: undefined }, 'truncated'],
    [{ unified: 'other', raw: undefined }, 'truncated'],
    ['unknown', 'truncated'],
    [{ unified: 'error', raw: 'insufficient_system_resource' }, 'overloaded'],
    [{ unified: 'error', raw: undefined }, 'server-error'],
  ] as const)('an answer that finishes with %o is %s', async ([finishReason, reason]) => {
    const run = runAttempt(aiSdk(saying(said, { type: 'finish', finishReason, usage: {} })))
    await run.over
    expect(run.error).toMatchObject({ reason })
    expect(run.events.some(({ type }) => type === 'finish')).toBe(false)
  })

  test('an answer that finishes with a reason of its own is whole', async () => {
    const run = runAttempt(
      aiSdk(saying(said, { type: 'finish', finishReason: { unified: 'other', raw: 'pause_turn' }, usage: {} })),
    )
    await run.over
    expect(run.events.at(-1)).toMatchObject({ type: 'finish', finishReason: 'other' })
  })

  test('what has no place is a warning, once each', async () => {
    const source = { type: 'source', sourceType: 'url', id: '1', url: 'https://example.com' }
    const run = runAttempt(
      aiSdk(saying(source, source, said, { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' } })),
    )
    await run.over
    expect(run.events.filter(({ type }) => type === 'warning')).toMatchObject([{ setting: 'source' }])
  })

  test('a bug is thrown as it is', async () => {
    const bug = new RangeError('mine')
    const run = runAttempt(aiSdk(failing(bug)))
    await run.over
    expect(run.error).toBe(bug)
  })

  test('a beginning to go on from is refused, and the next target goes on', async () => {
    const model = saying(said, { type: 'finish', finishReason: 'stop', usage: {} })
    const next = fakeTarget([' upon a time'], { capabilities: { prefix: true } })
    const client = createClient({ chain: [aiSdk(model), next] })
    const messages = [
      { role: 'user', content: 'Tell.' },
      { role: 'assistant', content: 'Once', prefix: true },
    ] as const
    const { targetIndex, attempts } = await client.generate({ messages })
    expect([targetIndex, attempts[0]?.reason]).toEqual([1, 'invalid-request'])
    await client.close()
  })

  test('the gateway of Vercel fails like any service, and the next target answers', async ({ server }) => {
    const refusal = (type: string) => ({ error: { message: 'No.', type } })
    const upstream = await server([
      status(429, refusal('rate_limit_exceeded'), { 'retry-after': '7' }),
      status(401, refusal('authentication_error')),
      status(503, refusal('internal_server_error')),
    ])
    const reasons: unknown[] = []
    for (let index = 0; index < 3; index += 1) {
      const target = aiSdk(createGateway({ baseURL: upstream.url, apiKey: 'k' })('maker/model'), { retry: 0 })
      const client = createClient({ chain: [target, fakeTarget(['Hi.'])] })
      const { text, attempts } = await client.generate('Hello')
      reasons.push([text, attempts[0]?.reason, attempts[0]?.status])
      await client.close()
    }
    expect(reasons).toEqual([
      ['Hi.', 'rate-limit', 429],
      ['Hi.', 'authentication', 401],
      ['Hi.', 'overloaded', 503],
    ])
  })

  test('a chain within a chain that fails is a target that fails', async () => {
    const spare = fakeTarget(['Spare.', 'Spare.'])
    const inner = createClient({
      chain: [fakeTarget([{ error: 'context-length' }, { text: ['One', 'two'], cutAfterChunks: 1 }], { retry: 0 })],
    })
    const outer = createClient({ chain: [aiSdk(unbusy(inner), { retry: 0 }), spare] })
    const results = [await outer.generate('Hello'), await outer.generate('Hello')]
    expect(results.map(({ text, attempts }) => [text, attempts[0]?.reason])).toEqual([
      ['Spare.', 'context-length'],
      ['Spare.', 'truncated'],
    ])
    await Promise.all([outer.close(), inner.close()])
  })

  test('a chain within a chain answers without warnings of its own', async () => {
    const inner = createClient({ chain: [fakeTarget(['Hi.'])] })
    const outer = createClient({ chain: [aiSdk(unbusy(inner))] })
    expect(await outer.generate('Hello')).toMatchObject({ text: 'Hi.', warnings: [] })
    await Promise.all([outer.close(), inner.close()])
  })

  test('what is no model is a TypeError that says what to write', () => {
    expect(() => aiSdk('openai/gpt-6' as unknown as Model)).toThrow('Write the model itself')
    expect(() => aiSdk({} as Model)).toThrow('must be a language model of the AI SDK')
    expect(() => aiSdk({ ...failing(0), specificationVersion: 'v9' } as unknown as Model)).toThrow(
      'unbusy supports v2, v3 and v4',
    )
    expect(() => aiSdk(failing(0), { acount: 'x' } as never)).toThrow("Did you mean 'account'?")
  })

  test('targets of one account share their health, others do not', () => {
    const identities = [{ account: 'a' }, { account: 'a' }, { account: 'b' }, {}].map(
      options => aiSdk(failing(0), options).provider.identity,
    )
    expect(identities[0]).toEqual(identities[1])
    expect(identities[0]).not.toEqual(identities[2])
    expect(identities[3]).toBeUndefined()
    expect(JSON.stringify(identities)).not.toContain('"a"')
  })
})
