import type { Client, Target } from 'unbusy'
import { chatFetch, type ChatFetchOptions } from 'unbusy/openai'
import { fakeTarget, hold } from 'unbusy/testing'
import fc from 'fast-check'
import { describe, expect, vi } from 'vitest'
import { readBody } from '../../src/interop/openai/read-body.ts'
import { test } from '../helpers/with-client.ts'

const messages = [{ role: 'user', content: 'Hi' }]
const base64 = 'data:image/png;base64,AAAA'

type Json = {
  readonly error: { readonly code: string; readonly message: string; readonly type: string; readonly param: string | null }
  readonly model: string
  readonly choices: readonly { readonly message: { readonly content: string } }[]
  readonly data: readonly { readonly id: string }[]
}
/** The text, and what it is as JSON; a stream is no JSON. */
type Posted = { readonly status: number; readonly headers: Headers; readonly text: string; readonly json: Json }

async function post(
  routes: Parameters<typeof chatFetch>[0],
  body: unknown,
  options: ChatFetchOptions & { path?: string } = {},
): Promise<Posted> {
  const { path = '/v1/chat/completions', ...rest } = options
  const sent = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await chatFetch(routes, rest)(new Request(`http://localhost${path}`, { method: 'POST', body: sent }))
  const text = await response.text()
  const { status, headers } = response
  return { status, headers, text, json: (text.startsWith('{') ? JSON.parse(text) : {}) as Json }
}

describe('what a request says reaches the target', () => {
  const cases: Readonly<Record<string, readonly [fields: object, call: object]>> = {
    'max_completion_tokens before max_tokens': [{ max_completion_tokens: 5, max_tokens: 9 }, { maxOutputTokens: 5 }],
    max_tokens: [{ max_tokens: 9, max_completion_tokens: null }, { maxOutputTokens: 9 }],
    sampling: [
      { temperature: 0.5, top_p: 0.9, seed: 7 },
      { temperature: 0.5, topP: 0.9, seed: 7 },
    ],
    'a single stop': [{ stop: 'END' }, { stopSequences: ['END'] }],
    'several stops': [{ stop: ['A', 'B'] }, { stopSequences: ['A', 'B'] }],
    'effort none': [{ reasoning_effort: 'none' }, { reasoning: 'off' }],
    'effort medium': [{ reasoning_effort: 'medium' }, { reasoning: 'high' }],
    'thinking disabled': [{ thinking: { type: 'disabled' } }, { reasoning: 'off' }],
    metadata: [{ metadata: { user: 'u1' } }, { metadata: { user: 'u1' } }],
    'penalties and the like': [
      { presence_penalty: 1, logit_bias: { '5': 1 }, parallel_tool_calls: false, user: 'u1', frequency_penalty: null },
      { extraBody: { presence_penalty: 1, logit_bias: { '5': 1 }, parallel_tool_calls: false, user: 'u1' } },
    ],
    'nulls are nothing': [
      {
        ...{ temperature: null, stop: null, tools: null, tool_choice: null, response_format: null, n: null, functions: null },
        stream_options: null,
      },
      { temperature: undefined, stopSequences: undefined, tools: undefined },
    ],
    'text parts': [
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'He' },
              { type: 'text', text: 'llo' },
            ],
          },
        ],
      },
      { messages: [{ role: 'user', content: 'Hello' }] },
    ],
    images: [
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What?' },
              { type: 'image_url', image_url: { url: base64 } },
            ],
          },
        ],
      },
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What?' },
              { type: 'image', image: base64 },
            ],
          },
        ],
      },
    ],
    'a conversation with tools': [
      {
        messages: [
          { role: 'developer', content: 'Be kind.' },
          { role: 'user', content: 'Hi', name: null },
          {
            role: 'assistant',
            content: null,
            reasoning_content: 'Hm.',
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
          },
          { role: 'tool', tool_call_id: 'c1', name: 'f', content: [{ type: 'text', text: 'ok' }] },
        ],
      },
      {
        messages: [
          { role: 'developer', content: 'Be kind.' },
          { role: 'user', content: 'Hi' },
          {
            role: 'assistant',
            content: '',
            reasoningText: 'Hm.',
            toolCalls: [{ toolCallId: 'c1', toolName: 'f', input: { a: 1 } }],
          },
          { role: 'tool', toolCallId: 'c1', toolName: 'f', content: 'ok' },
        ],
      },
    ],
    'a beginning of the answer': [
      { messages: [...messages, { role: 'assistant', content: '{', prefix: true }] },
      { messages: [...messages, { role: 'assistant', content: '{', prefix: true }] },
    ],
    'any JSON': [{ response_format: { type: 'json_object' } }, { output: { type: 'json', schema: { type: 'object' } } }],
    'a choice of tool': [
      { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: { type: 'function', function: { name: 'f' } } },
      { toolChoice: { toolName: 'f' }, tools: { f: { inputSchema: { type: 'object', properties: {} } } } },
    ],
  }

  test.for(Object.entries(cases))('%s', async ([, [fields, expected]], { client }) => {
    const target = fakeTarget([{ text: '{"a":1}' }])
    const { status, headers } = await post(client([target]), { model: 'm', messages, ...fields })
    expect(status).toBe(200)
    expect(headers.get('x-unbusy-ignored')).toBeNull()
    expect(target.provider.calls[0]?.call).toMatchObject(expected)
  })

  test('what has no place and would not be missed is named in a header', async ({ client }) => {
    const turn = { role: 'user', content: 'Hi', name: 'Bob' }
    const { status, headers } = await post(client([fakeTarget(['Hi.'])]), {
      model: 'm',
      messages: [turn],
      store: true,
      'nonsense\n': 1,
    })
    expect(status).toBe(200)
    expect(headers.get('x-unbusy-ignored')).toBe('store, nonsense%0A, messages[0].name')
  })
})

describe('what would be lost is refused with 400, and nothing is sent', () => {
  const f = { type: 'function', function: { name: 'f' } }
  const refused: readonly (readonly [param: string | null, fields: object])[] = [
    ['n', { n: 2 }],
    ['functions', { functions: [] }],
    ['audio', { audio: { voice: 'x' } }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['messages[0].content[0].type', { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] }],
    ['messages[0].content[0].type', { messages: [{ role: 'user', content: [{ type: 'file', file: {} }] }] }],
    ['messages[0].content[0]', { messages: [{ role: 'user', content: ['Hi'] }] }],
    ['messages', { messages: [] }],
    ['messages', { messages: 'Hi' }],
    ['messages[0]', { messages: [{ role: 'function', name: 'f', content: '' }] }],
    ['messages[0].role', { messages: [{ role: 'robot', content: '' }] }],
    ['messages[0].content', { messages: [{ role: 'user', content: null }] }],
    [
      'messages[0].tool_calls[0].function.arguments',
      { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', function: { name: 'f', arguments: '{' } }] }] },
    ],
    ['tools[0].type', { tools: [{ type: 'custom', custom: {} }] }],
    ['tools[0].function.name', { tools: [{ type: 'function', function: { name: '__proto__' } }] }],
    ['tools[0].function.name', { tools: [{ type: 'function', function: { name: 'a b' } }] }],
    ['tools[1].function.name', { tools: [f, f] }],
    ['tool_choice', { tools: [f], tool_choice: { type: 'allowed_tools', allowed_tools: {} } }],
    ['tool_choice', { tool_choice: 'required' }],
    ['tool_choice.function.name', { tools: [f], tool_choice: { type: 'function', function: { name: 'g' } } }],
    ['response_format.type', { response_format: { type: 'grammar' } }],
    ['reasoning_effort', { reasoning_effort: 'very' }],
    ['temperature', { temperature: 'hot' }],
    ['max_tokens', { max_tokens: 1.5 }],
    ['stop[0]', { stop: [1] }],
    ['stream', { stream: 'yes' }],
    ['model', { model: '' }],
    ['model', { model: null }],
  ]

  test.for(refused)('%s of %o', async ([param, fields], { client }) => {
    const target = fakeTarget(['Hi.'])
    const { status, json } = await post(client([target]), { model: 'm', messages, ...fields })
    expect(status).toBe(400)
    expect(json).toMatchObject({ error: { type: 'invalid_request_error', param } })
    expect(target.provider.calls).toHaveLength(0)
  })
})

test('a word that is none of the allowed ones is named, unless it may be a piece of a prompt', async ({ client }) => {
  const refusal = async (role: unknown, fields = {}) => {
    const { json } = await post(client([fakeTarget(['Hi.'])]), { model: 'm', messages: [{ role, content: 'Hi' }], ...fields })
    return (json as { error: { message: string } }).error.message.replace(/^.* not /, 'not ')
  }
  expect(await refusal('robot')).toBe("not 'robot'.")
  expect(await refusal('Tell me a story of a robot')).toBe('not this text.')
  expect(await refusal(7)).toBe('not 7.')
  expect(await refusal('user', { tool_choice: 'any' })).toBe("not 'any'.")
})

describe('paths and methods', () => {
  test.for(['/v1/responses', '/v1/embeddings', '/v1/completions'])(
    '%s is a 404 that says what there is',
    async (path, { client }) => {
      const { status, json } = await post(client([fakeTarget(['Hi.'])]), {}, { path })
      expect([status, json.error.code]).toEqual([404, 'not_found'])
      expect(json.error.message).toMatch(/\/v1\/chat\/completions/)
    },
  )

  test('a wrong method is a 405 that names the right one', async ({ client }) => {
    const response = await chatFetch(client([fakeTarget(['Hi.'])]))(new Request('http://localhost/v1/chat/completions'))
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('`model` names a client; another name is a 404 that says which there are', async ({ client }) => {
    const routes = {
      chat: client([fakeTarget(['A.'], { model: 'a' })]),
      'org/fast': client([fakeTarget(['B.'], { model: 'b' })]),
    }
    expect((await post(routes, { model: 'org/fast', messages })).json.choices[0]?.message.content).toBe('B.')
    for (const model of ['nobody', 'constructor', '__proto__', 'x'.repeat(5_000)]) {
      const { status, json } = await post(routes, { model, messages })
      expect([status, json.error.code]).toEqual([404, 'model_not_found'])
      expect(json.error.message).toMatch(/Write one of chat, org\/fast\./)
      expect(json.error.message.length).toBeLessThan(200)
    }
    const get = async (path: string) => (await chatFetch(routes)(new Request(`http://localhost${path}`))).json() as Promise<Json>
    expect((await get('/v1/models')).data.map(({ id }) => id)).toEqual(['chat', 'org/fast'])
    expect(await get('/v1/models/org/fast')).toMatchObject({ id: 'org/fast', object: 'model' })
    expect(await get('/v1/models/nobody')).toMatchObject({ error: { code: 'model_not_found' } })
  })
})

describe('bodies that are no good', () => {
  test.for([
    ['{"model": "m", "messages": [}', 'line 1, column 29'],
    ['{\n  "model": "m"\n  "messages": []\n}', 'line 3, column 3'],
    ['{"model": "secret prompt', 'line 1, column 11'],
    ['', 'it is empty'],
    ['['.repeat(5_000), 'nested deeper'],
  ] as const)('%s: 400, and where', async ([body, where], { client }) => {
    const { status, json } = await post(client([fakeTarget(['Hi.'])]), body)
    expect([status, json.error.code]).toEqual([400, 'invalid_json'])
    expect(json.error.message).toContain(where)
    expect(json.error.message).not.toContain('secret')
  })

  test('a byte order mark before the JSON is no error', () => {
    expect(readBody('\uFEFF{"model":"m"}')).toEqual({ model: 'm' })
    expect(() => readBody('\uFEFF{x')).toThrow('line 1, column 2')
  })

  test('the place is where no JSON goes on', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.constantFrom('', '}', ']', ',', ':', 'x', '"', '1'), (json, at, wrong) => {
        const index = at % (json.length + 1)
        const text = json.slice(0, index) + wrong + json.slice(index + 1)
        try {
          JSON.parse(text)
        } catch {
          const message = messageOf(() => readBody(text))
          if (text.trim() === '') return expect(message).toContain('empty')
          const [, line = '', column = ''] = /line (\d+), column (\d+)/.exec(message) ?? []
          const place =
            text
              .split('\n')
              .slice(0, Number(line) - 1)
              .join('\n').length +
            (Number(line) > 1 ? 1 : 0) +
            Number(column) -
            1
          // the parser agrees, where it tells; its own place is inside of the word that is wrong
          const [, theirs] = /at position (\d+)/.exec(messageOf(() => JSON.parse(text))) ?? []
          if (theirs !== undefined) expect(place).toBeLessThanOrEqual(Number(theirs))
          // what stands before it could go on
          expect(place).toBeLessThanOrEqual(text.length)
        }
        return undefined
      }),
    )
  })

  test('a body above the limit is a 413', async ({ client }) => {
    const { status, json } = await post(
      client([fakeTarget(['Hi.'])]),
      { model: 'm', messages: [{ role: 'user', content: 'x'.repeat(2_000) }] },
      { maxBodyBytes: 1_000 },
    )
    expect([status, json.error.code]).toEqual([413, 'request_too_large'])
  })
})

describe('what goes wrong', () => {
  test('no server words, no stack and no prompt of a bug reach the client; onError hears of it', async ({ client }) => {
    const heard: unknown[] = []
    const bug = new TypeError('secret')
    const target: Target = {
      ...fakeTarget(['Hi.']),
      when: () => {
        throw bug
      },
    }
    const { status, json, headers } = await post(
      client([target]),
      { model: 'm', messages },
      { onError: error => heard.push(error) },
    )
    expect([status, json.error.code, json.error.message.includes('secret')]).toEqual([500, 'internal_error', false])
    expect(headers.get('x-should-retry')).toBe('false')
    expect(heard).toEqual([bug])
  })

  test('a client that was closed is a 503', async ({ client }) => {
    const closed = client([fakeTarget(['Hi.'])])
    await closed.close()
    expect(await post(closed, { model: 'm', messages })).toMatchObject({ status: 503, json: { error: { code: 'closed' } } })
  })

  test('names that no header may hold do not end the process', async ({ client }) => {
    const { headers, json } = await post(client([fakeTarget(['Hi.'], { name: 'a\r\nb', model: '深度 😀' })]), {
      model: 'm',
      messages,
    })
    expect(headers.get('x-unbusy-provider')).toBe('a%0D%0Ab')
    expect(decodeURIComponent(headers.get('x-unbusy-model') ?? '')).toBe('深度 😀')
    expect(json.model).toBe('深度 😀')
  })

  test('usage that was not reported is left out, and null in a stream: never zeros', async ({ client }) => {
    const silent = client([fakeTarget([{ text: 'Hi.' }])])
    expect((await post(silent, { model: 'm', messages })).json).not.toHaveProperty('usage')
    const { text } = await post(silent, { model: 'm', messages, stream: true, stream_options: { include_usage: true } })
    expect(text).toContain('"usage":null')
  })

  test('a text that would begin anew is an error, and nobody is paid for it', async ({ client }) => {
    const target = fakeTarget([
      { text: ['One', 'two'], cutAfterChunks: 1 },
      { text: ['Anew', 'x'], hangAfterChunks: 1 },
    ])
    const { text } = await post(client([target], { afterFirstToken: 'restart', retry: 1 }), {
      model: 'm',
      messages,
      stream: true,
    })
    expect(text).toContain('"code":"truncated"')
    expect(text).not.toContain('Anew')
    expect(text).not.toContain('[DONE]')
    await expect.poll(() => target.provider.active()).toBe(0)
  })

  test('a stream says from whom it is, and after how many requests, before its first chunk', async ({ client }) => {
    const chain = [fakeTarget([{ error: 'overloaded' }], { retry: 0 }), fakeTarget(['Hi.'], { name: 'spare', model: 's' })]
    const { headers, text } = await post(client(chain), { model: 'm', messages, stream: true })
    const names = ['target', 'provider', 'model', 'attempts'].map(name => headers.get(`x-unbusy-${name}`))
    expect(names).toEqual(['1', 'spare', 's', '2'])
    expect(text).toContain('"model":"s"')
    const degraded = await post(client([fakeTarget([{ error: 'overloaded' }])], { defaultResponse: 'Later.', retry: 1 }), {
      ...{ model: 'm', messages, stream: true },
    })
    const told = ['target', 'provider', 'model', 'attempts'].map(name => degraded.headers.get(`x-unbusy-${name}`))
    expect(told).toEqual(['-1', 'default', 'default', '2'])
  })

  test('what the target does not take as it is stands in a header, whole and in a stream', async ({ client }) => {
    const warnings = [
      { setting: 'temperature', message: 'It has none.' },
      { setting: 'toolChoice', message: 'Sent as "auto".' },
    ]
    const chain = [fakeTarget([{ error: 'overloaded' }], { retry: 0 }), fakeTarget([{ text: ['H', 'i.'], warnings }])]
    for (const stream of [false, true]) {
      const { headers, text } = await post(client(chain), { model: 'm', messages, temperature: 1, stream })
      expect(headers.get('x-unbusy-warnings')).toBe('temperature, tool_choice')
      expect(text).toContain(stream ? '"content":"H"' : '"content":"Hi."')
    }
    const { headers } = await post(client([fakeTarget(['Hi.'])]), { model: 'm', messages, stream: true })
    expect(headers.has('x-unbusy-warnings')).toBe(false)
  })

  test('JSON that is cut at the output limit comes with the finish reason `length`, because it was paid for', async ({
    client,
  }) => {
    const usage = { inputTokens: 3, outputTokens: 4 }
    const cut = { text: ['{"a": "', 'lo'], finishReason: 'length', usage } as const
    const target = () => fakeTarget([cut], { retry: 0, capabilities: { output: 'prompt' } })
    const fields = { model: 'm', messages, response_format: { type: 'json_object' }, stream_options: { include_usage: true } }
    const { status, json } = await post(client([target()]), fields)
    expect([status, json]).toEqual([
      200,
      expect.objectContaining({
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: '{"a": "lo', refusal: null },
            logprobs: null,
            finish_reason: 'length',
          },
        ],
        usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
      }),
    ])
    const { text } = await post(client([target()]), { ...fields, stream: true })
    expect([...text.matchAll(/"content":"((?:\\.|[^"\\])*)"/g)].map(([, piece]) => piece).join('')).toBe(String.raw`{\"a\": \"lo`)
    expect(text).toContain('"finish_reason":"length"}')
    expect(text).toMatch(/"choices":\[\],"usage":\{"prompt_tokens":3.*\n\ndata: \[DONE\]\n\n$/s)
    // a list is wrapped for the model, and nothing of it is out before its end
    const list = { type: 'json_schema', json_schema: { name: 'l', schema: { type: 'array', items: { type: 'string' } } } }
    const whole = await post(client([target()]), { ...fields, response_format: list, stream: true })
    expect(whole.text).toContain(String.raw`"content":"{\"a\": \"lo"`)
    // what another target may still answer is no answer yet
    const two = await post(client([target(), fakeTarget([{ error: 'overloaded' }], { retry: 0 })]), fields)
    expect([two.status, two.json.error.code]).toEqual([503, 'overloaded'])
  })

  test('tool calls that begin an answer say that there is no text, in a stream as in a whole answer', async ({ client }) => {
    const tools = [{ type: 'function', function: { name: 'now' } }]
    const target = fakeTarget([{ toolCalls: [{ toolName: 'now', input: {} }] }, { toolCalls: [{ toolName: 'now', input: {} }] }])
    const both = client([target])
    const { text } = await post(both, { model: 'm', messages, tools, stream: true })
    expect(text).toContain('{"role":"assistant","content":null}')
    expect((await post(both, { model: 'm', messages, tools })).json.choices[0]?.message.content).toBeNull()
  })

  test('thoughts that are lost begin anew unseen', async ({ client }) => {
    const target = fakeTarget([{ reasoning: 'Hm.', text: 'x', cutAfterChunks: 1 }, 'Fine.'])
    const { text } = await post(client([target]), { model: 'm', messages, stream: true })
    expect(text).toContain('"content":"Fine."')
    expect(text).toContain('[DONE]')
  })

  test('a typed answer of which nothing is out begins anew unseen', async ({ client }) => {
    const target = fakeTarget([{ text: ['```json\n', '{"a"'], cutAfterChunks: 2 }, { text: '```json\n{"a":1}\n```' }])
    const fields = { model: 'm', messages, stream: true, response_format: { type: 'json_object' } }
    const { text } = await post(client([target], { afterFirstToken: 'restart' }), fields)
    expect(text).toContain(String.raw`"content":"{\"a\":1}"`)
    expect(text).toContain('[DONE]')
  })
})

test("a regular expression of a stranger's schema is told to the model and never run", async ({ client }) => {
  const schema = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } }, required: ['a'] }
  const target = fakeTarget([JSON.stringify({ a: `${'a'.repeat(60)}!` })])
  const fields = { model: 'm', messages, response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }
  // run, it would take longer than this process lives
  expect((await post(client([target]), fields)).status).toBe(200)
  expect(target.provider.calls[0]?.call.output).toMatchObject({ name: 'x', schema })
})

test('a request that is aborted ends the request upstream, and its reader gets the reason', async ({ client }) => {
  const target = fakeTarget([{ text: ['One', 'two'], hangAfterChunks: 1 }])
  const leaving = new AbortController()
  const body = JSON.stringify({ model: 'm', messages, stream: true })
  const request = new Request('http://localhost/v1/chat/completions', { method: 'POST', body, signal: leaving.signal })
  const response = await chatFetch(client([target]))(request)
  const text = response.text()
  leaving.abort(new Error('enough'))
  await expect(text).rejects.toThrow('enough')
  await expect.poll(() => target.provider.calls[0]?.outcome).toBe('aborted')
})

describe('keepAliveMs', () => {
  test('comments hold the line before the first content; then the status is out, and a failure is told in the stream', async ({
    client,
  }) => {
    const opened = hold()
    const target = fakeTarget([{ hang: true }], { timeout: { headersMs: 300 }, retry: 0 })
    const { status, text } = await post(client([target]), { model: 'm', messages, stream: true }, { keepAliveMs: 50 })
    opened.release()
    expect(status).toBe(200)
    expect(text.match(/: keep-alive/g)?.length).toBeGreaterThanOrEqual(3)
    expect(text).toContain('"code":"timeout"')
  })

  test('no timer is left of a reader that stopped reading and whose request was aborted', async ({ client, onTestFinished }) => {
    const set = vi.spyOn(globalThis, 'setInterval')
    const cleared = vi.spyOn(globalThis, 'clearInterval')
    onTestFinished(() => void vi.restoreAllMocks())
    const leaving = new AbortController()
    const body = JSON.stringify({ model: 'm', messages, stream: true })
    const request = new Request('http://localhost/v1/chat/completions', { method: 'POST', body, signal: leaving.signal })
    const long = Array.from({ length: 50 }, () => 'x'.repeat(16 * 1024))
    const chat = chatFetch(client([fakeTarget([{ text: long, hangAfterChunks: 50 }])]), { keepAliveMs: 5_000 })
    const { body: unread } = await chat(request)
    await unread?.getReader().read()
    // until the writer waits for the reader
    await new Promise(resolve => setTimeout(resolve, 200))
    leaving.abort()
    const timer = set.mock.results[set.mock.calls.findIndex(([, ms]) => ms === 5_000)]?.value as unknown
    expect(timer).toBeDefined()
    await expect.poll(() => cleared.mock.calls.some(([handle]) => handle === timer)).toBe(true)
  })

  test('without it a failure before the first content has its status', async ({ client }) => {
    const target = fakeTarget([{ error: 'overloaded' }], { retry: 0 })
    const { status, json } = await post(client([target]), { model: 'm', messages, stream: true })
    expect([status, json.error.code]).toEqual([503, 'overloaded'])
  })

  test.for([0, -1, 5, Number.NaN, Infinity, '10'])('%o is a TypeError', (keepAliveMs, { client }) => {
    expect(() => chatFetch(client([fakeTarget(['Hi.'])]), { keepAliveMs: keepAliveMs as number })).toThrow(
      /keepAliveMs must be a number of milliseconds/,
    )
  })
})

test('routes that are none are a TypeError that says what to write', ({ client }) => {
  expect(() => chatFetch({})).toThrow('Write chatFetch(client)')
  expect(() => chatFetch({ chat: {} as Client })).toThrow("the route 'chat' must be a client")
  expect(() => chatFetch(undefined as unknown as Client)).toThrow('must be a client')
  expect(() => chatFetch(client([fakeTarget(['Hi.'])]), { keepAlive: 1 } as never)).toThrow("Did you mean 'keepAliveMs'?")
})

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return ''
}
