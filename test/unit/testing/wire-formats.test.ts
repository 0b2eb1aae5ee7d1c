import { describe, expect } from 'vitest'
import { answer, status } from '../../../src/testing/index.ts'
import type { ServerOptions, TestServer, WireFormat, WireFormatName } from '../../../src/testing/index.ts'
import { test } from '../../helpers/vitest.ts'

const said = answer(['Hello ', 'there.'], {
  reasoning: ['Hm', '.'],
  toolCalls: [{ toolName: 'weather', input: { city: 'Köln' } }],
  usage: { inputTokens: 17, cachedInputTokens: 5, outputTokens: 9, reasoningTokens: 2, totalTokens: 26 },
})

type Delta = {
  role?: string | null
  content?: string | null
  reasoning_content?: string | null
  reasoning?: string
  tool_calls?: { id?: string; function: { arguments: string } }[] | null
}

/** What any of these services sends: a chunk, a whole answer, a line of Ollama, or the end. */
type Sent = {
  id?: string
  model?: string
  object?: string
  choices?: { delta: Delta; message: Delta; finish_reason: string | null }[]
  usage?: object | null
  done?: boolean
  message?: { content: string; thinking?: string; tool_calls?: object[] }
}

async function ask({ baseURL }: TestServer, body: object, path = '/chat/completions'): Promise<Response> {
  return fetch(baseURL + path, { method: 'POST', body: JSON.stringify({ model: 'asked-for', ...body }) })
}

function choicesOf(events: readonly Sent[]): NonNullable<Sent['choices']> {
  return events.flatMap(event => event.choices ?? [])
}

function deltasOf(events: readonly Sent[]): readonly Delta[] {
  return choicesOf(events).map(choice => choice.delta)
}

async function wholeOf(response: Response): Promise<Sent> {
  return (await response.json()) as Sent
}

/** The data of every event, `[DONE]` as text. */
async function eventsOf(response: Response): Promise<readonly Sent[]> {
  const text = await response.text()
  expect(text.endsWith('\n\n')).toBe(true)
  return text
    .trimEnd()
    .split('\n\n')
    .map(event => event.replace(/^data: /, ''))
    .map(data => (data === '[DONE]' ? { done: true } : (JSON.parse(data) as Sent)))
}

const chatFormats = ['deepseek', 'openai', 'llama', 'vllm', 'sglang'] as const satisfies readonly WireFormatName[]

describe.for(chatFormats)('%s', format => {
  test('streams role first, content without a role, one finish reason, [DONE] last', async ({ server }) => {
    const response = await ask(await server(said, { format }), { stream: true, stream_options: { include_usage: true } })
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const events = await eventsOf(response)
    expect(events.at(-1)).toEqual({ done: true })
    const deltas = deltasOf(events)
    expect(deltas[0]).toMatchObject({ role: 'assistant' })
    expect(deltas.slice(1).some(delta => delta.role === 'assistant')).toBe(false)
    expect(deltas.map(delta => delta.content ?? '').join('')).toBe('Hello there.')
    const reasons = choicesOf(events).map(choice => choice.finish_reason)
    expect(reasons.filter(reason => reason !== null)).toEqual(['tool_calls'])
    expect(new Set(events.slice(0, -1).map(event => [event.id, event.model, event.object].join())).size).toBe(1)
    expect(events[0]).toMatchObject({ model: 'asked-for', object: 'chat.completion.chunk' })
  })

  test('streams a tool call as name and then pieces of its arguments', async ({ server }) => {
    const events = await eventsOf(await ask(await server(said, { format }), { stream: true }))
    const calls = deltasOf(events).flatMap(delta => delta.tool_calls ?? [])
    expect(calls[0]).toMatchObject({
      index: 0,
      id: expect.stringMatching(/.{8,}/) as string,
      type: 'function',
      function: { name: 'weather', arguments: '' },
    })
    expect(calls.length).toBeGreaterThan(2)
    expect(calls.map(call => call.function['arguments']).join('')).toBe('{"city":"Köln"}')
    expect(calls.filter(call => 'id' in call)).toHaveLength(1)
  })

  test('answers a request without stream with one JSON of the same content', async ({ server }) => {
    const response = await ask(await server(said, { format }), {})
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    const whole = (await response.json()) as Sent
    expect(whole).toMatchObject({
      object: 'chat.completion',
      model: 'asked-for',
      usage: { prompt_tokens: 17, completion_tokens: 9, total_tokens: 26 },
    })
    expect(whole.choices).toMatchObject([
      {
        index: 0,
        finish_reason: 'tool_calls',
        message: {
          role: 'assistant',
          content: 'Hello there.',
          tool_calls: [{ function: { name: 'weather', arguments: '{"city":"Köln"}' } }],
        },
      },
    ])
  })

  test('reports no usage where the answer has none', async ({ server }) => {
    const running = await server(answer('Hi', { usage: null }), { format })
    const events = await eventsOf(await ask(running, { stream: true, stream_options: { include_usage: true } }))
    expect(events.some(event => event.usage !== undefined && event.usage !== null)).toBe(false)
    expect(await (await ask(running, {})).json()).not.toHaveProperty('usage')
  })

  test('gives every request ids of its own, and every run the same', async ({ server }) => {
    const ids = async (): Promise<unknown[]> => {
      const running = await server(answer('Hi'), { format })
      const both = [await (await ask(running, {})).json(), await (await ask(running, {})).json()] as Sent[]
      return both.map(whole => whole.id)
    }
    const [first, second] = [await ids(), await ids()]
    expect(first[0]).not.toBe(first[1])
    expect(first).toEqual(second)
  })
})

test.for([
  ['deepseek', 'reasoning_content'],
  ['llama', 'reasoning_content'],
  ['sglang', 'reasoning_content'],
  ['vllm', 'reasoning'],
] as const)('%s thinks in %s', async ([format, field], { server }) => {
  const running = await server(said, { format })
  const events = await eventsOf(await ask(running, { stream: true }))
  const deltas = deltasOf(events)
  expect(deltas.map(delta => delta[field] ?? '').join('')).toBe('Hm.')
  expect(choicesOf([await wholeOf(await ask(running, {}))])[0]?.message[field]).toBe('Hm.')
})

test('openai shows no reasoning, only its count', async ({ server }) => {
  const text = await (
    await ask(await server(said, { format: 'openai' }), { stream: true, stream_options: { include_usage: true } })
  ).text()
  expect(text).not.toMatch(/"reasoning(_content)?"|Hm/)
  expect(text).toContain('"completion_tokens_details":{"reasoning_tokens":2}')
})

test('deepseek opens thinking with content null and an empty reasoning_content', async ({ server }) => {
  const running = await server([said, answer('Hi')])
  const thinking = await eventsOf(await ask(running, { stream: true }))
  expect(deltasOf(thinking)[0]).toEqual({ role: 'assistant', content: null, reasoning_content: '' })
  const plain = await eventsOf(await ask(running, { stream: true }))
  expect(deltasOf(plain)[0]).toEqual({ role: 'assistant', content: '' })
  expect(deltasOf(plain)[1]).toEqual({ content: 'Hi' })
})

test('deepseek has its usage on the finish frame, asked for or not, with hits and misses of the cache', async ({ server }) => {
  const events = await eventsOf(await ask(await server(said), { stream: true }))
  const [finish] = events.slice(-2)
  expect(finish?.choices).toHaveLength(1)
  expect(finish?.usage).toMatchObject({
    prompt_tokens: 17,
    prompt_cache_hit_tokens: 5,
    prompt_cache_miss_tokens: 12,
    completion_tokens_details: { reasoning_tokens: 2 },
  })
  expect(events.slice(0, -2).every(event => event.usage === null)).toBe(true)
})

test.for(['openai', 'llama', 'vllm', 'sglang'] as const)(
  '%s has its usage in a frame without choices, and only when asked',
  async (format, { server }) => {
    const running = await server(said, { format })
    const [usage] = (await eventsOf(await ask(running, { stream: true, stream_options: { include_usage: true } }))).slice(-2)
    expect(usage).toMatchObject({ choices: [], usage: { prompt_tokens: 17, completion_tokens: 9 } })
    const [finish] = (await eventsOf(await ask(running, { stream: true }))).slice(-2)
    expect(finish?.choices).toHaveLength(1)
    expect(finish?.usage ?? null).toBeNull()
  },
)

test('sglang counts reasoning tokens at the top level of usage', async ({ server }) => {
  const whole = await wholeOf(await ask(await server(said, { format: 'sglang' }), {}))
  expect(whole.usage).toMatchObject({ reasoning_tokens: 2, prompt_tokens_details: null })
})

test('the request id is in the header that the service uses', async ({ server }) => {
  const headerOf = async (format: WireFormatName, name: string): Promise<string | null> =>
    (await ask(await server(said, { format }), {})).headers.get(name)
  expect(await headerOf('deepseek', 'x-ds-trace-id')).toMatch(/^[0-9a-f]{32}$/)
  expect(await headerOf('openai', 'x-request-id')).toMatch(/^req_/)
})

test('baseURL ends in /v1 where the service wants it', async ({ server }) => {
  const bases: Record<string, string> = {}
  for (const format of [...chatFormats, 'ollama', 'text-generation'] as const) {
    const { baseURL, url } = await server(said, { format })
    bases[format] = baseURL.slice(url.length)
  }
  expect(bases).toEqual({
    deepseek: '',
    openai: '/v1',
    llama: '/v1',
    vllm: '/v1',
    sglang: '/v1',
    ollama: '',
    'text-generation': '',
  })
})

describe('ollama', () => {
  const options: ServerOptions = { format: 'ollama' }

  test('streams /api/chat in lines, by default, with arguments as an object and figures on the last line', async ({ server }) => {
    const response = await ask(await server(said, options), {}, '/api/chat')
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await response.text())
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Sent)
    expect(lines.map(line => line.message?.thinking ?? '').join('')).toBe('Hm.')
    expect(lines.map(line => line.message?.content).join('')).toBe('Hello there.')
    expect(lines.flatMap(line => line.message?.tool_calls ?? [])).toEqual([
      { function: { index: 0, name: 'weather', arguments: { city: 'Köln' } } },
    ])
    expect(lines.map(line => line.done)).toEqual([false, false, false, false, false, true])
    expect(lines.at(-1)).toMatchObject({ done_reason: 'stop', prompt_eval_count: 17, eval_count: 9 })
  })

  test('answers /api/chat with stream: false in one JSON', async ({ server }) => {
    const whole = await wholeOf(await ask(await server(said, options), { stream: false }, '/api/chat'))
    expect(whole).toMatchObject({
      done: true,
      message: { role: 'assistant', content: 'Hello there.', thinking: 'Hm.' },
      eval_count: 9,
    })
  })

  test('has the text of /api/generate under response', async ({ server }) => {
    const whole = await wholeOf(await ask(await server(said, options), { stream: false }, '/api/generate'))
    expect(whole).toMatchObject({ done: true, response: 'Hello there.', thinking: 'Hm.' })
  })

  test('speaks chat completions under /v1, with the role in every delta and reasoning in its own field', async ({ server }) => {
    const events = await eventsOf(await ask(await server(said, options), { stream: true }, '/v1/chat/completions'))
    const deltas = deltasOf(events)
    expect(deltas.every(delta => delta.role === 'assistant')).toBe(true)
    expect(deltas.map(delta => delta.reasoning ?? '').join('')).toBe('Hm.')
  })

  test('fails in the middle with one more line, and with a text natively', async ({ server }) => {
    const running = await server([answer(['a', 'b'], { errorAfterChunks: 1 }), status(503)], options)
    const lines = (await (await ask(running, {}, '/api/chat')).text()).trimEnd().split('\n')
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ error: expect.any(String) as string })
    expect(await (await ask(running, {}, '/api/chat')).json()).toEqual({
      error: 'server busy, please try again.  maximum pending requests exceeded',
    })
  })
})

test('text-generation answers { response } and never streams', async ({ server }) => {
  const response = await ask(await server(said, { format: 'text-generation' }), { prompt: 'Hi', stream: true }, '/generate')
  expect(await response.json()).toEqual({ response: 'Hello there.' })
})

/** What services send with a status when the reply names no body. */
test.for([
  [
    'deepseek',
    402,
    { error: { message: 'Insufficient Balance', type: 'unknown_error', param: null, code: 'invalid_request_error' } },
  ],
  [
    'deepseek',
    429,
    {
      error: {
        message: expect.stringContaining('concurrency limit of 25') as string,
        type: 'rate_limit_error',
        code: 'invalid_request_error',
      },
    },
  ],
  ['openai', 401, { error: { type: 'invalid_request_error', code: 'invalid_api_key' } }],
  ['openai', 503, { error: { type: 'service_unavailable_error', code: 'server_is_overloaded' } }],
  ['llama', 503, { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } }],
  ['vllm', 401, { error: 'Unauthorized' }],
  ['vllm', 404, { error: { type: 'NotFoundError', code: 404 } }],
  ['sglang', 503, { object: 'error', message: 'The request queue is full.', code: 503 }],
  ['ollama', 404, { error: { message: "model 'none' not found", type: 'not_found_error', code: null } }],
  ['deepseek', 418, { error: { message: 'Request failed with status 418.' } }],
  ['text-generation', 500, { detail: 'Request failed with status 500.' }],
] as const)('%s sends its own error body with a %i', async ([format, code, body], { server }) => {
  const response = await ask(await server(status(code), { format }), {})
  expect(response.status).toBe(code)
  expect(await response.json()).toMatchObject(body)
})

test('an error of llama-server closes the connection', async ({ server }) => {
  const running = await server([status(400)], { format: 'llama' })
  const response = await ask(running, {})
  expect(response.headers.get('connection')).toBe('close')
  await response.text()
  await running.untilAllClosed()
})

test('usage counts chunks as tokens unless the answer says otherwise', async ({ server }) => {
  const whole = await wholeOf(await ask(await server(answer('One two three.', { reasoning: 'Hm hm.' })), {}))
  expect(whole.usage).toMatchObject({
    prompt_tokens: 12,
    completion_tokens: 5,
    total_tokens: 17,
    completion_tokens_details: { reasoning_tokens: 2 },
  })
})

test.for([
  ['length', 'length'],
  ['content-filter', 'content_filter'],
  ['insufficient_system_resource', 'insufficient_system_resource'],
  ['', ''],
  [null, null],
] as const)('finish reason %j is %j on the wire', async ([finishReason, onTheWire], { server }) => {
  const whole = await wholeOf(await ask(await server(answer('Hi', { finishReason })), {}))
  expect(choicesOf([whole])[0]?.finish_reason).toBe(onTheWire)
})

test('arguments that are no JSON go out as they are', async ({ server }) => {
  const whole = await wholeOf(await ask(await server(answer('', { toolCalls: [{ toolName: 'f', input: '{"a":' }] })), {}))
  expect(choicesOf([whole])[0]?.message.tool_calls?.[0]?.function.arguments).toBe('{"a":')
})

test('a text is one chunk for each word, and nothing of it is lost', async ({ server }) => {
  const text = '  Why not?\n\nBecause 你好 😀  '
  const events = await eventsOf(await ask(await server(answer(text)), { stream: true }))
  const pieces = deltasOf(events).map(delta => delta.content)
  expect(pieces.join('')).toBe(text)
  expect(pieces.filter(piece => piece !== '')).toHaveLength(6)
})

test('a format of your own is spoken like the others', async ({ server }) => {
  const format: WireFormat = {
    name: 'mine',
    basePath: '/mine',
    wantsStream: request => request.path.endsWith('/stream'),
    stream: ({ text }) => ({ opening: [], chunks: text.map(piece => `${piece}|`), finish: ['.'], done: undefined }),
    json: ({ text }) => ({ said: text.join('') }),
    error: code => `broken ${code}`,
    inBandError: () => ({ text: '!', done: false }),
    keepAlive: () => '~',
    headers: () => ({ 'x-mine': '1' }),
  }
  const running = await server(
    [
      answer('One two', { keepAlives: 2, keepAliveEveryMs: 1 }),
      answer('One two'),
      answer('One two', { errorAfterChunks: 1 }),
      status(500),
    ],
    { format },
  )
  const texts: string[] = []
  for (const path of ['/stream', '/json', '/stream', '/json']) texts.push(await (await ask(running, {}, path)).text())
  expect(texts).toEqual(['~~One |two|.', '{"said":"One two"}', 'One |!', 'broken 500'])
})
