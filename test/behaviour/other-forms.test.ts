/** Servers and gateways that send the same answer in another form than they were asked for. */
import { createClient, ollama, openaiCompatible, type Target } from 'unbusy'
import { raw, type startServer } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

const makers = {
  chat: (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0 }),
  'chat, stream: false': (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0, stream: false }),
  ollama: (baseURL: string) => ollama('m', { baseURL, retry: 0 }),
  'ollama, stream: false': (baseURL: string) => ollama('m', { baseURL, retry: 0, stream: false }),
} satisfies Record<string, (baseURL: string) => Target>
type Maker = keyof typeof makers

const tools = { get_weather: { inputSchema: z.object({ city: z.string() }) } }
const counts = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
const usage = { usage: counts }
const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`
const line = (data: unknown) => `${JSON.stringify(data)}\n`
const chunk = (delta: object, finish: string | null = null, more: object = {}) => ({
  ...{ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] },
  ...more,
})
const chunks = (finish: object = chunk({}, 'stop', usage)) => [
  chunk({ role: 'assistant', content: '' }),
  chunk({ content: 'Hello' }),
  chunk({ content: ' there' }),
  finish,
]
const document = (choice: object = {}, more: object = usage) => ({
  ...{ id: 'c', object: 'chat.completion', choices: [{ message: { content: 'Hello there' }, finish_reason: 'stop', ...choice }] },
  ...more,
})
const native = (content: string, done: unknown = false, more: object = {}) => ({
  ...{ model: 'm', message: { role: 'assistant', content }, done },
  ...more,
})
const last = { done_reason: 'stop', prompt_eval_count: 5, eval_count: 2 }
const natives = [native('Hello'), native(' there'), native('', true, last)]
const done = 'data: [DONE]\n\n'

type Asked = { readonly make: Maker; readonly body: readonly string[]; readonly hasTools?: boolean; readonly open?: boolean }

/** The answer by `generate()` and by `stream()`, or the reason of the failure. */
async function ask(server: typeof startServer, asked: Asked) {
  const { make, body, hasTools = false, open = false } = asked
  const { baseURL } = await server(() => raw(body, open ? { stallAfterChunks: body.length } : {}))
  const client = createClient({ chain: [makers[make](baseURL)], hedge: false, breaker: false })
  onTestFinished(() => client.close())
  const input = hasTools ? { prompt: 'Hi', tools } : { prompt: 'Hi' }
  type Exhausted = { readonly failures?: readonly { readonly reason: string }[]; readonly cause?: Exhausted }
  const reasonOf = (error: Exhausted) => ({ reason: (error.failures ?? error.cause?.failures)?.[0]?.reason })
  const streamed = async () => {
    const stream = await client.stream(input)
    for await (const _ of stream);
    return stream.result()
  }
  return [await client.generate(input).catch(reasonOf), await streamed().catch(reasonOf)]
}

const hello = { text: 'Hello there', finishReason: 'stop', usage: { inputTokens: 5, outputTokens: 2 } }
const split = (text: string) => text.match(/[^]{1,37}/g) ?? []

test.for<[string, Maker, readonly string[]]>([
  ['chunks without data:', 'chat', chunks().map(line)],
  ['chunks without data:, all at once', 'chat', [chunks().map(line).join('')]],
  ['chunks without data:, cut anywhere', 'chat', split(chunks().map(line).join(''))],
  ['chunks without data:, and [DONE]', 'chat', [...chunks().map(line), '[DONE]\n']],
  ['chunks without data:, and [DONE] with it', 'chat', [...chunks().map(line), done]],
  ['chunks without data:, with CRLF and blank lines', 'chat', chunks().map(each => `${JSON.stringify(each)}\r\n\r\n`)],
  ['chunks without line breaks', 'chat', chunks().map(each => JSON.stringify(each))],
  ['chunks spread over lines', 'chat', chunks().map(each => `${JSON.stringify(each, null, 2)}\n`)],
  ['chunks with record separators', 'chat', chunks().map(each => `\x1e${line(each)}`)],
  ['chunks in a list', 'chat', [JSON.stringify(chunks())]],
  ['chunks after a comment', 'chat', [': waiting\n\n', ...chunks().map(line)]],
  ['chunks after a report', 'chat', [{ choices: [], prompt_filter_results: [] }, ...chunks()].map(line)],
  ['two chunks in one event', 'chat', [event(chunks()[1]).trimEnd(), JSON.stringify(chunks()[2]), '\n\n', event(chunks()[3])]],
  ["Ollama's own lines", 'chat', natives.map(line)],
  ["Ollama's own lines as events", 'chat', natives.map(event)],
  ["Ollama's own document", 'chat', [JSON.stringify(native('Hello there', true, last))]],
  ["Ollama's own document, not asked for a stream", 'chat, stream: false', [line(native('Hello there', true, last))]],
  [
    "lines of Ollama's generate",
    'chat',
    [
      { response: 'Hello there', done: false },
      { response: '', done: true, ...last },
    ].map(line),
  ],
  ['events', 'ollama', [...chunks().map(event), done]],
  ['events, cut anywhere', 'ollama', split([...chunks().map(event), done].join(''))],
  ['events after a comment', 'ollama', [': waiting\n\n', ...chunks().map(event), done]],
  ['events with usage at the end', 'ollama', [...chunks(chunk({}, 'stop')), { choices: [], ...usage }].map(event)],
  ['chunks without data: at ollama', 'ollama', chunks().map(line)],
  ['a document', 'ollama', [JSON.stringify(document())]],
  ['a document, not asked for a stream', 'ollama, stream: false', [JSON.stringify(document())]],
  ['a document, spread over lines', 'ollama', [JSON.stringify(document(), null, 2)]],
  ['done as a text', 'ollama', [native('Hello there', 'false'), native('', 'true', last)].map(line)],
  ['done as a word of Python', 'ollama', [native('Hello there', 'False'), native('', 'True', last)].map(line)],
  ['done as a number', 'ollama', [native('Hello there', 0), native('', 1, last)].map(line)],
  ['no done, but its reason', 'ollama', [native('Hello there', null), native('', null, last)].map(line)],
])('%s at a target of %s are the answer', async ([, make, body], { server }) => {
  expect(await ask(server, { make, body })).toMatchObject([hello, hello])
})

test.for<[string, Maker, readonly string[]]>([
  ['chunks without data:', 'chat', chunks().map(line)],
  ['chunks without data: or a last line end', 'chat', [chunks().map(line).join('').trimEnd()]],
  [
    'done as a text, without a line end',
    'ollama',
    [line(native('Hello there', 'false')), JSON.stringify(native('', 'true', last))],
  ],
  ['events', 'ollama', [...chunks().map(event), done]],
  ["Ollama's own lines", 'chat', natives.map(line)],
])('F1: %s at a target of %s, on a line that stays open, are the answer', async ([, make, body], { server }) => {
  expect(await ask(server, { make, body, open: true })).toMatchObject([hello, hello])
})

const busy = { error: { message: 'The server is overloaded', type: 'server_error', code: 503 } }

test.for<[string, Maker, readonly string[], string]>([
  ['chunks without data: that stop', 'chat', chunks().slice(0, 3).map(line), 'truncated'],
  [
    'chunks without data: that stop in a line',
    'chat',
    [...chunks().slice(0, 3).map(line), '{"id":"c","choices":[{'],
    'truncated',
  ],
  ['an error between chunks without data:', 'chat', [line(chunks()[1]), line(busy)], 'overloaded'],
  ['an error without data: between events', 'chat', [event(chunks()[1]), line(busy), '\n'], 'overloaded'],
  ['an error in a field of its own', 'chat', [event(chunks()[0]), `error: ${JSON.stringify(busy.error)}\n\n`], 'overloaded'],
  ['a second document', 'chat', [line(document()), line(document())], 'malformed-response'],
  ["Ollama's own lines that stop", 'chat', natives.slice(0, 2).map(line), 'truncated'],
  [
    "an error between Ollama's own lines",
    'chat',
    [line(natives[0]), line({ error: 'the model runner has stopped' })],
    'server-error',
  ],
  ['events that stop', 'ollama', chunks().slice(0, 3).map(event), 'truncated'],
  ['an error between events', 'ollama', [event(chunks()[1]), event(busy)], 'overloaded'],
  ['an error in a 200', 'ollama', [JSON.stringify(busy)], 'overloaded'],
])('%s at a target of %s are a failure', async ([, make, body, reason], { server }) => {
  expect(await ask(server, { make, body })).toMatchObject([{ reason }, { reason }])
})

test.for<[string, Maker, readonly string[]]>([
  [
    'events',
    'ollama',
    [
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'get_weather', arguments: '{"city":' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '"Oslo"}' } }] }),
      chunk({}, 'tool_calls'),
    ].map(event),
  ],
  [
    "Ollama's own lines",
    'chat',
    [
      { message: { tool_calls: [{ function: { name: 'get_weather', arguments: { city: 'Oslo' } } }] }, done: false },
      native('', true, last),
    ].map(line),
  ],
])('tool calls in %s at a target of %s are called', async ([, make, body], { server }) => {
  const calls = { toolCalls: [{ toolName: 'get_weather', input: { city: 'Oslo' } }], finishReason: 'tool-calls' }
  expect(await ask(server, { make, body, hasTools: true })).toMatchObject([calls, calls])
})

test.for<[string, object, object]>([
  ['x_groq', { x_groq: { id: 'r', ...usage } }, { x_groq: usage }],
  ['camel case', { usage: { promptTokens: 5, completionTokens: 2 } }, { usage: { inputTokens: 5, outputTokens: 2 } }],
  [
    'numbers as text',
    { usage: { prompt_tokens: '5', completion_tokens: '2' } },
    { usage: { input_tokens: '5', output_tokens: '2' } },
  ],
  [
    "Gemini's names",
    { usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2 } },
    { usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 1, thoughtsTokenCount: 1 } },
  ],
  ["Bedrock's names", { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 5, outputTokenCount: 2 } }, { metadata: usage }],
])('usage in %s is read, in a stream and in a document', async ([, inStream, inDocument], { server }) => {
  const body = [...chunks(chunk({}, 'stop', inStream)).map(event), done]
  expect(await ask(server, { make: 'chat', body })).toMatchObject([hello, hello])
  const whole = [JSON.stringify(document({}, inDocument))]
  expect(await ask(server, { make: 'chat, stream: false', body: whole })).toMatchObject([hello, hello])
})

test('usage inside a delta or a message is read', async ({ server }) => {
  const body = [event(chunk({ content: 'Hello there' })), event(chunk(usage, 'stop'))]
  expect(await ask(server, { make: 'chat', body })).toMatchObject([hello, hello])
  const message = { content: 'Hello there', ...usage }
  const whole = [JSON.stringify(document({ message }, {}))]
  expect(await ask(server, { make: 'chat, stream: false', body: whole })).toMatchObject([hello, hello])
})

test.for<[string, object, object]>([
  ['beside an empty list of choices', { choices: [], finish_reason: 'length' }, { finish_reason: 'length' }],
  ['beside choices that say nothing', chunk({}, null, { finish_reason: 'length' }), { finish_reason: 'length' }],
  ['without choices', { finish_reason: 'length' }, { finishReason: 'MAX_TOKENS' }],
  ['in camel case', { choices: [{ delta: {}, finishReason: 'length' }] }, { stopReason: 'max_tokens' }],
  ['under another name', { choices: [{ delta: {}, stop_reason: 'max_tokens' }] }, { stop_reason: 'max_tokens' }],
])('a finish %s is read, in a stream and in a document', async ([, finish, more], { server }) => {
  const long = { text: 'Hello there', finishReason: 'length' }
  const body = [...chunks(finish).map(event), done]
  expect(await ask(server, { make: 'chat', body })).toMatchObject([long, long])
  const whole = [JSON.stringify(document({ finish_reason: undefined }, more))]
  expect(await ask(server, { make: 'chat, stream: false', body: whole })).toMatchObject([long, long])
})

test('F6: a failure that is told beside the choices is one', async ({ server }) => {
  const body = chunks({ choices: [], finish_reason: 'error' }).map(event)
  expect(await ask(server, { make: 'chat', body })).toMatchObject([{ reason: 'server-error' }, { reason: 'server-error' }])
})

test('a stop sequence beside a finish is no finish', async ({ server }) => {
  const said = { choices: [{ delta: { content: 'Hello there' }, finish_reason: null, stop_reason: 'length' }] }
  const body = [event(said), event(chunk({}, 'stop', usage))]
  expect(await ask(server, { make: 'chat', body })).toMatchObject([hello, hello])
})
