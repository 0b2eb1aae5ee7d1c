import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  createClient,
  host,
  type Message,
  ollama,
  openai,
  openaiCompatible,
  runTools,
  type StreamEvent,
  type Target,
} from '../../src/index.ts'
import {
  answer,
  type AnswerOptions,
  fakeTarget,
  json,
  raw,
  type ReceivedRequest,
  type ReplySource,
  startServer,
  status,
} from '../../src/testing/index.ts'

const tools = { weather: { inputSchema: z.object({ city: z.string() }) } }
const signed = (signature: string) => ({ extra_content: { google: { thought_signature: signature } } })
const call = (signature: string, input: unknown = { city: 'Oslo' }): AnswerOptions => ({
  toolCalls: [{ toolName: 'weather', input, toolCallId: 'call_1', extra: signed(signature) }],
})

/** A server with Gemini's habit, and a target that speaks to it. */
async function gemini(replies: readonly ReplySource[], options: { readonly stream?: boolean; readonly name?: string } = {}) {
  const server = await startServer(replies, { format: 'openai' })
  const { stream = true, name = 'gemini' } = options
  return { server, target: openaiCompatible('gemini-3', { name, baseURL: server.baseURL, apiKey: 'key', stream }) }
}

const result = (content = 'Cold.'): Message => ({ role: 'tool', toolCallId: 'call_1', toolName: 'weather', content })

/** The turns of the model in a request, as they were sent. */
function turnsIn(request: ReceivedRequest | undefined): readonly { readonly [field: string]: unknown }[] {
  const { messages = [] } = (request?.json ?? {}) as { messages?: readonly { readonly role: string }[] }
  return messages.filter(({ role }) => role === 'assistant')
}

/** As a database or a browser gives it back. */
function stored<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}

describe('F57: a signature', () => {
  test.each([true, false])(
    'comes back with its call to the service that made it, also from a database (stream: %s)',
    async stream => {
      const { server, target } = await gemini([answer('', call('s1')), answer('It is cold.')], { stream })
      await using _ = server
      await using client = createClient({ chain: [target] })
      const question: Message = { role: 'user', content: 'Is it cold in Oslo?' }

      const first = await client.generate({ messages: [question], tools })
      const service = `gemini ${new URL(server.baseURL).origin}`
      expect(first.toolCalls).toEqual([
        { toolCallId: 'call_1', toolName: 'weather', input: { city: 'Oslo' }, providerMetadata: { [service]: signed('s1') } },
      ])
      expect(first.message).toEqual({ role: 'assistant', content: '', toolCalls: first.toolCalls })

      const messages = stored([question, first.message, result()])
      expect((await client.generate({ messages, tools })).text).toBe('It is cold.')
      expect(turnsIn(server.requests[1])).toEqual([
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' }, ...signed('s1') },
          ],
        },
      ])
    },
  )

  test('goes to no other service, whatever its name or address, and to another model and key of its own', async () => {
    await using elsewhere = await startServer(() => answer('Yes.'), { format: 'openai' })
    const { server, target } = await gemini([answer('', call('s1')), answer('Yes.')])
    await using _ = server
    const { baseURL } = elsewhere
    const others: readonly Target[] = [
      openaiCompatible('gemini-3', { name: 'gemini', baseURL, apiKey: 'key' }),
      openaiCompatible('gemini-3', { name: 'other', baseURL: server.baseURL, apiKey: 'key' }),
      openai('gpt-6-luna', { baseURL, apiKey: 'key' }),
      ollama('r1', { baseURL }),
    ]
    await using client = createClient({ chain: [target] })
    const { message } = await client.generate({ prompt: 'Is it cold in Oslo?', tools })
    const messages = [{ role: 'user', content: 'Is it cold?' } as const, message, result()]
    for (const other of others) {
      await using another = createClient({ chain: [other] })
      await another.generate({ messages, tools }).catch(() => undefined)
    }
    const sent = [...elsewhere.requests, ...server.requests.slice(1)].map(({ body }) => body)
    expect(sent.length).toBeGreaterThanOrEqual(others.length)
    for (const body of sent) {
      expect(body).toContain('weather')
      expect(body).not.toMatch(/s1|signature|providerMetadata|extra_content/)
    }

    await using renewed = createClient({
      chain: [openaiCompatible('gemini-3-flash', { name: 'gemini', baseURL: server.baseURL, apiKey: 'another' })],
    })
    await renewed.generate({ messages, tools }).catch(() => undefined)
    expect(server.requests.at(-1)?.body).toContain('"thought_signature":"s1"')
  })

  test('is kept by a target that failed over and back, each service getting its own alone', async () => {
    const a = await gemini([answer('', call('of-a')), status(503), answer('End.')], { name: 'a' })
    const b = await gemini([answer('', { toolCalls: [{ ...call('of-b').toolCalls![0]!, toolCallId: 'call_2' }] })], { name: 'b' })
    await using serverA = a.server
    await using serverB = b.server
    await using client = createClient({ chain: [a.target, b.target], retry: 0, breaker: false })
    const messages: Message[] = [{ role: 'user', content: 'Oslo?' }]
    for (const id of ['call_1', 'call_2', '']) {
      const { message } = await client.generate({ messages, tools })
      messages.push(message)
      if (id !== '') messages.push({ role: 'tool', toolCallId: id, toolName: 'weather', content: 'Cold.' })
    }
    expect(serverB.requests[0]?.body).not.toContain('of-a')
    const last = serverA.requests.at(-1)?.body
    expect(last).toContain('of-a')
    expect(last).not.toContain('of-b')
  })

  test('goes back with a repair to its own service, and with no repair to another', async () => {
    const a = await gemini([answer('', call('of-a', { town: 1 })), answer('', call('of-a', { town: 2 }))], { name: 'a' })
    const b = await gemini([answer('', call('of-b', { town: 3 })), answer('', call('of-b'))], { name: 'b' })
    await using serverA = a.server
    await using serverB = b.server
    await using client = createClient({ chain: [a.target, b.target], repair: 1, retry: 0 })
    const earlier: readonly Message[] = [
      { role: 'user', content: 'Oslo?' },
      {
        role: 'assistant',
        content: '',
        toolCalls: [
          {
            toolCallId: 'call_0',
            toolName: 'weather',
            input: { city: 'Oslo' },
            providerMetadata: { [`a ${new URL(serverA.baseURL).origin}`]: signed('old-of-a') },
          },
        ],
      },
      { role: 'tool', toolCallId: 'call_0', toolName: 'weather', content: 'Cold.' },
    ]
    const { toolCalls } = await client.generate({ messages: earlier, tools })
    expect(toolCalls[0]?.input).toEqual({ city: 'Oslo' })
    const [, repairedA] = serverA.requests
    const [, repairedB] = serverB.requests
    expect(repairedA?.body).toContain('"thought_signature":"of-a"')
    expect(repairedA?.body).toContain('"thought_signature":"old-of-a"')
    expect(repairedB?.body).toContain('"thought_signature":"of-b"')
    for (const { body } of serverB.requests) expect(body).not.toContain('of-a')
  })

  test('goes through runTools(), and its result and error hold turns that can be continued', async () => {
    const { server, target } = await gemini([answer('', call('s1')), answer('Cold.'), answer('Bye.')])
    await using _ = server
    await using client = createClient({ chain: [target] })
    const weather = { ...tools.weather, execute: () => 'minus 3' }
    const { messages, steps } = await runTools(client, 'Oslo?', { tools: { weather } })
    expect(steps).toHaveLength(2)
    expect(server.requests[1]?.body).toContain('"thought_signature":"s1"')
    await client.generate({ messages: [...stored(messages), { role: 'user', content: 'Thanks.' }] })
    expect(turnsIn(server.requests[2])[0]?.['tool_calls']).toMatchObject([signed('s1')])
  })

  test('is told to the reader of a stream with its call', async () => {
    const { server, target } = await gemini([answer('Let me see.', call('s1'))])
    await using _ = server
    await using client = createClient({ chain: [target] })
    const stream = await client.stream({ prompt: 'Oslo?', tools })
    const events: StreamEvent[] = []
    for await (const event of stream) events.push(event)
    const service = `gemini ${new URL(server.baseURL).origin}`
    expect(events.filter(({ type }) => type === 'tool-call')).toMatchObject([{ providerMetadata: { [service]: signed('s1') } }])
    expect((await stream.result()).message).toMatchObject({ content: 'Let me see.', toolCalls: [{ toolCallId: 'call_1' }] })
  })

  test('of the turn itself comes back with the turn; a mark that signs nothing does not', async () => {
    const { server, target } = await gemini([
      answer('Blue.', { extra: signed('of-turn') }),
      answer('Blue.', { extra: { extra_content: { google: { thought: true } } } }),
      () => answer('Because.'),
    ])
    await using _ = server
    await using client = createClient({ chain: [target] })
    const { message } = await client.generate('What colour is the sky?')
    const { message: unsigned } = await client.generate('What colour is the sky?')
    expect(unsigned).toEqual({ role: 'assistant', content: 'Blue.' })
    await client.generate({ messages: [{ role: 'user', content: 'Colour?' }, message, { role: 'user', content: 'Why?' }] })
    expect(turnsIn(server.requests[2])).toEqual([{ role: 'assistant', content: 'Blue.', ...signed('of-turn') }])
  })

  test('that the service refuses by itself is left out, and the call is answered', async () => {
    const { server, target } = await gemini([
      answer('', call('s1')),
      json({ error: { message: "Unknown name 'extra_content' at messages[1]: cannot find field." } }, { status: 400 }),
      answer('Cold.'),
      answer('Cold.'),
    ])
    await using _ = server
    await using client = createClient({ chain: [target], retry: 0 })
    const { message } = await client.generate({ prompt: 'Oslo?', tools })
    const messages: readonly Message[] = [{ role: 'user', content: 'Oslo?' }, message, result()]
    const { warnings } = await client.generate({ messages, tools })
    expect(warnings).toMatchObject([{ setting: 'messages' }])
    await client.generate({ messages, tools })
    expect(server.requests.slice(1).map(({ body }) => body.includes('s1'))).toEqual([true, false, false])
  })
})

test("F57: OpenRouter's reasoning_details come back in one piece each, with their signatures, beside the thought", async () => {
  const text = (piece: string, more = {}) => ({
    type: 'reasoning.text',
    text: piece,
    format: 'anthropic-claude-v1',
    index: 0,
    ...more,
  })
  const detail = (part: unknown) => ({ choices: [{ index: 0, delta: { reasoning_details: [part] }, finish_reason: null }] })
  const frames = [
    { choices: [{ index: 0, delta: { role: 'assistant', content: '', reasoning: 'I ', reasoning_details: [text('I ')] } }] },
    { choices: [{ index: 0, delta: { reasoning: 'think.', reasoning_details: [text('think.')] } }] },
    detail({ type: 'reasoning.text', signature: 'sig', index: 0 }),
    detail({ type: 'reasoning.encrypted', data: 'AAAA', id: 'e1', index: 1 }),
    detail({ type: 'reasoning.encrypted', data: 'BBBB', id: 'e2', index: 2 }),
    { choices: [{ index: 0, delta: { content: 'Blue.' }, finish_reason: 'stop' }] },
  ]
  const stream = `${frames.map(frame => `data: ${JSON.stringify(frame)}\n\n`).join('')}data: [DONE]\n\n`
  await using server = await startServer([raw(stream, { contentType: 'text/event-stream' }), answer('Because.')], {
    format: 'openai',
  })
  await using client = createClient({ chain: [host('openrouter', 'claude', { baseURL: server.baseURL, apiKey: 'key' })] })
  const { message, reasoningText } = await client.generate('What colour is the sky?')
  expect(reasoningText).toBe('I think.')
  await client.generate({ messages: [{ role: 'user', content: 'Colour?' }, stored(message), { role: 'user', content: 'Why?' }] })
  expect(turnsIn(server.requests[1])[0]?.['reasoning_details']).toEqual([
    { type: 'reasoning.text', text: 'I think.', format: 'anthropic-claude-v1', index: 0, signature: 'sig' },
    { type: 'reasoning.encrypted', data: 'AAAA', id: 'e1', index: 1 },
    { type: 'reasoning.encrypted', data: 'BBBB', id: 'e2', index: 2 },
  ])
})

test.each([true, false])('F57: ollama sends back what stood beside a call and a turn (stream: %s)', async stream => {
  await using server = await startServer(
    [answer('', { ...call('of-call'), extra: { thought_signature: 'of-turn' } }), answer('Cold.')],
    { format: 'ollama' },
  )
  await using client = createClient({ chain: [ollama('gemini-3', { baseURL: server.baseURL, stream })] })
  const first = await client.generate({ prompt: 'Oslo?', tools })
  await client.generate({ messages: [{ role: 'user', content: 'Oslo?' }, stored(first.message), result()], tools })
  expect(turnsIn(server.requests[1])).toMatchObject([{ thought_signature: 'of-turn', tool_calls: [signed('of-call')] }])
})

describe('a provider of your own', () => {
  const state = { signature: 's1' }
  const messages = (turn: Message): readonly Message[] => [{ role: 'user', content: 'Oslo?' }, turn, result()]

  test('emits and gets its own value alone; `when` and `prepare` see the turns as the caller has them (F57)', async () => {
    const seen: unknown[] = []
    const target = {
      ...fakeTarget([
        { toolCalls: [{ toolName: 'weather', input: {}, providerMetadata: state }], reasoningMetadata: state },
        'Cold.',
      ]),
      when: ({ messages: turns }: { messages: readonly Message[] }) => {
        seen.push(turns[1])
        return true
      },
      prepare: ({ messages: turns }: { messages: readonly Message[] }) => {
        seen.push(turns[1])
        return {}
      },
    }
    await using client = createClient({ chain: [target] })
    const { message } = await client.generate({ prompt: 'Oslo?', tools: { weather: { inputSchema: {} } } })
    const { name } = target.provider
    expect(message).toMatchObject({ providerMetadata: { [name]: state }, toolCalls: [{ providerMetadata: { [name]: state } }] })
    seen.length = 0
    await client.generate({ messages: messages(message) })
    expect(seen).toEqual([message, message])
    expect(target.provider.calls.at(-1)?.call.messages[1]).toMatchObject({
      providerMetadata: state,
      toolCalls: [{ providerMetadata: state }],
    })
  })

  test('that tells only what it wants back has not begun to answer: another may still do so', async () => {
    const mute = fakeTarget({ reasoningMetadata: state, errorAfterChunks: 1, error: 'server-error' })
    const empty = fakeTarget({ reasoningMetadata: state })
    await using client = createClient({ chain: [empty, mute, fakeTarget('Cold.')], retry: 0 })
    const stream = await client.stream('Oslo?')
    let text = ''
    for await (const event of stream) if (event.type === 'text-delta') text += event.text
    expect(text).toBe('Cold.')
    const { attempts, message } = await stream.result()
    expect(attempts.map(({ outcome, reason }) => reason ?? outcome)).toEqual(['empty', 'server-error', 'answered'])
    expect(message).toEqual({ role: 'assistant', content: 'Cold.' })
  })

  test('of another service gets nothing of it, nor what is no object (F57)', async () => {
    const target = fakeTarget(['Cold.', 'Cold.'])
    await using client = createClient({ chain: [target] })
    for (const providerMetadata of [{ other: state }, { [target.provider.name]: 'text' }, { ['__proto__']: state }]) {
      await client.generate({ messages: messages({ role: 'assistant', content: 'See.', providerMetadata }) })
      expect(target.provider.calls.at(-1)?.call.messages[1]).toEqual({ role: 'assistant', content: 'See.' })
    }
  })
})

test.each([
  [
    { role: 'assistant', content: 'Hi.', providerMetadata: 'text' },
    /providerMetadata must be the object that came with the answer/,
  ],
  [{ role: 'assistant', content: 'Hi.', providerMetadata: { a: 1n } }, /providerMetadata/],
  [
    { role: 'assistant', content: '', toolCalls: [{ toolCallId: 'c', toolName: 't', input: {}, providerMetadata: [] }] },
    /toolCalls\[0\]\.providerMetadata must be the object/,
  ],
])('a wrong state is a TypeError before anything is sent', async (turn, message) => {
  const target = fakeTarget('Hi.')
  await using client = createClient({ chain: [target] })
  const input = { messages: [turn as unknown as Message, { role: 'user', content: 'Hi' } as const] }
  await expect(client.generate(input)).rejects.toThrow(message)
  expect(target.provider.calls).toEqual([])
})

test('the message of a default response is its text', async () => {
  await using client = createClient({ chain: [fakeTarget({ error: 'server-error' })], retry: 0, defaultResponse: 'Later.' })
  expect((await client.generate('Hi')).message).toEqual({ role: 'assistant', content: 'Later.' })
})

test('what a service wants back of the first part of an answer is kept when the rest is another request', async () => {
  const part = { reasoning: 'Hm.', reasoningMetadata: { signature: 's1' }, text: 'one ', finishReason: 'length' } as const
  const target = () => fakeTarget([part, 'two'], { capabilities: { prefix: true } })
  const input = { prompt: 'Count.', continueOnLength: 1 }
  const message = {
    ...{ role: 'assistant', content: 'one two', reasoningText: 'Hm.' },
    providerMetadata: { fake: { signature: 's1' } },
  }
  await using whole = createClient({ chain: [target()] })
  expect((await whole.generate(input)).message).toEqual(message)
  await using streamed = createClient({ chain: [target()] })
  expect((await (await streamed.stream(input)).result()).message).toEqual(message)
})
