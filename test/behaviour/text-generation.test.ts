import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { inspect } from 'node:util'
import { createClient, textGeneration, type TextGenerationOptions } from 'unbusy'
import { json, raw, type Reply } from 'unbusy/testing'
import { expect, onTestFinished, vi } from 'vitest'
import { test } from '../helpers/vitest.ts'

const prompt = 'Why?'

const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`

const read: readonly (readonly [string, Reply, object, Partial<TextGenerationOptions>?])[] = [
  ['F64: a thought between tags', json({ response: '<think>Hm.</think>\n\nSo.' }), { text: 'So.', reasoningText: 'Hm.' }],
  ['F64: a bare end of a thought', json({ response: 'Hm.</think>So.' }), { text: 'So.', reasoningText: 'Hm.' }],
  ['F64: tags that are left alone', json({ response: 'Hm.</think>So.' }), { text: 'Hm.</think>So.' }, { thinkTags: false }],
  ["F65: vLLM's demo server, which repeats the prompt", json({ text: ['Why?So.'] }), { text: 'So.' }],
  ['F65: TGI', json([{ generated_text: 'So.' }]), { text: 'So.' }],
  ['F65: a bare text', raw('So {it} is.', { contentType: 'text/plain' }), { text: 'So {it} is.' }],
  [
    'F65: Workers AI',
    json({ result: { response: 'So.', usage: { prompt_tokens: 2, completion_tokens: 3 } }, success: true, errors: [] }),
    { text: 'So.', usage: { inputTokens: 2, outputTokens: 3 } },
  ],
  ['F65: an envelope of a text', json({ code: 200, message: 'success', data: 'So.' }), { text: 'So.' }],
  ['F65: DashScope', json({ output: { text: 'So', finish_reason: 'length' } }), { text: 'So', finishReason: 'length' }],
  ['F65: a completion', json({ completion: 'So', stop_reason: 'max_tokens' }), { text: 'So', finishReason: 'length' }],
  ['F65: a message', json({ message: { role: 'assistant', content: 'So.' }, done: true }), { text: 'So.' }],
  [
    'F65: digits as a number',
    raw([event({ response: 'In ' }), event({ response: 1984 }), 'data: [DONE]\n\n']),
    { text: 'In 1984' },
  ],
  [
    'F106: events without a blank line between them',
    raw('data: {"response":"S"}\ndata: {"response":"o."}\ndata: [DONE]\n\n'),
    { text: 'So.' },
  ],
  [
    'F106: events whose first field is cut',
    raw(['\n', 'da', 'ta: {"response":"So."}\n\n', 'data: [DONE]\n\n'], { chunkEveryMs: 20 }),
    { text: 'So.' },
  ],
  [
    'F106: lines of JSON, the first over several lines',
    raw(['{\n "response": "S",\n "done": false\n}\n', '{"response":"o.","done":true}\n']),
    { text: 'So.' },
  ],
  ['F65: a bare text that begins like a field', raw('id', { contentType: 'text/plain' }), { text: 'id' }],
  ['F65: a list with a text', json(['So.']), { text: 'So.' }],
  ['F65: a list in a list', json([[{ generated_text: 'So.' }]]), { text: 'So.' }],
  ['F65: a function on AWS', json({ statusCode: 200, body: JSON.stringify({ response: 'So.' }) }), { text: 'So.' }],
  ['F65: a text beside a body', json({ response: 'So.', body: JSON.stringify({ response: 'No.' }) }), { text: 'So.' }],
  ['F106: a finish reason', json({ response: 'So', finish_reason: 'length' }), { text: 'So', finishReason: 'length' }],
  [
    'F106: usage',
    json({ response: 'So.', usage: { prompt_tokens: 2, completion_tokens: 3 } }),
    { usage: { inputTokens: 2, outputTokens: 3 } },
  ],
  [
    "F106: TGI's details",
    json({ generated_text: 'So', details: { finish_reason: 'length', generated_tokens: 7 } }),
    { finishReason: 'length' },
  ],
  ['F106: a stream of pieces', raw([event({ response: 'S' }), event({ response: 'o.' }), 'data: [DONE]\n\n']), { text: 'So.' }],
  [
    'F106: a stream of tokens',
    raw([
      event({ token: { text: 'S' } }),
      event({ token: { text: 'o' }, generated_text: 'So', details: { finish_reason: 'length' } }),
    ]),
    { text: 'So', finishReason: 'length' },
  ],
  [
    'F106: a stream that says each time all there is',
    raw([
      event({ text: 'S', meta_info: {} }),
      event({ text: 'So.', meta_info: { finish_reason: { type: 'stop' }, completion_tokens: 2 } }),
    ]),
    { text: 'So.', finishReason: 'stop' },
  ],
]

test.for(read)('%s', async ([, reply, wanted, options], { server }) => {
  const { url } = await server(reply)
  await using client = createClient({ chain: [textGeneration({ baseURL: url, ...options })] })
  expect(await client.generate(prompt)).toMatchObject(wanted)
})

test('F65: an error and a detail in a 200 are told, the key masked', async ({ server }) => {
  const { url, replyWith } = await server(json({ detail: 'The queue is full, overloaded.' }))
  await using client = createClient({ chain: [textGeneration({ baseURL: url, apiKey: 'plainkey42', retry: 0 })], breaker: false })
  await expect(client.generate(prompt)).rejects.toMatchObject({ failures: [{ said: 'The queue is full, overloaded.' }] })
  replyWith(json({ error: 'plainkey42 is wrong' }))
  await expect(client.generate(prompt)).rejects.toMatchObject({ failures: [{ said: '*** is wrong' }] })
})

test('F65: no cause quotes an answer; F106: a stream that stops is truncated', async ({ server }) => {
  const { url, replyWith } = await server(raw('{"response": broken'))
  await using client = createClient({ chain: [textGeneration({ baseURL: url, retry: 0 })], breaker: false })
  const error: unknown = await client.generate(prompt).catch((thrown: unknown) => thrown)
  expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain('broken')
  for (const finish of [{}, { finish_reason: 'not_finished' }, { finish_reason: 'None' }]) {
    replyWith(raw([event({ response: 'So', ...finish })]))
    await expect(client.generate(prompt)).rejects.toMatchObject({ failures: [{ reason: 'truncated' }] })
  }
})

test('F106: settings are sent under the names that fields gives them, and no others', async ({ server }) => {
  const { url, requests } = await server(json({ response: 'So.' }))
  await using client = createClient({ chain: [textGeneration({ baseURL: url, fields: { maxOutputTokens: 'max_tokens' } })] })
  const { warnings } = await client.generate({ prompt, maxOutputTokens: 5, seed: 1 })
  expect(requests[0]?.json).toEqual({ prompt, max_tokens: 5 })
  expect(warnings.map(({ setting }) => setting)).toEqual(['seed'])
})

test('F104: a service that stops listening first and then finishes its requests, as uvicorn does, is waited for', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const received = Promise.withResolvers<ServerResponse>()
  const service = createServer((_, response) => received.resolve(response)).listen(0, '127.0.0.1')
  await once(service, 'listening')
  const { port } = service.address() as AddressInfo
  await using client = createClient({ chain: [textGeneration({ baseURL: `http://127.0.0.1:${port}`, retry: 0 })] })
  const asked = client.generate(prompt)
  asked.catch(() => {})
  const response = await received.promise
  service.close()
  vi.advanceTimersByTime(10_000)
  // whoever has looked by now has been refused, as this is
  expect(await once(connect(port, '127.0.0.1'), 'error')).toMatchObject([{ code: 'ECONNREFUSED' }])
  await new Promise(resolve => setImmediate(resolve))
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ response: 'So.' }))
  expect((await asked).text).toBe('So.')
})
