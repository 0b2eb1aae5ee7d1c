import { type Client, createClient, openaiCompatible } from 'unbusy'
import { openaiOptions } from 'unbusy/openai'
import { answer, fakeTarget } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { peers } from '../helpers/peers.ts'
import { test as base } from '../helpers/vitest.ts'

const group = peers('openai-clients')
// its types are beside the package, which is not installed everywhere
type Called = { readonly function: { readonly name: string; readonly arguments: string } }
type Whole = {
  readonly choices: readonly {
    readonly message: { readonly content: string | null; readonly parsed?: unknown; readonly tool_calls?: readonly Called[] }
    readonly finish_reason: string
  }[]
}
type Chunk = {
  readonly choices: readonly {
    readonly delta: { readonly role?: string; readonly content?: string | null; readonly reasoning_content?: string }
    readonly finish_reason: string | null
  }[]
}
type Sent<Value> = Promise<Value> & {
  withResponse(): Promise<{ readonly data: Value; readonly response: Response; readonly request_id: string | null }>
}
type Signalled = { readonly signal?: AbortSignal }
type OpenAI = {
  readonly chat: {
    readonly completions: {
      create(body: { readonly stream: true; readonly [field: string]: unknown }, options?: Signalled): Sent<AsyncIterable<Chunk>>
      create(body: object, options?: Signalled): Sent<Whole>
      parse(body: object): Promise<Whole>
      stream(body: object): { finalChatCompletion(): Promise<Whole> }
      runTools(body: object): { finalContent(): Promise<string> }
    }
  }
  readonly responses: { create(body: object): Promise<unknown> }
  readonly embeddings: { create(body: object): Promise<unknown> }
  readonly models: { list(): Promise<{ readonly data: readonly { readonly id: string }[] }> }
}
type Module = { readonly default: new (options: object) => OpenAI; readonly APIUserAbortError: typeof Error }
type Helpers = { zodResponseFormat(schema: unknown, name: string): object }

const { default: OpenAIClient, APIUserAbortError } = group.isMissing ? ({} as Module) : await group.load<Module>('openai')
const { zodResponseFormat } = group.isMissing ? ({} as Helpers) : await group.load<Helpers>('openai/helpers/zod')

const test = base.extend('open', ({ onTestFinished }) => (client: Client) => {
  onTestFinished(() => client.close())
  return new OpenAIClient(openaiOptions(client))
})

const messages = [{ role: 'user' as const, content: 'Why is the sky blue?' }]
const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  },
}

describe.skipIf(group.isMissing)(`the openai package${group.suffix}`, () => {
  test('create() gets the whole answer, who gave it, and what it used', async ({ open }) => {
    const target = fakeTarget([{ error: 'overloaded' }, 'Nothing.'], { model: 'busy', retry: 0 })
    const spare = fakeTarget([{ text: 'Because.', reasoning: 'Hm.', usage: { inputTokens: 3, outputTokens: 2 } }], {
      model: 'spare',
    })
    const openai = open(createClient({ chain: [target, spare] }))
    const { data, response, request_id } = await openai.chat.completions.create({ model: 'any', messages }).withResponse()
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'spare',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'Because.', reasoning_content: 'Hm.' }, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    })
    expect(response.headers.get('x-unbusy-target')).toBe('1')
    expect(response.headers.get('x-unbusy-model')).toBe('spare')
    expect(response.headers.get('x-unbusy-attempts')).toBe('2')
    expect(request_id).toMatch(/^req_/)
  })

  test('create() with stream gets chunks, usage where it is asked for, and reasoning', async ({ open }) => {
    const openai = open(
      createClient({
        chain: [fakeTarget([{ text: ['Be', 'cause.'], reasoning: ['H', 'm.'], usage: { inputTokens: 3, outputTokens: 4 } }])],
      }),
    )
    const stream = await openai.chat.completions.create({
      ...{ model: 'any', messages, stream: true },
      stream_options: { include_usage: true },
    })
    const chunks: Chunk[] = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Because.')
    expect(chunks.map(({ choices }) => choices[0]?.delta.reasoning_content ?? '').join('')).toBe('Hm.')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } })
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop')
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant')
  })

  test('.stream() puts the answer together, tool calls too', async ({ open }) => {
    const openai = open(
      createClient({
        chain: [fakeTarget([{ text: 'Let me see.', toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] }])],
      }),
    )
    const stream = openai.chat.completions.stream({ model: 'any', messages, tools: [weather] })
    const { choices } = await stream.finalChatCompletion()
    expect(choices[0]).toMatchObject({
      message: { content: 'Let me see.', tool_calls: [{ function: { name: 'weather', arguments: '{"city":"Oslo"}' } }] },
      finish_reason: 'tool_calls',
    })
  })

  test('.parse() gets clean JSON whatever the model wrote around it; what does not fit goes to the next target', async ({
    open,
  }) => {
    const openai = open(
      createClient({
        chain: [
          fakeTarget(['{"name": 7}'], { retry: 0, capabilities: { output: 'prompt' } }),
          fakeTarget(['Here you are:\n```json\n{"name": "Bob"}\n```'], { capabilities: { output: 'prompt' } }),
        ],
      }),
    )
    const { choices } = await openai.chat.completions.parse({
      ...{ model: 'any', messages },
      response_format: zodResponseFormat(z.object({ name: z.string() }), 'person'),
    })
    expect(choices[0]?.message.parsed).toEqual({ name: 'Bob' })
  })

  test('.parse() takes an answer with properties more than its schema names, as the package does', async ({ open }) => {
    const openai = open(
      createClient({ chain: [fakeTarget(['{"name":"Bob","note":"x"}'], { retry: 0, capabilities: { output: 'prompt' } })] }),
    )
    const { choices } = await openai.chat.completions.parse({
      ...{ model: 'any', messages },
      response_format: zodResponseFormat(z.strictObject({ name: z.string() }), 'person'),
    })
    expect(choices[0]?.message.parsed).toEqual({ name: 'Bob' })
  })

  test('.parse() and .stream() throw the error of the package where the output limit cut the JSON', async ({ open }) => {
    const cut = { text: ['{"name": ', '"Bo'], finishReason: 'length' } as const
    const openai = open(createClient({ chain: [fakeTarget([cut, cut], { retry: 0, capabilities: { output: 'prompt' } })] }))
    const body = { model: 'any', messages, response_format: zodResponseFormat(z.object({ name: z.string() }), 'person') }
    await expect(openai.chat.completions.parse(body)).rejects.toThrow(/length limit was reached/)
    await expect(openai.chat.completions.stream(body).finalChatCompletion()).rejects.toThrow(/length limit was reached/)
  })

  test('the name of a schema reaches the service', async ({ open, server }) => {
    const upstream = await server(answer('{"name":"Bob"}'))
    const openai = open(createClient({ chain: [openaiCompatible('m', { baseURL: upstream.baseURL })] }))
    await openai.chat.completions.parse({
      ...{ model: 'any', messages },
      response_format: zodResponseFormat(z.object({ name: z.string() }), 'person'),
    })
    expect(upstream.requests[0]?.json).toMatchObject({ response_format: { json_schema: { name: 'person', strict: true } } })
  })

  test('.runTools() runs tools and gives the last answer', async ({ open }) => {
    const target = fakeTarget([
      { reasoning: 'I ask.', toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] },
      'It is cold.',
    ])
    const openai = open(createClient({ chain: [target] }))
    const asked: string[] = []
    const runner = openai.chat.completions.runTools({
      ...{ model: 'any', messages },
      tools: [
        {
          type: 'function',
          function: {
            ...weather.function,
            function: (input: string) => asked.push(input) && '-3 degrees',
            name: 'weather',
            parse: undefined,
          },
        } as never,
      ],
    })
    expect(await runner.finalContent()).toBe('It is cold.')
    expect(asked).toEqual(['{"city":"Oslo"}'])
    // the package does not send reasoning back; a model that thinks wants it
    const second = target.provider.calls.at(-1)?.call.messages ?? []
    expect(second).toMatchObject([
      { role: 'user' },
      { role: 'assistant', reasoningText: 'I ask.', toolCalls: [{ toolName: 'weather' }] },
      { role: 'tool', content: '-3 degrees' },
    ])
  })

  test('what a service wants to get back travels as extra_content, and is remembered for runTools(), which drops it (F57)', async ({
    open,
  }) => {
    const script = () =>
      fakeTarget([
        {
          reasoning: 'I ask.',
          reasoningMetadata: { signature: 'of the turn' },
          toolCalls: [
            {
              toolName: 'weather',
              toolCallId: 'call_0',
              input: { city: 'Oslo' },
              providerMetadata: { signature: 'of the call' },
            },
          ],
        },
        'Cold.',
      ])
    const expected = {
      providerMetadata: { signature: 'of the turn' },
      toolCalls: [{ providerMetadata: { signature: 'of the call' } }],
    }
    const user = { role: 'user', content: 'Cold?' }
    const result = { role: 'tool', tool_call_id: 'call_0', content: 'cold' }
    // a loop by hand, in another process: the message goes back as it came
    const first = script()
    const openai = open(createClient({ chain: [first] }))
    const { choices } = await openai.chat.completions.create({ model: 'any', messages: [user], tools: [weather] })
    const message = JSON.parse(JSON.stringify(choices[0]?.message)) as object
    const elsewhere = fakeTarget(['Cold.'])
    await open(createClient({ chain: [elsewhere] })).chat.completions.create({
      model: 'any',
      messages: [user, message, result],
      tools: [weather],
    })
    expect(elsewhere.provider.calls[0]?.call.messages[1]).toMatchObject(expected)
    // the same conversation without what clients drop
    const bare = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_0', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
    }
    await openai.chat.completions.create({ model: 'any', messages: [user, bare, result], tools: [weather] })
    expect(first.provider.calls[1]?.call.messages[1]).toMatchObject({ ...expected, reasoningText: 'I ask.' })
    // another conversation with a call of the same id gets nothing of it
    await openai.chat.completions.create({
      model: 'any',
      messages: [{ role: 'user', content: 'Hot?' }, bare, result],
      tools: [weather],
    })
    const stranger = first.provider.calls[2]?.call.messages[1] as {
      readonly reasoningText?: string
      readonly providerMetadata?: object
    }
    expect([stranger.reasoningText, stranger.providerMetadata]).toEqual([undefined, undefined])
    // in a stream too
    const streamed = script()
    const streaming = open(createClient({ chain: [streamed] }))
    await streaming.chat.completions.stream({ model: 'any', messages: [user], tools: [weather] }).finalChatCompletion()
    await streaming.chat.completions.create({ model: 'any', messages: [user, bare, result], tools: [weather] })
    expect(streamed.provider.calls[1]?.call.messages[1]).toMatchObject(expected)
  })

  test('an abort ends the request upstream', async ({ open }) => {
    const target = fakeTarget([{ text: ['One', 'two'], hangAfterChunks: 1 }])
    const openai = open(createClient({ chain: [target] }))
    const controller = new AbortController()
    const stream = await openai.chat.completions.create({ model: 'any', messages, stream: true }, { signal: controller.signal })
    const read = async () => {
      for await (const { choices } of stream) if (choices[0]?.delta.content === 'One') controller.abort()
    }
    await read()
    await expect.poll(() => target.provider.calls[0]?.signal.aborted).toBe(true)
    const hanging = fakeTarget([{ hang: true }])
    const waiting = open(createClient({ chain: [hanging] }))
    const early = new AbortController()
    const asked = waiting.chat.completions.create({ model: 'any', messages }, { signal: early.signal })
    setTimeout(() => early.abort(), 10)
    await expect(asked).rejects.toThrow(APIUserAbortError)
    await expect.poll(() => hanging.provider.calls[0]?.signal.aborted).toBe(true)
  })

  test('who breaks out of the loop ends the request upstream', async ({ open }) => {
    const target = fakeTarget([{ text: ['One', 'two'], hangAfterChunks: 1 }])
    const openai = open(createClient({ chain: [target] }))
    for await (const { choices } of await openai.chat.completions.create({ model: 'any', messages, stream: true })) {
      if (choices[0]?.delta.content === 'One') break
    }
    await expect.poll(() => target.provider.calls[0]?.signal.aborted).toBe(true)
  })

  test('a failure has our reason as code, and is not asked again', async ({ open }) => {
    const target = fakeTarget([{ error: 'rate-limit', retryAfterMs: 30_500 }])
    const openai = open(createClient({ chain: [target], retry: 0 }))
    const asked = openai.chat.completions.create({ model: 'any', messages })
    const error: unknown = await asked.then(undefined, (thrown: unknown) => thrown)
    expect(error).toMatchObject({ status: 429, code: 'rate-limit', type: 'rate_limit_error' })
    expect((error as { headers: Headers }).headers.get('retry-after')).toMatch(/^3\d$/)
    expect(target.provider.calls).toHaveLength(1)
  })

  test('a break in a stream is an error with the reason as code, never a success', async ({ open }) => {
    const openai = open(createClient({ chain: [fakeTarget([{ text: ['One', 'two'], cutAfterChunks: 1 }])] }))
    const stream = await openai.chat.completions.create({ model: 'any', messages, stream: true })
    const texts: string[] = []
    const read = (async () => {
      for await (const { choices } of stream) texts.push(choices[0]?.delta.content ?? '')
    })()
    await expect(read).rejects.toMatchObject({ code: 'truncated' })
    expect(texts.join('')).toBe('One')
  })

  test('responses and embeddings are not there, and say so', async ({ open }) => {
    const openai = open(createClient({ chain: [fakeTarget(['Hi.'])] }))
    await expect(openai.responses.create({ model: 'any', input: 'Hi' })).rejects.toMatchObject({ status: 404, code: 'not_found' })
    await expect(openai.embeddings.create({ model: 'any', input: 'Hi' })).rejects.toThrow(/chat completions/)
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['default'])
  })
})
