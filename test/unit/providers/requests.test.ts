import { expect, test } from 'vitest'
import type { Call } from '../../../src/contract.ts'
import { deepseek } from '../../../src/providers/deepseek.ts'
import { llama } from '../../../src/providers/llama.ts'
import { openaiCompatible } from '../../../src/providers/openai-compatible.ts'
import { ollama } from '../../../src/providers/ollama.ts'
import { openai } from '../../../src/providers/openai.ts'
import { sglang } from '../../../src/providers/sglang.ts'
import { tensorrtLlm } from '../../../src/providers/tensorrt-llm.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import { answerOf, ask, chatStream, startRecorder, warningsOf } from '../../helpers/recording-server.ts'

/** Everything that a caller can ask for at once. */
const everything: Omit<Call, 'model' | 'metadata'> = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'What is the weather in Oslo?' },
    {
      role: 'assistant',
      content: '',
      reasoningText: 'I should look.',
      toolCalls: [{ toolCallId: 'call_1', toolName: 'weather', input: { city: 'Oslo' } }],
    },
    { role: 'tool', toolCallId: 'call_1', content: '-3 degrees' },
    { role: 'assistant', content: 'It is -3 degrees.' },
    { role: 'developer', content: 'Answer in French.' },
    { role: 'user', content: 'And tomorrow?' },
  ],
  tools: {
    weather: { description: 'Tells the weather.', inputSchema: { type: 'object', properties: { city: { type: 'string' } } } },
  },
  toolChoice: 'required',
  temperature: 0.2,
  topP: 0.9,
  maxOutputTokens: 100,
  stopSequences: ['END'],
  seed: 7,
  reasoning: 'high',
}

const services = {
  deepseek: (baseURL: string) => deepseek('deepseek-flash', { baseURL, apiKey: 'sk-test' }),
  openai: (baseURL: string) => openai('gpt-6-luna', { baseURL, apiKey: 'sk-test' }),
  llama: (baseURL: string) => llama({ baseURL }),
  vllm: (baseURL: string) => vllm('r1', { baseURL }),
  sglang: (baseURL: string) => sglang({ baseURL }),
  tensorrtLlm: (baseURL: string) => tensorrtLlm('r1', { baseURL }),
  compatible: (baseURL: string) => openaiCompatible('my-model', { baseURL }),
}

async function requestOf(name: keyof typeof services, call: Omit<Call, 'model' | 'metadata'>) {
  const server = await startRecorder(() => chatStream('Hello'))
  const target = services[name](`${server.origin}/base`)
  const events = await ask(target, call)
  expect(answerOf(events).at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop' })
  const [request] = server.requests
  return { url: request?.url, body: request?.body, authorization: request?.headers.authorization, warnings: warningsOf(events) }
}

test('deepseek: what a thinking request with tools looks like on the wire (R127, R128, R129)', async () => {
  expect(await requestOf('deepseek', everything)).toMatchInlineSnapshot(`
    {
      "authorization": "Bearer sk-test",
      "body": {
        "max_tokens": 100,
        "messages": [
          {
            "content": "Be brief.",
            "role": "system",
          },
          {
            "content": "What is the weather in Oslo?",
            "role": "user",
          },
          {
            "content": "",
            "reasoning_content": "I should look.",
            "role": "assistant",
            "tool_calls": [
              {
                "function": {
                  "arguments": "{"city":"Oslo"}",
                  "name": "weather",
                },
                "id": "call_1",
                "type": "function",
              },
            ],
          },
          {
            "content": "-3 degrees",
            "role": "tool",
            "tool_call_id": "call_1",
          },
          {
            "content": "It is -3 degrees.",
            "reasoning_content": "",
            "role": "assistant",
          },
          {
            "content": "Answer in French.",
            "role": "system",
          },
          {
            "content": "And tomorrow?",
            "role": "user",
          },
        ],
        "model": "deepseek-flash",
        "reasoning_effort": "high",
        "stop": [
          "END",
        ],
        "stream": true,
        "stream_options": {
          "include_usage": true,
        },
        "thinking": {
          "type": "enabled",
        },
        "tool_choice": "auto",
        "tools": [
          {
            "function": {
              "description": "Tells the weather.",
              "name": "weather",
              "parameters": {
                "properties": {
                  "city": {
                    "type": "string",
                  },
                },
                "type": "object",
              },
            },
            "type": "function",
          },
        ],
        "top_p": 0.9,
      },
      "url": "/base/chat/completions",
      "warnings": [
        "seed",
        "temperature",
        "topP",
        "toolChoice",
      ],
    }
  `)
})

test('openai: what a request with tools looks like on the wire', async () => {
  expect(await requestOf('openai', everything)).toMatchInlineSnapshot(`
    {
      "authorization": "Bearer sk-test",
      "body": {
        "max_completion_tokens": 100,
        "messages": [
          {
            "content": "Be brief.",
            "role": "developer",
          },
          {
            "content": "What is the weather in Oslo?",
            "role": "user",
          },
          {
            "content": "",
            "role": "assistant",
            "tool_calls": [
              {
                "function": {
                  "arguments": "{"city":"Oslo"}",
                  "name": "weather",
                },
                "id": "call_1",
                "type": "function",
              },
            ],
          },
          {
            "content": "-3 degrees",
            "role": "tool",
            "tool_call_id": "call_1",
          },
          {
            "content": "It is -3 degrees.",
            "role": "assistant",
          },
          {
            "content": "Answer in French.",
            "role": "developer",
          },
          {
            "content": "And tomorrow?",
            "role": "user",
          },
        ],
        "model": "gpt-6-luna",
        "reasoning_effort": "none",
        "seed": 7,
        "stop": [
          "END",
        ],
        "stream": true,
        "stream_options": {
          "include_usage": true,
        },
        "temperature": 0.2,
        "tool_choice": "required",
        "tools": [
          {
            "function": {
              "description": "Tells the weather.",
              "name": "weather",
              "parameters": {
                "properties": {
                  "city": {
                    "type": "string",
                  },
                },
                "type": "object",
              },
            },
            "type": "function",
          },
        ],
        "top_p": 0.9,
      },
      "url": "/base/chat/completions",
      "warnings": [
        "reasoning",
      ],
    }
  `)
})

test('llama: what a request with tools looks like on the wire', async () => {
  expect(await requestOf('llama', everything)).toMatchInlineSnapshot(`
    {
      "authorization": undefined,
      "body": {
        "chat_template_kwargs": {
          "enable_thinking": true,
        },
        "max_tokens": 100,
        "messages": [
          {
            "content": "Be brief.",
            "role": "system",
          },
          {
            "content": "What is the weather in Oslo?",
            "role": "user",
          },
          {
            "content": "",
            "reasoning_content": "I should look.",
            "role": "assistant",
            "tool_calls": [
              {
                "function": {
                  "arguments": "{"city":"Oslo"}",
                  "name": "weather",
                },
                "id": "call_1",
                "type": "function",
              },
            ],
          },
          {
            "content": "-3 degrees",
            "role": "tool",
            "tool_call_id": "call_1",
          },
          {
            "content": "It is -3 degrees.",
            "role": "assistant",
          },
          {
            "content": "Answer in French.",
            "role": "system",
          },
          {
            "content": "And tomorrow?",
            "role": "user",
          },
        ],
        "model": "default",
        "reasoning_effort": "high",
        "seed": 7,
        "stop": [
          "END",
        ],
        "stream": true,
        "stream_options": {
          "include_usage": true,
        },
        "temperature": 0.2,
        "tool_choice": "required",
        "tools": [
          {
            "function": {
              "description": "Tells the weather.",
              "name": "weather",
              "parameters": {
                "properties": {
                  "city": {
                    "type": "string",
                  },
                },
                "type": "object",
              },
            },
            "type": "function",
          },
        ],
        "top_p": 0.9,
      },
      "url": "/base/chat/completions",
      "warnings": [],
    }
  `)
})

const plain: Omit<Call, 'model' | 'metadata'> = { messages: [{ role: 'user', content: 'Hello?' }] }

test('every service asks plainly for a plain question', async () => {
  const requests = await Promise.all((Object.keys(services) as (keyof typeof services)[]).map(name => requestOf(name, plain)))
  expect(requests).toMatchInlineSnapshot(`
    [
      {
        "authorization": "Bearer sk-test",
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "deepseek-flash",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
      {
        "authorization": "Bearer sk-test",
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "gpt-6-luna",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
      {
        "authorization": undefined,
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "default",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
      {
        "authorization": undefined,
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "r1",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
      {
        "authorization": undefined,
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "default",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
      {
        "authorization": undefined,
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "r1",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
      {
        "authorization": undefined,
        "body": {
          "messages": [
            {
              "content": "Hello?",
              "role": "user",
            },
          ],
          "model": "my-model",
          "stream": true,
          "stream_options": {
            "include_usage": true,
          },
        },
        "url": "/base/chat/completions",
        "warnings": [],
      },
    ]
  `)
})

test.each(Object.keys(services) as (keyof typeof services)[])(
  '%s: the same call gives the same bytes at every retry',
  async name => {
    const server = await startRecorder(() => chatStream('Hello'))
    const target = services[name](server.origin)
    await ask(target, everything)
    await ask(target, everything)
    const [first, second] = server.requests
    expect(second?.text).toBe(first?.text)
  },
)

test.each([
  ['vllm', (baseURL: string) => vllm('r1', { baseURL, thinkTags: 'opened' }), chatStream(' a time.')],
  [
    'ollama',
    (baseURL: string) => ollama('r1', { baseURL, thinkTags: 'opened', toRawPrompt: () => '' }),
    { body: '{"response":" a time.","done":false}\n{"response":"","done":true}\n' },
  ],
] as const)('%s: what goes on from a text is text, also where answers begin with a thought', async (_, create, answer) => {
  const server = await startRecorder(() => answer)
  const events = await ask(create(server.origin), { ...plain, prefix: { text: 'Once upon', reasoningText: 'A tale.' } })
  expect(answerOf(events)).toMatchObject([{ type: 'text-delta', text: ' a time.' }, { type: 'finish' }])
})

// wire.md 4: without its own words a server closes the turn, and the seam is another answer
test.each([
  [
    'llama',
    { reasoning_effort: 'none', chat_template_kwargs: { enable_thinking: false } },
    { role: 'assistant', content: 'Once', reasoning_content: 'A tale.' },
  ],
  [
    'vllm',
    {
      continue_final_message: true,
      add_generation_prompt: false,
      chat_template_kwargs: { thinking: false, enable_thinking: false },
    },
    { role: 'assistant', content: 'Once', reasoning_content: 'A tale.' },
  ],
  [
    'sglang',
    { continue_final_message: true, chat_template_kwargs: { thinking: false, enable_thinking: false } },
    { role: 'assistant', content: 'Once', reasoning_content: 'A tale.' },
  ],
] as const)('%s is told in its own words to go on from a beginning, and not to think about it', async (name, words, turn) => {
  const { body, warnings } = await requestOf(name, {
    ...plain,
    reasoning: 'high',
    prefix: { text: 'Once', reasoningText: 'A tale.' },
  })
  const { model: _, messages, stream: __, stream_options: ___, ...rest } = body ?? {}
  expect(rest).toEqual(words)
  expect((messages as readonly unknown[]).at(-1)).toEqual(turn)
  expect(warnings).toEqual([])
})
