import { join } from 'node:path'
import {
  createClient,
  llama,
  runTools,
  type Client,
  type GenerateInput,
  type LlamaOptions,
  type Message,
  type Target,
} from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { llamaServer, startLlama, type LlamaServer } from '../helpers/llama-server.ts'

const template = join(import.meta.dirname, 'templates', 'tools.jinja')
const inputSchema = {
  type: 'object',
  properties: { city: { enum: ['Oslo', 'Rome'] }, days: { enum: [1, 2, 3] } },
  required: ['city', 'days'],
  additionalProperties: false,
}
const tools = {
  clock: { description: 'The time.', inputSchema: { type: 'object', properties: {}, additionalProperties: false } },
  weather: { description: 'The weather of the next days.', inputSchema },
}
const weatherInput = { city: expect.toBeOneOf(['Oslo', 'Rome']) as string, days: expect.toBeOneOf([1, 2, 3]) as number }
const question = { prompt: 'The weather?', temperature: 0, maxOutputTokens: 200 }
const asked: GenerateInput = { ...question, tools, toolChoice: { toolName: 'weather' } }

let server: LlamaServer
let brace: number

describe.skipIf(llamaServer.isMissing)(`llama.cpp with a template that calls tools${llamaServer.suffix}`, () => {
  beforeAll(async () => {
    server = await startLlama(['--chat-template-file', template])
    brace = await server.tokenOf('{')
  })
  afterAll(async () => server?.stop())

  test.each([true, false])('a tool is called, the one that must be, with an input of its schema (stream: %s)', async stream => {
    const result = await clientOf(calling({ stream })).generate(asked)
    expect(result).toMatchObject({
      ...{ text: '', finishReason: 'tool-calls', warnings: [] },
      toolCalls: [{ toolCallId: expect.stringMatching(/\w/) as string, toolName: 'weather', input: weatherInput }],
    })
  })

  test('a stream hands the input on in pieces, which together are the input', async () => {
    const stream = await clientOf(calling()).stream(asked)
    const pieces: string[] = []
    const others: string[] = []
    for await (const event of stream) {
      if (event.type === 'tool-call-delta') pieces.push(event.inputText)
      else others.push(event.type)
    }
    expect(pieces.length).toBeGreaterThan(5)
    const { toolCalls, finishReason } = await stream.result()
    expect(toolCalls).toMatchObject([{ toolName: 'weather', input: JSON.parse(pieces.join('')) as unknown }])
    expect(toolCalls[0]?.input).toEqual(weatherInput)
    expect(finishReason).toBe('tool-calls')
    expect(others).not.toContain('text-delta')
  })

  test('of tools called at once each is whole and by itself, and none is handed out when the token limit cut the last', async () => {
    // the first token of a call stays the likeliest, so there is no end to them
    const client = clientOf(calling({ extraBody: { parallel_tool_calls: true } }))
    const counts: number[] = []
    const reasons = new Set<string>()
    for (let maxOutputTokens = 40; maxOutputTokens < 160; maxOutputTokens += 7) {
      const { toolCalls, failure } = await outcomeOf(client, { ...asked, maxOutputTokens })
      counts.push(toolCalls.length)
      if (failure !== undefined) reasons.add(failure.reason)
      expect(toolCalls.map(({ toolName, input }) => ({ toolName, input }))).toEqual(
        toolCalls.map(() => ({ toolName: 'weather', input: weatherInput })),
      )
      expect(new Set(toolCalls.map(({ toolCallId }) => toolCallId)).size).toBe(toolCalls.length)
    }
    expect(Math.max(...counts)).toBeGreaterThan(1)
    expect([...reasons]).toEqual(['invalid-output'])
  })

  test.each([true, false])(
    'a call that the server cannot read is the model’s fault: the next target answers, and nobody is charged (stream: %s)',
    async stream => {
      // without a grammar the model goes on with the same token for ever
      const client = clientOf(calling({ stream, retry: 1 }), fakeTarget('From elsewhere.'))
      for (let count = 0; count < 4; count += 1) {
        const { text, attempts } = await client.generate({ ...asked, toolChoice: 'auto', maxOutputTokens: 20 })
        expect(text).toBe('From elsewhere.')
        expect(attempts).toMatchObject([{ reason: 'invalid-output', status: stream ? 200 : 500 }, { outcome: 'answered' }])
      }
      expect(client.health()[0]).toMatchObject({ state: 'closed', retriesLeft: 5 })
    },
  )

  test('a run executes the tool that the model calls, and the server takes what it said', async () => {
    const given: unknown[] = []
    const execute = (input: unknown) => {
      given.push(input)
      return { sky: 'rain, and then snow' }
    }
    const afterTool: Target['when'] = ({ messages }) => messages.at(-1)?.role === 'tool'
    const client = clientOf(
      calling({ when: call => !afterTool(call), extraBody: { tool_choice: 'required' } }),
      llama({ baseURL: server.baseURL, retry: 0, when: afterTool, extraBody: { logit_bias: [[brace, false]] } }),
    )
    const input = { ...question, maxOutputTokens: 80 }
    const { text, steps, messages } = await runTools(client, input, { tools: { weather: { ...tools.weather, execute } } })
    expect(given).toEqual([weatherInput])
    expect(steps.map(({ targetIndex, finishReason }) => [targetIndex, finishReason])).toEqual([
      [0, 'tool-calls'],
      [1, expect.toBeOneOf(['stop', 'length'])],
    ])
    expect(text).not.toBe('')
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
    expect(await server.lastPrompt()).toMatch(
      /assistant<[^{]*\{"name": "weather", "parameters": \{"city": "\w+", ?"days": \d\}\}<[^{]*ipython<[^{]*\{"sky":"rain, and then snow"\}</,
    )
  })

  test('the template takes the tool calls and results of other targets', async () => {
    const messages: Message[] = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Oslo and Zürich?' }] },
      {
        role: 'assistant',
        content: '',
        reasoningText: 'I look.',
        toolCalls: [
          { toolCallId: 'call_00_a', toolName: 'weather', input: { city: 'Oslo', units: { wind: ['m/s', 'kn'] } } },
          { toolCallId: 'call_01_b', toolName: 'weather', input: { city: 'Zürich' } },
          { toolCallId: 'toolu_c', toolName: 'clock', input: {} },
        ],
      },
      { role: 'tool', toolCallId: 'call_00_a', toolName: 'weather', content: '{"sky":"grey"}' },
      { role: 'tool', toolCallId: 'call_01_b', content: 'sun' },
      { role: 'tool', toolCallId: 'toolu_c', content: '' },
      { role: 'assistant', content: 'Grey and sunny.' },
      { role: 'user', content: 'And now?' },
    ]
    const { text } = await clientOf(llama({ baseURL: server.baseURL })).generate({
      messages,
      tools,
      temperature: 0,
      maxOutputTokens: 8,
    })
    expect(text).not.toBe('')
    const turns = (await server.lastPrompt()).split('<|start_header_id|>').slice(2)
    expect(turns.map(turn => turn.replace('<|end_header_id|>\n\n', ': ').replace('<|eot_id|>', ''))).toMatchInlineSnapshot(`
        [
          "system: Be brief.",
          "user: Oslo and Zürich?",
          "assistant: {"name": "weather", "parameters": {"city": "Oslo", "units": {"wind": ["m/s", "kn"]}}}",
          "assistant: {"name": "weather", "parameters": {"city": "Zürich"}}",
          "assistant: {"name": "clock", "parameters": {}}",
          "ipython: {"sky":"grey"}",
          "ipython: sun",
          "ipython: ",
          "assistant: Grey and sunny.",
          "user: And now?",
          "assistant: ",
        ]
      `)
  })
})

function clientOf(...chain: Target[]): Client {
  const client = createClient({ chain })
  onTestFinished(async () => client.close())
  return client
}

/** The model has never seen a tool, so its first token is chosen for it; the server's grammar sees to the rest. */
function calling({ extraBody, ...options }: LlamaOptions = {}): Target {
  const forced = { logit_bias: [[brace, 100]], parallel_tool_calls: false, ...extraBody }
  return llama({ baseURL: server.baseURL, retry: 0, ...options, extraBody: forced })
}

async function outcomeOf(client: Client, input: GenerateInput) {
  try {
    const { toolCalls } = await client.generate(input)
    return { toolCalls, failure: undefined }
  } catch (error) {
    return { toolCalls: [], failure: (error as { readonly cause: { readonly reason: string } }).cause }
  }
}
