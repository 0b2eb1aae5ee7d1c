import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, onTestFinished } from 'vitest'
import { createClient, host, ollama, openaiCompatible, vllm } from '../../src/index.ts'
import type { GenerateInput, Target } from '../../src/index.ts'
import { json, raw, startServer, status } from '../../src/testing/index.ts'
import type { Reply } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const events = ['{"choices":[{"delta":{"content":"Hé."}}]}', '{"choices":[{"delta":{},"finish_reason":"stop"}]}', '[DONE]']
const stream = events.map(data => `data: ${data}\n\n`).join('')
const whole = JSON.stringify({ choices: [{ message: { content: 'Hé.' }, finish_reason: 'stop' }] })
const plain = (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0 })

async function open(reply: Reply, make: (baseURL: string) => Target = plain) {
  const server = await startServer(reply)
  onTestFinished(() => server.close())
  const client = createClient({ chain: [make(server.baseURL)], hedge: false, breaker: false })
  onTestFinished(() => client.close())
  return { server, client }
}

async function reasonOf(reply: Reply, make?: (baseURL: string) => Target, input: GenerateInput = { prompt: 'Hi' }) {
  const { client } = await open(reply, make)
  const error: unknown = await client.generate(input).catch((failed: unknown) => failed)
  return (error as { readonly failures: readonly { readonly reason: string }[] }).failures[0]?.reason
}

test.for(['gzip', 'br', 'zstd', 'deflate', 'gzip, none', 'gzip, br'])(
  'F60: a body that is labelled %s and is none of it is read as it is',
  async encoding => {
    for (const body of [stream, whole]) {
      const { client } = await open(raw([body], { headers: { 'content-encoding': encoding } }))
      expect(await client.generate('Hi')).toMatchObject({ text: 'Hé.' })
    }
  },
)

test.for([
  ['gzip', gzipSync, 'br'],
  ['zstd', zstdCompressSync, 'gzip'],
  ['deflate', deflateSync, 'gzip'],
] as const)('F61: %s is known by its bytes, one at a time and under the label of another', async ([, compress, other]) => {
  for (const body of [stream, whole]) {
    const single = await open(raw([...compress(body)].map(byte => Uint8Array.of(byte))))
    expect(await single.client.generate('Hi')).toMatchObject({ text: 'Hé.' })
    const mislabelled = await open(raw([compress(body)], { headers: { 'content-encoding': other } }))
    expect(await mislabelled.client.generate('Hi')).toMatchObject({ text: 'Hé.' })
  }
})

test('F61: what is labelled rightly is still read, and a body of two bytes ends', async () => {
  const { client } = await open(raw([brotliCompressSync(whole)], { headers: { 'content-encoding': 'br' } }))
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hé.' })
  expect(await reasonOf(raw(['xx']))).toBe('malformed-response')
})

test('F60: a byte order mark before the lines of Ollama is none of their text', async () => {
  const line = JSON.stringify({ message: { content: 'Hé.' }, done: true })
  const { client } = await open(raw([`\uFEFF${line}\n`]), baseURL => ollama('m', { baseURL, retry: 0 }))
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hé.' })
})

const tools = { look: { description: 'Looks.', inputSchema: { type: 'object', properties: { q: { type: 'string' } } } } } as const

test('F62: a character that is cut in two over two pieces of a tool call comes whole', async () => {
  const piece = (text: string) =>
    `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":"${text}"}}]}}]}\n\n`
  const finish = 'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\n'
  const { client } = await open(raw([piece('{\\"q\\":\\"\\ud83d'), piece('\\ude00\\"}'), finish]))
  let written = ''
  const answer = await client.stream({ prompt: 'Hi', tools })
  for await (const event of answer) {
    if (event.type !== 'tool-call-delta') continue
    expect(event.inputText.isWellFormed()).toBe(true)
    written += event.inputText
  }
  expect(written).toBe('{"q":"😀"}')
  expect((await answer.result()).toolCalls).toMatchObject([{ input: { q: '😀' } }])
})

test('F71: more tool calls in the markup of a text than an answer may hold are no answer', async () => {
  const content = '<tool_call>{"name":"look","arguments":{}}</tool_call>\n'.repeat(1_200)
  const reply = json({ choices: [{ message: { content }, finish_reason: 'stop' }] })
  expect(await reasonOf(reply, plain, { prompt: 'Hi', tools })).toBe('malformed-response')
})

test.for([
  ['F27', 400, 'Total tokens of image and text exceed max message tokens', 'context-length'],
  ['F27', 400, 'tokens in request more than max tokens allowed', 'context-length'],
  ['F27', 400, 'input characters limit is 117964', 'context-length'],
  ['F30', 400, 'Error in channel handler: Error: Model is unloaded', 'server-error'],
  ['F30', 400, 'Model unloaded.', 'server-error'],
  ['F29', 405, 'Method Not Allowed', 'not-found'],
] as const)('%s: %i "%s" is %s', async ([, code, message, reason]) => {
  expect(await reasonOf(status(code, { error: { message, type: 'invalid_request_error' } }))).toBe(reason)
  expect(await reasonOf(status(code, { error: message }), baseURL => ollama('m', { baseURL, retry: 0 }))).toBe(reason)
})

test("F11: Google's error in a list, in the middle of a stream, is read", async () => {
  const error = { code: 429, status: 'RESOURCE_EXHAUSTED', message: 'x', details: [{ quotaId: 'InputTokensPerMinute' }] }
  const make = (baseURL: string) => host('gemini', 'm', { baseURL, apiKey: 'sk-test-0123456789abcdef', retry: 0 })
  expect(await reasonOf(raw([`data: ${JSON.stringify([{ error }])}\n\n`]), make)).toBe('rate-limit')
})

test.for(['azure', 'github-models', 'gemini'] as const)('F9: %s is sent how much to think', async name => {
  const { client, server } = await open(raw([stream]), baseURL =>
    host(name, 'thinks', { baseURL, apiKey: 'sk-test-0123456789abcdef', retry: 0 }),
  )
  const off = await client.generate({ prompt: 'Hi', reasoning: 'off' })
  await client.generate({ prompt: 'Hi', reasoning: 'max' })
  expect(off.warnings).toEqual([])
  const most = name === 'gemini' ? 'high' : 'max'
  expect(server.requests.map(({ json: body }) => (body as { readonly reasoning_effort: string }).reasoning_effort)).toEqual([
    'none',
    most,
  ])
})

test('F60: a server of one’s own is read the same way', async () => {
  const { client } = await open(raw([stream], { headers: { 'content-encoding': 'gzip' } }), baseURL => vllm('m', { baseURL }))
  expect(await client.generate('Hi')).toMatchObject({ text: 'Hé.' })
})
