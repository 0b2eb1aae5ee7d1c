/** Answers and errors whose fields have another shape, as public reports of gateways and servers show them. */
import { createClient, ollama, openaiCompatible, type ProviderError } from 'unbusy'
import { raw, type Reply, type startServer } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { z } from 'zod'
import { test } from '../helpers/vitest.ts'

const tools = { get_weather: { inputSchema: z.looseObject({ city: z.string() }) } }
const usage = { usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 } }
const event = (data: unknown) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const chunk = (delta: unknown, finish: unknown = null, more: object = {}) => ({
  ...{ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] },
  ...more,
})
const end = chunk({}, 'stop', usage)
const stream = (...events: readonly unknown[]) => raw([...events.map(event), event('[DONE]')])
const whole = { message: { role: 'assistant', content: 'Hello there' }, finish_reason: 'stop' }
/** In one write: a line without `data:` has its place between the events. */
const bare = (...lines: readonly unknown[]) => raw(lines.map(line => (typeof line === 'string' ? line : event(line))).join(''))
const document = (body: unknown) => raw([JSON.stringify(body)], { contentType: 'application/json' })
const said = [chunk({ content: 'Hello' }), chunk({ content: ' there' })]
const emptyError = { error: { message: '', type: '', param: '', code: null } }

async function ask(server: typeof startServer, reply: Reply, make = openaiCompatible) {
  const { baseURL } = await server(() => reply)
  const client = createClient({ chain: [make('m', { baseURL, retry: 0 })], hedge: false, breaker: false })
  onTestFinished(() => client.close())
  return client.generate({ prompt: 'Hi', tools }).catch((error: { failures: readonly ProviderError[] }) => error.failures[0])
}

test.for<[string, Reply]>([
  ['an empty error beside the finish (new-api)', stream(...said, { ...end, ...emptyError })],
  ['an empty error in a document (new-api)', document({ choices: [whole], ...usage, ...emptyError })],
  ['an error that says success', stream(...said, { ...end, error: { code: 0, message: 'success' } })],
  ['an error that says success by the status', stream(...said, { ...end, error: { code: 200, message: 'success' } })],
  ['an error that says so in words', document({ choices: [whole], ...usage, error: 'No error' })],
  ['an error of the Python kind', document({ choices: [whole], ...usage, error: { code: '0', message: 'None', type: null } })],
  ['base_resp with the status', document({ choices: [whole], ...usage, base_resp: { status_code: 200, status_msg: 'success' } })],
  ['a sign of life with a code', stream(...said, { code: 0, message: 'still here' }, end)],
  ['a chunk without `data:` among events', bare(said[0], `${JSON.stringify(said[1])}\n\n`, end)],
  [
    'a first event without a blank line before a chunk without `data:`',
    bare(event(said[0]).trimEnd(), `\n${JSON.stringify(said[1])}\n`, end),
  ],
  [
    'two chunks without `data:` in one line',
    bare(': x\n\n', event({ choices: [] }), said.map(one => JSON.stringify(one)).join(''), '\n', end),
  ],
  ['a finish without a blank line before [DONE]', bare(...said, event(end).trimEnd(), '\ndata: [DONE]\n\n')],
  ['a finish without `data:`', bare(...said, `${JSON.stringify(end)}\n`)],
  ['a chunk without `data:` over several lines', bare(said[0], `${JSON.stringify(said[1], null, 1)}\n`, end, 'data: [DONE]\n\n')],
  [
    'the first choice behind another one',
    stream({ choices: [{ index: 1, delta: { content: 'No' } }, ...said[0]!.choices] }, said[1], end),
  ],
  ['another choice, whose index is a text', stream({ choices: [{ index: '1', delta: { content: 'No' } }] }, ...said, end)],
  ['a finish that says that there is none', stream(chunk({ content: 'Hello' }, 'not_finished'), said[1], end)],
  ['the answer in output (DashScope)', document({ output: { choices: [whole] }, usage: { input_tokens: 5, output_tokens: 2 } })],
  ['the answer in data, and usage beside it', document({ code: 0, msg: 'ok', data: { choices: [whole] }, ...usage })],
  [
    'the answer in data, beside a success in words',
    document({ code: 'OK', message: 'ok', data: { choices: [whole], ...usage } }),
  ],
  ['the answer in response', document({ success: true, response: { choices: [whole], ...usage } })],
  ['each chunk in data', stream(...said.map(data => ({ code: 0, data })), { code: 0, data: end })],
  ['a body as text (AWS)', document({ statusCode: 200, body: JSON.stringify({ choices: [whole], ...usage }) })],
  ['a document as text', document(JSON.stringify({ choices: [whole], ...usage }))],
  ['an event as text', stream(...said, JSON.stringify(JSON.stringify(end)))],
  ['a field with the name line', stream({ ...said[0], line: 'last' }, said[1], end)],
  ['choices without a list', stream({ choices: { delta: { content: 'Hello there' } } }, end)],
  ['content without a list', stream(chunk({ content: { type: 'text', text: 'Hello there' } }), end)],
  ['a message that is a text', document({ choices: [{ message: 'Hello there', finish_reason: 'stop' }], ...usage })],
  ['a finish in a list', stream(...said, chunk({}, ['stop'], usage))],
  ['a finish in an object', stream(...said, chunk({}, { reason: 'stop' }, usage))],
  ['a late report of a filter (Azure)', stream(...said, end, { choices: [{ content_filter_results: {}, finish_reason: null }] })],
  ['events that say nothing', stream({ type: 'ping' }, { status: 'processing' }, ...said, { choices: [null] }, end)],
])('%s: the answer is read', async ([, reply], { server }) => {
  const hello = { text: 'Hello there', finishReason: 'stop', usage: { inputTokens: 5, outputTokens: 2 } }
  expect(await ask(server, reply)).toMatchObject(hello)
})

const calling = (name: string) => ({
  tool_calls: [{ index: 0, id: 'a', function: { name, arguments: '{"city":"Oslo"}' } }],
})

test.for<[string, Reply]>([
  ['tokens of gpt-oss behind the name', stream(chunk(calling('get_weather<|channel|>commentary')), chunk({}, 'tool_calls'))],
  ['blanks around the name', stream(chunk(calling(' get_weather\n')), chunk({}, 'tool_calls'))],
  [
    'its list beside the delta',
    stream({ choices: [{ index: 0, delta: { role: 'assistant' }, ...calling('get_weather') }] }, chunk({}, 'tool_calls')),
  ],
  [
    'its list beside the delta and in it',
    stream(
      ...['{"city":', '"Oslo"}'].map(args => {
        const list = { tool_calls: [{ index: 0, id: 'a', function: { name: 'get_weather', arguments: args } }] }
        return { choices: [{ index: 0, delta: list, ...list }] }
      }),
      chunk({}, 'tool_calls'),
    ),
  ],
  [
    'the list as text',
    document({
      choices: [{ message: { tool_calls: JSON.stringify(calling('get_weather').tool_calls) }, finish_reason: 'stop' }],
    }),
  ],
])('a tool call with %s is called', async ([, reply], { server }) => {
  expect(await ask(server, reply)).toMatchObject({ toolCalls: [{ toolName: 'get_weather', input: { city: 'Oslo' } }] })
})

test.for<[string, Reply, typeof openaiCompatible]>([
  ['in an object', stream(chunk({ reasoning: { text: 'Hm.' } }), ...said, end), openaiCompatible],
  ['in reasoning_text', stream(chunk({ reasoning_text: 'Hm.' }), ...said, end), openaiCompatible],
  [
    "in reasoning_content of Ollama's own format",
    raw([JSON.stringify({ message: { content: 'Hello there', reasoning_content: 'Hm.' }, done: true })]),
    ollama,
  ],
])('reasoning %s is reasoning', async ([, reply, make], { server }) => {
  expect(await ask(server, reply, make)).toMatchObject({ text: 'Hello there', reasoningText: 'Hm.' })
})

test("Ollama's own format in camel case: a cut answer is not whole, and is counted", async ({ server }) => {
  const line = { message: { content: 'Hello' }, done: true, doneReason: 'length', promptEvalCount: 5, evalCount: 2 }
  const cut = { text: 'Hello', finishReason: 'length', usage: { inputTokens: 5, outputTokens: 2 } }
  expect(await ask(server, raw(JSON.stringify(line)), ollama)).toMatchObject(cut)
})

test.for([
  { city: 'Oslo', days: 2 },
  { type: 'city', days: 2 },
])('F65: the value itself, where JSON was asked for, is the answer (Workers AI): %j', async (content, { server }) => {
  const { baseURL } = await server(document({ choices: [{ message: { role: 'assistant', content }, finish_reason: 'stop' }] }))
  const client = createClient({ chain: [openaiCompatible('m', { baseURL, retry: 0 })] })
  onTestFinished(() => client.close())
  const { output } = await client.generate({ prompt: 'Hi', output: z.looseObject({ days: z.number() }) })
  expect(output).toEqual(content)
})

test('digits that a gateway writes as a number are text, in a piece of the answer and of an input', async ({ server }) => {
  const answer = stream(chunk({ content: 'In ' }), chunk({ content: 1 }), chunk({ content: 984 }), end)
  expect(await ask(server, answer)).toMatchObject({ text: 'In 1984' })
  const piece = (args: unknown) => chunk({ tool_calls: [{ index: 0, function: { arguments: args } }] })
  const named = chunk({
    tool_calls: [{ index: 0, id: 'a', function: { name: 'get_weather', arguments: '{"city":"Oslo","days":1' } }],
  })
  const calls = stream(named, piece(2), piece('}'), chunk({}, 'tool_calls'))
  expect(await ask(server, calls)).toMatchObject({ toolCalls: [{ input: { days: 12 } }] })
})

const throttled = { throttlingException: { message: 'Too many tokens, please wait before trying again.' } }
const limited = { statusCode: 429, body: JSON.stringify({ error: { message: 'Rate limit exceeded' } }) }

test.for<[string, Reply, string]>([
  ['an error in x_groq', stream(said[0], { choices: [], x_groq: { error: 'over capacity' } }), 'overloaded'],
  [
    "an answer in Anthropic's format",
    stream({ type: 'message_start', message: { role: 'assistant', content: [] } }, { type: 'message_stop' }),
    'malformed-response',
  ],
  ['an exception of Bedrock', stream(throttled), 'rate-limit'],
  ['an exception of Bedrock in a document', document({ internalServerException: { message: 'x' } }), 'server-error'],
  ['an error beside an answer in data', document({ error: 'Too many requests', data: { choices: [whole] } }), 'rate-limit'],
  ["an error beside a line in Ollama's own format", document({ done: true, code: 429, msg: 'Too many requests' }), 'rate-limit'],
  [
    'an error of MiniMax beside such a line',
    document({ message: { content: '' }, done: true, base_resp: { status_code: 1002, status_msg: 'rate limit' } }),
    'rate-limit',
  ],
  [
    'an error whose fields have no text',
    document({ error: { a: { toString: 1 }, message: 'Rate limit exceeded' } }),
    'rate-limit',
  ],
  ['an error in a body as text (AWS)', document(limited), 'rate-limit'],
  [
    'a chunk that says with each piece that it is not finished, and is cut',
    stream(chunk({ content: 'Hello' }, 'not_finished')),
    'truncated',
  ],
])('%s is a failure: %s', async ([, reply, reason], { server }) => {
  expect(await ask(server, reply)).toMatchObject({ reason })
})

test('new-api passes on the status of its upstream in words', async ({ server }) => {
  const error = { message: 'bad response status code 429 (request id: 1)', type: 'upstream_error' }
  const reply = { ...document({ error }), status: 500 }
  expect(await ask(server, reply)).toMatchObject({ reason: 'rate-limit' })
})
