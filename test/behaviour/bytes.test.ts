import { gzipSync } from 'node:zlib'
import { createClient, deepseek, ollama, vllm } from 'unbusy'
import { answer, raw, status } from 'unbusy/testing'
import { expect } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef' }

test('F60: the Retry-After of a 503 under `Content-Encoding: none` counts', async ({ server }) => {
  const { baseURL } = await server(
    status(503, { error: { message: 'busy' } }, { 'content-encoding': 'none', 'retry-after': '7' }),
  )
  await using client = createClient({ chain: [deepseek({ baseURL, ...key, retry: 0 })], retry: { waitForMs: 0 } })
  await expect(client.generate('Hi')).rejects.toMatchObject({ failures: [{ reason: 'overloaded', retryAfterMs: 7_000 }] })
})

test('F61: a refusal that is gzip without a label is read, and so is an answer', async ({ server }) => {
  const busy = gzipSync(JSON.stringify({ error: { message: 'Insufficient Balance' } }))
  const document = gzipSync(JSON.stringify({ choices: [{ message: { content: 'Hi.' }, finish_reason: 'stop' }] }))
  const { baseURL, url } = await server([status(402, busy), raw(document)])
  await using client = createClient({ chain: [deepseek({ baseURL, ...key }), vllm('r1', { baseURL: url, stream: false })] })
  const result = await client.generate('Hi')
  expect(result.text).toBe('Hi.')
  expect(result.attempts[0]?.reason).toBe('quota')
})

test('F62: a character that is cut in two over two deltas comes whole, as text and as thought', async ({ server }) => {
  const event = (delta: string) => `data: {"choices":[{"index":0,"delta":${delta}}]}\n\n`
  const end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
  const { url } = await server(
    raw([
      event('{"reasoning_content":"Hm \\ud83d"}'),
      event('{"reasoning_content":"\\ude00."}'),
      event('{"content":"A \\ud83d"}'),
      event('{"content":"\\ude80"}'),
      event('{"content":" b"}'),
      event('{"content":" \\ud83d"}'),
      end,
    ]),
  )
  await using client = createClient({ chain: [vllm('r1', { baseURL: url, retry: 0 })] })
  const pieces: string[] = []
  for await (const shown of await client.stream('Hi')) if ('text' in shown) pieces.push(shown.text)
  expect(pieces).toEqual(['Hm ', '😀.', 'A ', '🚀', ' b', ' ', '\uFFFD'])
  for (const piece of pieces) expect(piece.isWellFormed()).toBe(true)
})

test('F66: an object of extraBody is merged with ours one level deep, and undefined removes', async ({ server }) => {
  const { url, requests } = await server(answer('Hi.'), { format: 'ollama' })
  const model = ollama('r1', { baseURL: url, contextTokens: 8_192, extraBody: { options: { num_gpu: 1 } } })
  await using client = createClient({ chain: [model] })
  await client.generate({
    prompt: 'Hi',
    maxOutputTokens: 5,
    temperature: 0,
    extraBody: { options: { top_k: 2, temperature: undefined } },
  })
  expect(requests[0]?.json).toMatchObject({ options: { num_ctx: 8_192, num_gpu: 1, num_predict: 5, top_k: 2 } })
  expect(requests[0]?.json).not.toHaveProperty('options.temperature')
})

test('F66: chat_template_kwargs of target and call, and stream_options, are merged; a thing of another type takes the place of ours', async ({
  server,
}) => {
  const { url, requests } = await server(answer('{"a":1}'))
  const target = vllm('r1', {
    baseURL: url,
    extraBody: { chat_template_kwargs: { custom: 1 }, stream_options: { continuous_usage_stats: true } },
  })
  await using client = createClient({ chain: [target] })
  await client.generate({
    prompt: 'Hi',
    output: z.object({ a: z.number() }),
    extraBody: { chat_template_kwargs: { other: 2 }, response_format: { type: 'json_object' } },
  })
  expect(requests[0]?.json).toMatchObject({
    chat_template_kwargs: { custom: 1, other: 2 },
    stream_options: { include_usage: true, continuous_usage_stats: true },
  })
  expect(requests[0]?.json).toHaveProperty('response_format', { type: 'json_object' })
})
