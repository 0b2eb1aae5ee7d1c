import { createClient, deepseek, ollama, textGeneration, vllm } from 'unbusy'
import { fakeTarget, raw } from 'unbusy/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

/** `JSON.parse` cannot be interrupted, so what would take it long is not parsed: neither one text, nor many in one step. */

const targets = {
  deepseek: (baseURL: string) => deepseek({ baseURL, apiKey: 'sk-test-0123456789abcdef', retry: 0 }),
  vllm: (baseURL: string) => vllm('r1', { baseURL, retry: 0, stream: false }),
  ollama: (baseURL: string) => ollama('r1', { baseURL, retry: 0 }),
  textGeneration: (baseURL: string) => textGeneration({ baseURL, retry: 0 }),
}
const names = Object.keys(targets) as (keyof typeof targets)[]

const tools = { f: { inputSchema: z.unknown() } }
const listOf = (count: number, make: (index: number) => string) => Array.from({ length: count }, (_, index) => make(index)).join()
const quoted = (text: string) => JSON.stringify(text)
const event = (data: string) => `data: ${data}\n\n`
const delta = (fields: string) => event(`{"choices":[{"index":0,"delta":${fields}}]}`)
const stop = event('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
const toolCall = (index: number, input: string) =>
  `{"index":${index},"id":"c${index}","function":{"name":"f","arguments":${quoted(input)}}}`

/** V8 enters each new short text in a table. */
const newTexts = (count: number, from = 0) => listOf(count, index => `"${from + index}"`)
/** V8 makes a layout for each new order of keys, however few they are. */
const newOrders = (rows: number, from = 0) =>
  listOf(rows, row => `{${listOf(100, index => `"k${((from + row + 1) * (index * index + 7)) % 491}":1`)}}`)
/** Each is cheap by itself. */
const parts = Array.from({ length: 40 }, (_, index) => `[${newTexts(4_000, index * 4_000)},${newOrders(20, index * 20)}]`)

/** One answer, read alike in every dialect. */
const answerWith = (more: string) =>
  `{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"message":{"content":"Hi"},"response":"Hi","done":true,"x":${more}}`

test.for(names)(
  'F71: an answer beside 200,000 different texts, or orders of keys, at %s: the next target answers',
  async (name, { server }) => {
    const { url, replyWith } = await server(raw(''))
    await using client = createClient({ chain: [targets[name](url), fakeTarget('From the next.')], breaker: false })
    for (const more of [`[${newTexts(200_000)}]`, `[${newOrders(2_000)}]`]) {
      replyWith(raw(answerWith(more)))
      const { text, attempts } = await client.generate('Hi')
      expect(text).toBe('From the next.')
      expect(attempts[0]?.reason).toBe('malformed-response')
    }
  },
)

test.for([
  ['inputs of tools', delta(`{"tool_calls":[${parts.map((part, index) => toolCall(index, `{"a":${part}}`)).join()}]}`)],
  [
    'markup of tools',
    delta(`{"content":${quoted(parts.map(part => `<tool_call>{"name":"f","arguments":{"a":${part}}}</tool_call>`).join(''))}}`),
  ],
  ['documents in one event', event(parts.map(part => `{"choices":[{"index":0,"delta":{"content":"Hi"}}],"x":${part}}`).join(''))],
] as const)('F71: %s that are cheap one by one, and not together: the next target answers', async ([, reply], { server }) => {
  const { baseURL } = await server(raw(reply + stop))
  await using client = createClient({ chain: [vllm('r1', { baseURL, retry: 0 }), fakeTarget('From the next.')] })
  const { text, toolCalls } = await client.generate({ prompt: 'Hi', tools })
  expect(text).toBe('From the next.')
  expect(toolCalls).toEqual([])
})

test.for(names)('2 MiB of log probabilities are read at %s (F71)', async (name, { server }) => {
  const token = (index: number) => `{"token":" t${index % 9_000}","logprob":-0.0001234,"bytes":[32,116,104],"top_logprobs":[]}`
  const { url } = await server(raw(answerWith(`[${listOf(25_000, token)}]`)))
  await using client = createClient({ chain: [targets[name](url)] })
  expect((await client.generate('Hi')).text).toBe('Hi')
})

test('3,000 records whose fields come in any order, and 200 tool calls of them, are read (F71)', async ({ server }) => {
  const fields = ['id', 'name', 'city', 'size', 'open', 'rating', 'tags', 'note']
  const record = (row: number): unknown =>
    Object.fromEntries(
      fields.map((_, index) => [fields[(index * ([1, 3, 5, 7][row % 4] ?? 1) + row) % 8] ?? '', `v${row * 8 + index}`]),
    )
  const records = Array.from({ length: 3_000 }, (_, row) => record(row))
  const inputs = Array.from({ length: 200 }, (_, index) => ({ rows: records.slice(index * 15, index * 15 + 15) }))
  const { baseURL, replyWith } = await server(raw(`${delta(`{"content":${quoted(JSON.stringify({ records }))}}`)}${stop}`))
  await using client = createClient({ chain: [vllm('r1', { baseURL, retry: 0 })] })
  const { output } = await client.generate({ prompt: 'Hi', output: z.object({ records: z.array(z.unknown()) }) })
  expect(output).toEqual({ records })
  replyWith(
    raw(`${delta(`{"tool_calls":[${inputs.map((input, index) => toolCall(index, JSON.stringify(input))).join()}]}`)}${stop}`),
  )
  const { toolCalls } = await client.generate({ prompt: 'Hi', tools })
  expect(toolCalls.map(({ input }) => input)).toEqual(inputs)
})
