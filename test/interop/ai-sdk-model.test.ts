import { generateText, jsonSchema as aiJsonSchema, Output, stepCountIs, streamText, tool } from 'ai'
import { ChainExhaustedError, type Client, StreamInterruptedError } from 'unbusy'
import { unbusy } from 'unbusy/ai-sdk'
import { fakeTarget } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/with-client.ts'

const json = { capabilities: { output: 'prompt' } } as const
const person = z.object({ name: z.string() })
const usage = { inputTokens: 10, cachedInputTokens: 4, outputTokens: 5, reasoningTokens: 2, totalTokens: 15 }

describe('generateText', () => {
  test('gets text, thoughts, usage, and who answered', async ({ client }) => {
    const chain = [
      fakeTarget([{ error: 'overloaded' }], { retry: 0 }),
      fakeTarget([{ text: 'Because.', reasoning: 'Hm.', usage, id: 'r1' }], { name: 'spare', model: 's' }),
    ]
    const result = await generateText({
      model: unbusy(client(chain)),
      prompt: 'Why?',
      temperature: 0.5,
      maxOutputTokens: 9,
      stopSequences: ['END'],
    })
    expect(result).toMatchObject({ text: 'Because.', reasoningText: 'Hm.', finishReason: 'stop' })
    expect(result.usage).toMatchObject({ inputTokens: 10, outputTokens: 5, totalTokens: 15 })
    expect(result.response).toMatchObject({ id: 'r1', modelId: 's' })
    expect(result.providerMetadata?.['unbusy']).toMatchObject({
      ...{ provider: 'spare', model: 's', targetIndex: 1, degraded: false },
      attempts: [
        { outcome: 'failed', reason: 'overloaded' },
        { provider: 'spare', outcome: 'answered' },
      ],
    })
    expect(JSON.stringify(result.providerMetadata)).not.toMatch(/message/)
    expect(chain[1]?.provider.calls[0]?.call).toMatchObject({ temperature: 0.5, maxOutputTokens: 9, stopSequences: ['END'] })
  })

  test('gets a failure as it is, after one walk through the chain', async ({ client }) => {
    const target = fakeTarget([{ error: 'overloaded' }], { retry: 0 })
    const asked = generateText({ model: unbusy(client([target])), prompt: 'Why?' })
    await expect(asked).rejects.toBeInstanceOf(ChainExhaustedError)
    expect(target.provider.calls).toHaveLength(1)
  })

  test('typed answers are clean JSON, whatever was around them', async ({ client }) => {
    const fenced = fakeTarget(['Here:\n```json\n{"name":"Bob"}\n```'], json)
    const { output } = await generateText({
      model: unbusy(client([fenced])),
      prompt: 'Who?',
      output: Output.object({ schema: person }),
    })
    expect(output).toEqual({ name: 'Bob' })
    const list = fakeTarget(['{"elements":[{"name":"A"},{"name":"B"}]}'], json)
    const { output: all } = await generateText({
      model: unbusy(client([list])),
      prompt: 'Who?',
      output: Output.array({ element: person }),
    })
    expect(all).toEqual([{ name: 'A' }, { name: 'B' }])
    const word = fakeTarget(['```\n{"result":"yes"}\n```'], json)
    const { output: one } = await generateText({
      model: unbusy(client([word])),
      prompt: '?',
      output: Output.choice({ options: ['yes', 'no'] }),
    })
    expect(one).toBe('yes')
    const any = fakeTarget(['{"value":[1,2]}'], json)
    const { output: free } = await generateText({ model: unbusy(client([any])), prompt: '?', output: Output.json() })
    expect(free).toEqual([1, 2])
  })

  test('an answer that misses the schema goes to the next target', async ({ client }) => {
    const chain = [fakeTarget(['{"name":7}'], { ...json, retry: 0 }), fakeTarget(['{"name":"Bob"}'], json)]
    const { output } = await generateText({
      model: unbusy(client(chain)),
      prompt: 'Who?',
      output: Output.object({ schema: person }),
    })
    expect(output).toEqual({ name: 'Bob' })
  })

  test('what zod would leave out ends no call: the AI SDK closes each object, and models add properties', async ({ client }) => {
    const asked: unknown[] = []
    const weather = tool({
      inputSchema: z.object({ city: z.string() }),
      execute: async input => void asked.push(input),
    })
    const target = fakeTarget(
      [{ toolCalls: [{ toolName: 'weather', input: { city: 'Oslo', unit: 'C' } }] }, '{"name":"Bob","age":null,"note":"x"}'],
      { ...json, retry: 0 },
    )
    const model = unbusy(client([target]))
    await generateText({ model, prompt: 'Cold?', tools: { weather } })
    expect(asked).toEqual([{ city: 'Oslo' }])
    const { output } = await generateText({ model, prompt: 'Who?', output: Output.object({ schema: person }) })
    expect(output).toEqual({ name: 'Bob' })
  })

  test('a recursive schema and one with optional fields', async ({ client }) => {
    type Tree = { name: string; children: Tree[] }
    const tree: z.ZodType<Tree> = z.lazy(() => z.object({ name: z.string(), children: z.array(tree) }))
    const made = { name: 'a', children: [{ name: 'b', children: [] }] }
    const grown = fakeTarget([JSON.stringify(made)], json)
    const { output } = await generateText({
      model: unbusy(client([grown])),
      prompt: '?',
      output: Output.object({ schema: tree }),
    })
    expect(output).toEqual(made)
    const optional = z.object({ name: z.string(), age: z.number().optional() })
    const { output: left } = await generateText({
      model: unbusy(client([fakeTarget(['{"name":"a","age":null}'], json)])),
      prompt: '?',
      output: Output.object({ schema: optional }),
    })
    expect(left).toEqual({ name: 'a' })
  })

  test('tools run, several at once, and thoughts are sent back', async ({ client }) => {
    const target = fakeTarget([
      {
        reasoning: 'I look.',
        text: 'Let me see.',
        toolCalls: [
          { toolName: 'weather', input: { city: 'Oslo' } },
          { toolName: 'weather', input: { city: 'Rome' } },
        ],
      },
      'Cold, and warm.',
    ])
    const asked: string[] = []
    const weather = tool({
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        asked.push(city)
        return { city, degrees: -3 }
      },
    })
    const result = await generateText({
      model: unbusy(client([target])),
      prompt: 'Cold?',
      tools: { weather },
      stopWhen: stepCountIs(3),
    })
    expect(result.text).toBe('Cold, and warm.')
    expect(asked).toEqual(['Oslo', 'Rome'])
    expect(target.provider.calls[1]?.call.messages).toMatchObject([
      { role: 'user', content: 'Cold?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        reasoningText: 'I look.',
        toolCalls: [{ toolName: 'weather' }, { input: { city: 'Rome' } }],
      },
      { role: 'tool', toolName: 'weather', content: '{"city":"Oslo","degrees":-3}' },
      { role: 'tool', content: '{"city":"Rome","degrees":-3}' },
    ])
  })

  test('what a service wants to get back travels through the loop of the AI SDK, whole and in a stream (F57)', async ({
    client,
  }) => {
    const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => 'cold' })
    const script = () =>
      fakeTarget([
        {
          reasoning: 'I look.',
          reasoningMetadata: { signature: 'of the turn' },
          toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' }, providerMetadata: { signature: 'of the call' } }],
        },
        'Cold.',
      ])
    const expected = {
      role: 'assistant',
      reasoningText: 'I look.',
      providerMetadata: { signature: 'of the turn' },
      toolCalls: [{ toolName: 'weather', providerMetadata: { signature: 'of the call' } }],
    }
    const options = { prompt: 'Cold?', tools: { weather }, stopWhen: stepCountIs(3) }
    const whole = script()
    expect((await generateText({ ...options, model: unbusy(client([whole])) })).text).toBe('Cold.')
    expect(whole.provider.calls[1]?.call.messages[1]).toMatchObject(expected)
    const streamed = script()
    expect(await streamText({ ...options, model: unbusy(client([streamed])) }).text).toBe('Cold.')
    expect(streamed.provider.calls[1]?.call.messages[1]).toMatchObject(expected)
  })

  test('a wrong tool input goes to the next target', async ({ client }) => {
    const chain = [
      fakeTarget([{ toolCalls: [{ toolName: 'weather', input: { city: 7 } }] }], { retry: 0 }),
      fakeTarget([{ toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] }]),
    ]
    const weather = tool({ inputSchema: z.object({ city: z.string() }), outputSchema: z.string() })
    const { toolCalls } = await generateText({
      model: unbusy(client(chain)),
      prompt: '?',
      tools: { weather },
      toolChoice: { type: 'tool', toolName: 'weather' },
    })
    expect(toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Oslo' } }])
    expect(chain[0]?.provider.calls[0]?.call.toolChoice).toEqual({ toolName: 'weather' })
  })

  test('an abort rejects with its own reason, and ends the request', async ({ client }) => {
    const target = fakeTarget([{ hang: true }])
    const controller = new AbortController()
    const asked = generateText({ model: unbusy(client([target])), prompt: '?', abortSignal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(asked).rejects.toThrow('enough')
    expect(target.provider.calls[0]?.outcome).toBe('aborted')
  })

  test('images and texts go along; other files are refused, and nothing is sent', async ({ client }) => {
    const target = fakeTarget(['A cat.', 'A list.'])
    const model = unbusy(client([target]))
    const ask = (mediaType: string, data: Uint8Array) =>
      generateText({
        model,
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What?' },
              { type: 'file', mediaType, data },
            ],
          },
        ],
      })
    await ask('image/png', Buffer.from([0x89, 0x50, 0x4e, 0x47]))
    expect(target.provider.calls[0]?.call.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What?' },
          { type: 'image', image: 'data:image/png;base64,iVBORw==' },
        ],
      },
    ])
    await expect(ask('application/pdf', Buffer.from('%PDF'))).rejects.toThrow(/application\/pdf, which cannot be sent/)
    await ask('text/csv', Buffer.from('name\nBärbel'))
    expect(target.provider.calls[1]?.call.messages).toEqual([{ role: 'user', content: 'What?\n\nname\nBärbel' }])
    expect(target.provider.calls).toHaveLength(2)
  })

  test('a conversation that began with the package for Anthropic goes on', async ({ client }) => {
    const target = fakeTarget(['Hi.'])
    await generateText({
      model: unbusy(client([target])),
      messages: [
        { role: 'user', content: 'Hello' },
        {
          role: 'assistant',
          content: [
            { type: 'custom', kind: 'anthropic.message_start', providerOptions: { anthropic: { id: 'm' } } },
            { type: 'reasoning', text: 'Hm.', providerOptions: { anthropic: { signature: 's' } } },
            { type: 'text', text: 'Hi.' },
          ],
        },
        { role: 'user', content: 'And?' },
      ],
    })
    expect(target.provider.calls[0]?.call.messages[1]).toEqual({ role: 'assistant', content: 'Hi.', reasoningText: 'Hm.' })
  })

  test('seeds below 0 and empty stop sequences, which the AI SDK takes, end no call', async ({ client }) => {
    const target = fakeTarget(['Hi.', 'Hi.'])
    const model = unbusy(client([target]))
    await generateText({ model, prompt: '?', seed: -5, stopSequences: ['', 'END'] })
    await generateText({ model, prompt: '?', stopSequences: [''] })
    expect(target.provider.calls.map(({ call: { seed, stopSequences } }) => ({ seed, stopSequences }))).toEqual([
      { seed: 5, stopSequences: ['END'] },
      { seed: undefined, stopSequences: undefined },
    ])
  })

  test('what has no counterpart is a warning; options of ours go into providerOptions.unbusy', async ({ client }) => {
    const target = fakeTarget([{ text: 'Hi.', warnings: [{ setting: 'seed', message: 'It has none.' }] }])
    const { warnings } = await generateText({
      ...{
        model: unbusy(client([target]), { metadata: { app: 'a', user: 'x' } }),
        prompt: '?',
        topK: 5,
        presencePenalty: 1,
        frequencyPenalty: 1,
      },
      reasoning: 'medium',
      providerOptions: { unbusy: { metadata: { user: 'u1' } }, deepseek: { thinking: { type: 'disabled' } } },
      headers: { 'x-tenant': 'a' },
    })
    const told = (warnings ?? []).map(warning => [warning.type, 'feature' in warning ? warning.feature : ''])
    expect(told).toEqual([
      ['unsupported', 'topK'],
      ['unsupported', 'presencePenalty'],
      ['unsupported', 'frequencyPenalty'],
      ['unsupported', 'providerOptions.deepseek'],
      ['unsupported', 'headers'],
      ['compatibility', 'reasoning'],
      ['unsupported', 'seed'],
    ])
    expect(target.provider.calls[0]?.call).toMatchObject({ metadata: { user: 'u1' }, reasoning: 'high' })
    const wrong = generateText({ model: unbusy(client([target])), prompt: '?', providerOptions: { unbusy: { timeouts: 1 } } })
    await expect(wrong).rejects.toThrow("Did you mean 'timeout'?")
    expect(() => unbusy(client([target]), { modelID: 'x' } as never)).toThrow(/there is no option 'modelID'/)
    expect(() => unbusy({} as Client)).toThrow('must be a client')
  })
})

describe('streamText', () => {
  test('gets thoughts and text in blocks, and who answered', async ({ client }) => {
    const target = fakeTarget([
      { reasoning: ['H', 'm.'], text: ['Be', 'cause.'], usage, warnings: [{ setting: 'seed', message: 'It has none.' }] },
    ])
    const result = streamText({ model: unbusy(client([target])), prompt: 'Why?' })
    const types: string[] = []
    for await (const { type } of result.fullStream) types.push(type)
    expect(types).toEqual([
      ...['start', 'start-step', 'reasoning-start', 'reasoning-delta', 'reasoning-delta', 'reasoning-end'],
      ...['text-start', 'text-delta', 'text-delta', 'text-end', 'finish-step', 'finish'],
    ])
    expect(await result.text).toBe('Because.')
    expect(await result.reasoningText).toBe('Hm.')
    expect((await result.providerMetadata)?.['unbusy']).toMatchObject({
      provider: 'fake',
      targetIndex: 0,
      attempts: [{ outcome: 'answered' }],
    })
    expect(await result.warnings).toMatchObject([{ feature: 'seed' }])
    expect((await result.usage).totalTokens).toBe(15)
  })

  test('a break after the first text is an error part, never a success', async ({ client }) => {
    const result = streamText({
      model: unbusy(client([fakeTarget([{ text: ['One', 'two'], cutAfterChunks: 1 }])])),
      prompt: '?',
      onError() {},
    })
    const errors: unknown[] = []
    for await (const part of result.fullStream) if (part.type === 'error') errors.push(part.error)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(StreamInterruptedError)
    expect(await result.finishReason).toBe('error')
  })

  test('text that would begin anew is an error part, and nobody is paid for it', async ({ client }) => {
    const target = fakeTarget([
      { text: ['One', 'two'], cutAfterChunks: 1 },
      { text: ['Anew', 'x'], hangAfterChunks: 1 },
    ])
    const result = streamText({ model: unbusy(client([target], { afterFirstToken: 'restart' })), prompt: '?', onError() {} })
    const texts: string[] = []
    for await (const part of result.fullStream) if (part.type === 'text-delta') texts.push(part.text)
    expect(texts.join('')).toBe('One')
    expect(await result.finishReason).toBe('error')
    await expect.poll(() => target.provider.active()).toBe(0)
  })

  test('lost thoughts end their block, and new ones begin another', async ({ client }) => {
    const target = fakeTarget([
      { reasoning: 'Lost.', text: 'x', cutAfterChunks: 1 },
      { reasoning: 'New.', text: 'Fine.' },
    ])
    const result = streamText({ model: unbusy(client([target])), prompt: '?' })
    const starts: string[] = []
    for await (const part of result.fullStream) if (part.type === 'reasoning-start') starts.push(part.id)
    expect(new Set(starts).size).toBe(2)
    expect(await result.text).toBe('Fine.')
    expect((await result.reasoning).map(part => (part.type === 'reasoning' ? part.text : ''))).toEqual(['Lost.', 'New.'])
  })

  test('objects come in pieces where that can be, else in one', async ({ client }) => {
    const pieces = async (text: readonly string[], schema: z.ZodType) => {
      const result = streamText({
        model: unbusy(client([fakeTarget([{ text }], json)])),
        prompt: '?',
        output: Output.object({ schema }),
      })
      const partials: unknown[] = []
      for await (const partial of result.partialOutputStream) partials.push(partial)
      return { partials, output: await result.output }
    }
    const plain = await pieces(['{"name":', '"Bo', 'b"}'], person)
    expect(plain.output).toEqual({ name: 'Bob' })
    expect(plain.partials).toContainEqual({ name: 'Bo' })
    expect((await pieces(['```json\n', '{"name":', '"Bob"}\n```'], person)).output).toEqual({ name: 'Bob' })
    expect((await pieces(['{"name":"Bob"}', '\n\nI hope that helps.'], person)).output).toEqual({ name: 'Bob' })
    const optional = z.object({ name: z.string(), age: z.number().optional() })
    expect((await pieces(['{"name":"Bob",', '"age":null}'], optional)).output).toEqual({ name: 'Bob' })
  })

  test('tools run in a stream, and their inputs come in pieces', async ({ client }) => {
    const target = fakeTarget([{ toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] }, 'Cold.'])
    const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => 'cold' })
    const result = streamText({ model: unbusy(client([target])), prompt: '?', tools: { weather }, stopWhen: stepCountIs(3) })
    const types = new Set<string>()
    for await (const { type } of result.fullStream) types.add(type)
    expect(await result.text).toBe('Cold.')
    expect([...types]).toEqual(
      expect.arrayContaining(['tool-input-start', 'tool-input-delta', 'tool-input-end', 'tool-call', 'tool-result']),
    )
  })

  test('an abort ends in an abort part, and ends the request; so does a reader that leaves', async ({ client }) => {
    const target = fakeTarget([{ text: ['One', 'two'], hangAfterChunks: 1 }])
    const controller = new AbortController()
    let aborted = 0
    const result = streamText({
      model: unbusy(client([target])),
      prompt: '?',
      abortSignal: controller.signal,
      onAbort: () => void (aborted += 1),
    })
    for await (const part of result.fullStream) if (part.type === 'text-delta') controller.abort()
    expect(aborted).toBe(1)
    await expect.poll(() => target.provider.calls[0]?.outcome).toBe('aborted')
    const { stream } = await unbusy(client([target])).doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: '?' }] }],
    })
    const reader = stream.getReader()
    await reader.read()
    await reader.cancel()
    await expect.poll(() => target.provider.calls[1]?.outcome).toBe('aborted')
  })

  test('a UI stream, and a stream that is asked again', async ({ client }) => {
    const target = fakeTarget([{ text: ['One', 'two'], cutAfterChunks: 1 }, 'Whole.'])
    const result = streamText({ model: unbusy(client([target], { retry: 0 })), prompt: '?', onError() {} })
    const body = await result.toUIMessageStreamResponse().text()
    expect(body).toContain('An error occurred.')
    expect(body).not.toContain('truncated')
  })

  test('a default response is told as degraded', async ({ client }) => {
    const model = unbusy(client([fakeTarget([{ error: 'overloaded' }], { retry: 0 })], { defaultResponse: 'Later.' }))
    const result = streamText({ model, prompt: '?' })
    expect(await result.text).toBe('Later.')
    expect((await result.providerMetadata)?.['unbusy']).toMatchObject({ degraded: true, provider: 'default', targetIndex: -1 })
  })
})

test('a JSON Schema of the AI SDK that zod cannot read is told, with a warning', async ({ client }) => {
  const schema = aiJsonSchema<{ a: number }>({
    type: 'object',
    properties: { a: { type: 'number', not: { const: 1 } } },
    required: ['a'],
  })
  const { output, warnings } = await generateText({
    model: unbusy(client([fakeTarget(['{"a":2}'], json)])),
    prompt: '?',
    output: Output.object({ schema }),
  })
  expect(output).toEqual({ a: 2 })
  expect(JSON.stringify(warnings)).toMatch(/not checked against this JSON Schema/)
})
