import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  createClient,
  deepseek,
  deepseekFim,
  type GenerateInput,
  llama,
  ollama,
  openai,
  openaiCompatible,
  type Target,
} from 'unbusy'
import { type Answer, chatStream, startRecorder } from '../helpers/recording-server.ts'

const apiKey = 'sk-test'
const hello = chatStream('Hello')
const json: Answer = {
  body: JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }] }),
}

function refused(message: string, fields: Record<string, unknown> = {}, status = 400): Answer {
  return { status, body: JSON.stringify({ error: { message, type: 'invalid_request_error', ...fields } }) }
}

/** A server that refuses what `isWrong` finds in a body. */
function strict(isWrong: (body: Record<string, unknown>) => boolean, refusal: Answer, answer: Answer = hello) {
  return startRecorder(({ body }) => (isWrong(body) ? refusal : body['stream'] === false ? json : answer))
}

const plain = (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0 })

type Case = {
  readonly name: string
  readonly target: (baseURL: string) => Target
  readonly input: GenerateInput
  readonly isWrong: (body: Record<string, unknown>) => boolean
  readonly refusal: Answer
  /** What the second request holds. */
  readonly sent: Record<string, unknown>
  readonly setting: string
  /** Requests of the second call: 1 where the first was learned from. */
  readonly later: 1 | 2
}

const tokens = (most: number) => (body: Record<string, unknown>) =>
  Number(body['max_tokens'] ?? body['max_completion_tokens'] ?? 99_999) > most
const long: GenerateInput = { prompt: 'Hi', maxOutputTokens: 2000 }
const roles = (body: Record<string, unknown>) => (body['messages'] as { role: string }[]).map(({ role }) => role)

const cases: readonly Case[] = [
  ...(
    [
      ['OpenAI', 'max_tokens is too large: 2000. This model supports at most 1500 completion tokens, whereas you provided 2000.'],
      ['DeepSeek', 'Invalid max_tokens value, the valid range of max_tokens is [1, 1500]'],
      ['Alibaba', 'Range of max_tokens should be [1, 1500]'],
      [
        'Ark',
        'The parameter `max_tokens` specified in the request is not valid: integer above maximum value, expected a value <= 1500, but got 2000 instead.',
      ],
    ] as const
  ).map(([name, message]): Case => ({
    name: `F41 ${name}`,
    target: plain,
    input: long,
    isWrong: tokens(1500),
    refusal: refused(message),
    sent: { max_tokens: 1500 },
    setting: 'maxOutputTokens',
    later: 1,
  })),
  ...(
    [
      [
        'SGLang',
        "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of 2600 tokens: 600 tokens from the input messages and 2000 tokens for the completion.",
      ],
      [
        'vLLM',
        "This model's maximum context length is 2048 tokens. However, you requested 2000 output tokens and your prompt contains 600 input tokens, for a total of 2600 tokens.",
      ],
      [
        'TGI',
        'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 600 `inputs` tokens and 2000 `max_new_tokens`',
      ],
    ] as const
  ).map(([name, message]): Case => ({
    name: `F42 ${name}`,
    target: plain,
    input: long,
    isWrong: tokens(1448),
    refusal: refused(message),
    sent: { max_tokens: 1448 },
    setting: 'maxOutputTokens',
    later: 2,
  })),
  {
    name: 'F12 OpenRouter, 402',
    target: plain,
    input: long,
    isWrong: tokens(301),
    refusal: refused(
      'This request requires more credits, or fewer max_tokens. You requested up to 2000 tokens, but can only afford 301.',
      { code: 402 },
      402,
    ),
    sent: { max_tokens: 301 },
    setting: 'maxOutputTokens',
    later: 2,
  },
  {
    name: 'F19 a limit by the minute',
    target: plain,
    input: long,
    isWrong: tokens(900),
    refusal: refused(
      'Rate limit reached on tokens per minute (TPM): Limit 1500, Requested 2600. Please try again in 50s',
      {},
      429,
    ),
    sent: { max_tokens: 900 },
    setting: 'maxOutputTokens',
    later: 2,
  },
  {
    name: 'F40 an organization that may not stream',
    target: baseURL => openai({ baseURL, apiKey, retry: 0 }),
    input: { prompt: 'Hi' },
    isWrong: body => body['stream'] === true,
    refusal: refused('Your organization must be verified to stream this model.', { param: 'stream', code: 'unsupported_value' }),
    sent: { stream: false },
    setting: 'stream',
    later: 1,
  },
  ...(
    [
      [
        'FastAPI',
        {
          status: 422,
          body: JSON.stringify({
            detail: [{ type: 'extra_forbidden', loc: ['body', 'stream_options'], msg: 'Extra inputs are not permitted' }],
          }),
        },
      ],
      ['OpenAI', refused('Unrecognized request argument supplied: stream_options')],
      ['Google', refused('Invalid JSON payload received. Unknown name "stream_options": Cannot find field.')],
      [
        'serde',
        refused('Failed to deserialize the JSON body: unknown field `stream_options`, expected one of `model`, `messages`'),
      ],
      ['JSON Schema', refused("Additional properties are not allowed ('stream_options' was unexpected)")],
    ] as const
  ).map(([name, refusal]): Case => ({
    name: `F44 ${name}: stream_options`,
    target: plain,
    input: { prompt: 'Hi' },
    isWrong: body => body['stream_options'] !== undefined,
    refusal,
    sent: { stream: true },
    setting: 'streamUsage',
    later: 1,
  })),
  ...(
    [
      ['seed', { seed: 7 }, 'seed'],
      ['top_p', { topP: 0.5 }, 'topP'],
      ['stop', { stopSequences: ['x'] }, 'stopSequences'],
      ['temperature', { temperature: 0.3 }, 'temperature'],
      ['my_field', { extraBody: { my_field: 1 } }, 'my_field'],
    ] as const
  ).map(([field, options, setting]): Case => ({
    name: `F44 any field: ${field}`,
    target: plain,
    input: { prompt: 'Hi', ...options } as GenerateInput,
    isWrong: body => body[field] !== undefined,
    refusal: { status: 422, body: JSON.stringify({ detail: [{ loc: ['body', field], msg: 'Extra inputs are not permitted' }] }) },
    sent: { model: 'm' },
    setting,
    later: 1,
  })),
  ...(
    [
      ['serde', 'unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`, `latest_reminder`'],
      ['a list', "'developer' is not one of ['system', 'assistant', 'user', 'function'] - 'messages.0.role'"],
      ['a list without it', 'Invalid role. Allowed roles: system, user, assistant, tool'],
      ['a template', 'Unexpected message role: developer.'],
    ] as const
  ).map(([name, message]): Case => ({
    name: `F45 ${name}`,
    target: baseURL => openai({ baseURL, apiKey, retry: 0 }),
    input: { system: 'Be kind.', prompt: 'Hi' },
    isWrong: body => roles(body)[0] === 'developer',
    refusal: refused(message),
    sent: {
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
      ],
    },
    setting: 'system',
    later: 1,
  })),
  {
    name: 'F56 ids that Mistral does not take',
    target: plain,
    input: {
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: '', toolCalls: [{ toolCallId: 'call_00_abcdef', toolName: 't', input: {} }] },
        { role: 'tool', toolCallId: 'call_00_abcdef', content: '1' },
      ],
    },
    isWrong: body => JSON.stringify(body).includes('call_00_abcdef'),
    refusal: refused('Tool call id was call_00_abcdef but must be a-z, A-Z, 0-9, with a length of 9.'),
    sent: { model: 'm' },
    setting: 'messages',
    later: 1,
  },
  {
    name: 'F56 ids that are too long for OpenAI',
    target: plain,
    input: {
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: '', toolCalls: [{ toolCallId: 'x'.repeat(46), toolName: 't', input: {} }] },
        { role: 'tool', toolCallId: 'x'.repeat(46), content: '1' },
      ],
    },
    isWrong: body => JSON.stringify(body).includes('x'.repeat(46)),
    refusal: refused(
      "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length 46 instead.",
      {
        param: 'messages[1].tool_calls[0].id',
        code: 'string_above_max_length',
      },
    ),
    sent: { model: 'm' },
    setting: 'messages',
    later: 1,
  },
]

describe('asked again, changed, once', () => {
  test.each(cases)('$name', async ({ target, input, isWrong, refusal, sent, setting, later }) => {
    const server = await strict(isWrong, refusal)
    const client = createClient({ chain: [target(server.origin)] })
    const result = await client.generate(input)
    expect(result.text).toBe('Hello')
    expect(server.requests).toHaveLength(2)
    expect(server.requests[1]?.body).toMatchObject(sent)
    expect(result.warnings).toMatchObject([{ setting }])
    expect(result.attempts).toMatchObject([
      { attempt: 1, outcome: 'failed', status: refusal.status },
      { attempt: 2, outcome: 'answered', status: 200 },
    ])
    // a target that refused a request in words that named the cure is as healthy as before
    expect(client.health()).toMatchObject([{ state: 'closed' }])

    const stream = await client.stream(input)
    expect(await stream.text()).toBe('Hello')
    expect(server.requests).toHaveLength(2 + later)
    expect((await stream.result()).warnings).toMatchObject([{ setting }])
    await client.close()
  })
})

test('F41: a ceiling that is known makes no answer longer, and leaves a shorter one as it is', async () => {
  const server = await strict(tokens(1500), refused('max_tokens: the valid range of max_tokens is [1, 1500]'))
  const client = createClient({ chain: [plain(server.origin)] })
  await client.generate(long)
  const short = await client.generate({ prompt: 'Hi', maxOutputTokens: 100 })
  expect(server.requests.at(-1)?.body['max_tokens']).toBe(100)
  expect(short.warnings).toEqual([])
})

test('a refusal that comes again is not asked a third time, and nothing is remembered of it', async () => {
  const server = await startRecorder(() => refused('Unknown parameter: seed', { param: 'seed' }))
  const client = createClient({ chain: [plain(server.origin)] })
  await expect(client.generate({ prompt: 'Hi', seed: 1 })).rejects.toMatchObject({
    reason: 'invalid-request',
    attempts: [{ outcome: 'failed' }, { outcome: 'failed' }],
  })
  expect(server.requests).toHaveLength(2)
  await client.generate({ prompt: 'Hi', seed: 1 }).catch(() => {})
  expect(server.requests[2]?.body).toMatchObject({ seed: 1 })
})

test('several refusals are mended one after the other, up to four', async () => {
  const refuse = ['seed', 'top_p', 'temperature', 'stop', 'my_field']
  const server = await startRecorder(({ body }) => {
    const field = refuse.find(name => body[name] !== undefined)
    return field === undefined ? hello : refused(`Unknown parameter: '${field}'.`, { param: field })
  })
  const input: GenerateInput = { prompt: 'Hi', seed: 1, topP: 0.5, temperature: 0.2, stopSequences: ['x'] }
  const client = createClient({ chain: [plain(server.origin)] })
  expect((await client.generate(input)).attempts).toHaveLength(5)
  const other = createClient({ chain: [plain(server.origin)] })
  await expect(other.generate({ ...input, extraBody: { my_field: 1 } })).rejects.toMatchObject({ reason: 'invalid-request' })
})

test('what a tool must be called for is not left out, nor the tools', async () => {
  const tools = { t: { inputSchema: z.object({}) } }
  for (const field of ['tools', 'tool_choice']) {
    const server = await startRecorder(() => refused(`Unsupported parameter: '${field}'.`, { param: field }))
    const client = createClient({ chain: [plain(server.origin)] })
    await expect(client.generate({ prompt: 'Hi', tools, toolChoice: 'required' })).rejects.toMatchObject({
      reason: 'invalid-request',
    })
    expect(server.requests).toHaveLength(1)
  }
})

const output = z.object({ name: z.string().regex(/^A/) })
const ada = chatStream('{"name":"Ada"}')

test.each([
  ['llama.cpp', 'Failed to initialize samplers: failed to parse grammar', 400],
  ['llama.cpp, converting', 'JSON schema conversion failed:\nPattern must start with ^ and end with $', 400],
  ['llama.cpp, as a 500', 'failed to parse grammar', 500],
  ['xgrammar', 'The provided JSON schema contains features not supported by xgrammar.', 400],
  ['a server without json_schema', "response_format.type: 'json_schema' is not supported, use json_object", 400],
])('F43: %s: without enforcement, and checked here', async (_, message, status) => {
  const server = await strict(
    body => (body['response_format'] as { type: string }).type === 'json_schema',
    refused(message, {}, status),
    ada,
  )
  const client = createClient({ chain: [llama({ baseURL: server.origin, retry: 0 })] })
  const result = await client.generate({ prompt: 'Who?', output })
  expect(result.output).toEqual({ name: 'Ada' })
  expect(server.requests[1]?.body['response_format']).toEqual({ type: 'json_object' })
  expect(JSON.stringify(server.requests[1]?.body['messages'])).toContain('JSON Schema')
  expect(result.warnings).toMatchObject([{ setting: 'output' }])
})

test('F43: the schema of a tool that cannot be converted is sent plainer', async () => {
  const server = await strict(
    body => JSON.stringify(body['tools']).includes('pattern'),
    refused('JSON schema conversion failed: pattern'),
  )
  const client = createClient({ chain: [llama({ baseURL: server.origin, retry: 0 })] })
  const tools = { t: { description: 'T', inputSchema: output } }
  const result = await client.generate({ prompt: 'Hi', tools })
  expect(result.warnings).toMatchObject([{ setting: 'tools' }])
  expect(server.requests[1]?.body['tools']).toMatchObject([
    { function: { name: 't', parameters: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } } } },
  ])
})

const native = (content: string): Answer => ({
  body: `${JSON.stringify({ message: { content }, done: true, done_reason: 'stop' })}\n`,
})

test('Ollama: thinking that a model does not know is left out, and remembered; each request is in attempts', async () => {
  const server = await startRecorder(({ body }) =>
    body['think'] === undefined ? native('Hello') : { status: 400, body: '{"error":"\\"m\\" does not support thinking"}' },
  )
  const client = createClient({ chain: [ollama('m', { baseURL: server.origin, retry: 0 })] })
  const result = await client.generate({ prompt: 'Hi', reasoning: 'high' })
  expect(result.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'answered'])
  const again = await client.generate({ prompt: 'Hi', reasoning: 'high' })
  expect([again.attempts.length, server.requests.length]).toEqual([1, 3])
  expect(again.warnings).toMatchObject([{ setting: 'reasoning' }])
})

test('F43: Ollama: a schema that it cannot enforce is told in words', async () => {
  const server = await startRecorder(({ body }) =>
    typeof body['format'] === 'object'
      ? { status: 500, body: '{"error":"invalid JSON schema in format"}' }
      : native('{"name":"Ada"}'),
  )
  const client = createClient({ chain: [ollama('m', { baseURL: server.origin, retry: 0 })] })
  expect((await client.generate({ prompt: 'Who?', output })).output).toEqual({ name: 'Ada' })
  expect(server.requests[1]?.body['format']).toBe('json')
})

test('F41: fill-in-the-middle is asked again with the limit that the server names, once', async () => {
  const server = await strict(tokens(4096), refused('Invalid max_tokens value, the valid range of max_tokens is [1, 4096]'), {
    body: '{"choices":[{"text":"x","finish_reason":"stop"}]}',
  })
  const result = await deepseekFim({ prompt: 'a', maxOutputTokens: 9000, baseURL: server.origin, apiKey })
  expect(result).toMatchObject({ text: 'x', warnings: [{ setting: 'maxOutputTokens' }] })
  expect(server.requests.map(({ body }) => body['max_tokens'])).toEqual([9000, 4096])
  const deaf = await startRecorder(() => refused('Invalid max_tokens value, the valid range of max_tokens is [1, 4096]'))
  await expect(deepseekFim({ prompt: 'a', baseURL: deaf.origin, apiKey })).rejects.toMatchObject({ reason: 'invalid-request' })
  expect(deaf.requests).toHaveLength(2)
})

test('what is in the reader hands is not asked for again, whatever the server then names', async () => {
  const begun = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'Hel' } }] })}\n\ndata: ${JSON.stringify({
    error: { message: 'Unknown parameter: seed', code: 400 },
  })}\n\n`
  const server = await startRecorder(() => ({ body: begun }))
  const client = createClient({ chain: [deepseek({ baseURL: server.origin, apiKey, retry: 0 })] })
  const stream = await client.stream({ prompt: 'Hi', stopSequences: ['x'] })
  await expect(stream.text()).rejects.toMatchObject({ name: 'StreamInterruptedError' })
  expect(server.requests).toHaveLength(1)
})

test('events tell each request of a call that was asked again, with a number of its own', async () => {
  const server = await strict(body => body['seed'] !== undefined, refused('Unknown parameter: seed', { param: 'seed' }))
  const told: string[] = []
  const client = createClient({
    chain: [plain(server.origin)],
    onEvent(event) {
      if (event.type === 'attempt-start') told.push(`start ${event.attempt} ${event.kind}`)
      if (event.type === 'attempt-end') told.push(`end ${event.attempt} ${event.record.outcome}`)
    },
  })
  await client.generate({ prompt: 'Hi', seed: 1 })
  expect(told).toEqual(['start 1 first', 'end 1 failed', 'start 2 retry', 'end 2 answered'])
})

test('F56: a refusal of ids that stays is told as what it is, not as a conversation that is too long', async () => {
  const message =
    "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got one of 46."
  const server = await startRecorder(() => refused(message, { code: 'string_above_max_length' }))
  const failed = createClient({ chain: [openai({ baseURL: server.origin, apiKey, retry: 0 })] }).generate('Hi')
  await expect(failed).rejects.toMatchObject({ reason: 'invalid-request' })
})

test('F46: 20 KB of headers are taken', async () => {
  const server = await startRecorder(() => ({ ...hello, headers: { 'content-security-policy': 'x'.repeat(20_000) } }))
  const client = createClient({ chain: [plain(server.origin)] })
  expect((await client.generate('Hi')).text).toBe('Hello')
})

test('a request that was paid and asked again counts in cost; usage is that of the request that answered', async () => {
  const chunks = [
    { choices: [{ index: 0, delta: { reasoning_content: 'Hm.' } }] },
    {
      choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
      usage: { prompt_tokens: 9, completion_tokens: 500, total_tokens: 509 },
    },
  ]
  const thought = { body: chunks.map(chunk => `data: ${JSON.stringify(chunk)}\n\n`).join('') }
  const server = await startRecorder((_, index) => (index === 0 ? thought : hello))
  const price = { input: 1_000_000, output: 1_000_000 }
  const client = createClient({ chain: [deepseek({ baseURL: server.origin, apiKey, retry: 0, price })] })
  const result = await client.generate('Hi')
  expect(result.usage).toMatchObject({ inputTokens: 3, outputTokens: 1 })
  expect(result.attempts.map(({ outcome, usage }) => [outcome, usage?.outputTokens])).toEqual([
    ['failed', 500],
    ['answered', 1],
  ])
  expect(result.cost).toBeCloseTo(9 + 500 + 3 + 1)
})
