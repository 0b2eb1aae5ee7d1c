import { type Client, createClient } from 'unbusy'
import { openaiOptions } from 'unbusy/openai'
import { fakeTarget } from 'unbusy/testing'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { peers } from '../helpers/peers.ts'
import { test as base } from '../helpers/vitest.ts'

const group = peers('openai-clients')
// its types are beside the package, which is not installed everywhere
type Message = { readonly content: unknown; readonly tool_calls?: readonly object[]; readonly additional_kwargs: object }
type Model = {
  invoke(input: unknown, options?: object): Promise<Message>
  stream(input: unknown): Promise<AsyncIterable<Message>>
  bindTools(tools: readonly object[]): Model
  withStructuredOutput(schema: unknown): { invoke(input: unknown): Promise<unknown> }
}
type LangChain = { readonly ChatOpenAI: new (options: object) => Model }
type LlamaIndex = {
  readonly OpenAI: new (options: object) => {
    chat(request: object): Promise<{ readonly message: { readonly content: unknown } }>
  }
}
const { ChatOpenAI } = group.isMissing ? ({} as LangChain) : await group.load<LangChain>('@langchain/openai')
const { OpenAI: LlamaIndexOpenAI } = group.isMissing ? ({} as LlamaIndex) : await group.load<LlamaIndex>('@llamaindex/openai')

const test = base.extend('open', ({ onTestFinished }) => (client: Client): Model => {
  onTestFinished(() => client.close())
  return new ChatOpenAI({ model: 'any', configuration: openaiOptions(client), apiKey: '-', maxRetries: 0 })
})

describe.skipIf(group.isMissing)(`LangChain${group.suffix}`, () => {
  test('invoke()', async ({ open }) => {
    const model = open(
      createClient({
        chain: [fakeTarget([{ error: 'overloaded' }], { retry: 0 }), fakeTarget([{ text: 'Because.', reasoning: 'Hm.' }])],
      }),
    )
    const { content, additional_kwargs } = await model.invoke('Why?')
    expect(content).toBe('Because.')
    expect(additional_kwargs).toMatchObject({ reasoning_content: 'Hm.' })
  })

  test('stream()', async ({ open }) => {
    const model = open(createClient({ chain: [fakeTarget([{ text: ['Be', 'cause.'] }])] }))
    const pieces: unknown[] = []
    for await (const { content } of await model.stream('Why?')) pieces.push(content)
    expect(pieces.join('')).toBe('Because.')
  })

  test('tools', async ({ open }) => {
    const model = open(createClient({ chain: [fakeTarget([{ toolCalls: [{ toolName: 'weather', input: { city: 'Oslo' } }] }])] }))
    const bound = model.bindTools([
      {
        type: 'function',
        function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
      },
    ])
    expect((await bound.invoke('Cold?')).tool_calls).toMatchObject([{ name: 'weather', args: { city: 'Oslo' } }])
  })

  test('structured output', async ({ open }) => {
    const model = open(
      createClient({ chain: [fakeTarget(['```json\n{"name": "Bob"}\n```'], { capabilities: { output: 'prompt' } })] }),
    )
    expect(await model.withStructuredOutput(z.object({ name: z.string() })).invoke('Who?')).toEqual({ name: 'Bob' })
  })

  test('a failure is asked once, and keeps its status', async ({ open }) => {
    const target = fakeTarget([{ error: 'overloaded' }], { retry: 0 })
    await expect(open(createClient({ chain: [target] })).invoke('Why?')).rejects.toMatchObject({ status: 503 })
    expect(target.provider.calls).toHaveLength(1)
  })

  test('a conversation that is too long is its ContextOverflowError, by which agents know that they must shorten it', async ({
    open,
  }) => {
    const model = open(createClient({ chain: [fakeTarget([{ error: 'context-length' }], { retry: 0 })] }))
    await expect(model.invoke('Why?')).rejects.toMatchObject({ name: 'ContextOverflowError' })
  })

  test('structured output that the output limit cut is the error of the openai package', async ({ open }) => {
    const cut = { text: '{"name": "Bo', finishReason: 'length' } as const
    const model = open(createClient({ chain: [fakeTarget([cut], { retry: 0, capabilities: { output: 'prompt' } })] }))
    const asked = model.withStructuredOutput(z.object({ name: z.string() })).invoke('Who?')
    await expect(asked).rejects.toThrow(/length limit was reached/)
  })
})

describe.skipIf(group.isMissing)(`LlamaIndex${group.suffix}`, () => {
  test('chat()', async ({ onTestFinished }) => {
    const client = createClient({ chain: [fakeTarget(['Because.'])] })
    onTestFinished(() => client.close())
    const { fetch, baseURL, apiKey, maxRetries, timeout } = openaiOptions(client)
    const llm = new LlamaIndexOpenAI({
      model: 'gpt-4o',
      apiKey,
      baseURL,
      maxRetries,
      timeout,
      additionalSessionOptions: { fetch },
    })
    const { message } = await llm.chat({ messages: [{ role: 'user', content: 'Why?' }] })
    expect(message.content).toBe('Because.')
  })
})
