import { expect, onTestFinished } from 'vitest'
import { createClient, deepseekFim, host, ollama, openaiCompatible, vllm } from '../../src/index.ts'
import type { Target } from '../../src/index.ts'
import { raw, startServer } from '../../src/testing/index.ts'
import type { Reply } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`
const chunk = (delta: object, finish: string | null = null, more: object = {}) =>
  event({ id: 'x', model: 'm', choices: [{ index: 0, delta, finish_reason: finish, ...more }] })
const line = (fields: object) => JSON.stringify({ model: 'm', ...fields })
const said = (content: string) => `${line({ message: { content }, done: false })}\n`
const last = line({ message: { content: '' }, done: true, done_reason: 'length', prompt_eval_count: 3, eval_count: 2 })

/** The parts as they are, and the line stays open behind them. */
const open = (parts: readonly string[]): Reply => raw(parts, { stallAfterChunks: parts.length })

const local = {
  ollama: (baseURL: string) => ollama('m', { baseURL, retry: 0 }),
  'ollama, stream: false': (baseURL: string) => ollama('m', { baseURL, retry: 0, stream: false }),
  openaiCompatible: (baseURL: string) => openaiCompatible('m', { baseURL, retry: 0 }),
  vllm: (baseURL: string) => vllm('m', { baseURL, retry: 0 }),
  host: (baseURL: string) => host('openrouter', 'm', { baseURL, retry: 0, apiKey: 'sk-test-0123456789abcdef' }),
} satisfies Record<string, (baseURL: string) => Target>

async function ask(reply: Reply, make: (baseURL: string) => Target) {
  const server = await startServer(reply)
  onTestFinished(() => server.close())
  const client = createClient({ chain: [make(server.baseURL)], hedge: false, breaker: false })
  onTestFinished(() => client.close())
  const startedAt = performance.now()
  const answer = await client.generate('Hi').catch((error: unknown) => {
    const { failures } = error as { readonly failures?: readonly { readonly reason: string }[] }
    return { reason: failures?.[0]?.reason ?? error }
  })
  return { answer, tookMs: performance.now() - startedAt }
}

const spread = JSON.stringify(JSON.parse(last.replace('""', '"All of it."')), null, 2)

test.for([
  ["F1: Ollama's last line", 'ollama', [said('All of '), said('it.'), last]],
  ["F1: Ollama's last line, cut anywhere", 'ollama', [said('All of '), said('it.'), last.slice(0, 9), last.slice(9)]],
  ["F1: Ollama's whole answer", 'ollama, stream: false', [last.replace('""', '"All of it."')]],
  ["F1: Ollama's whole answer, spread over lines", 'ollama, stream: false', [spread]],
  ['F1: the finish of a stream', 'openaiCompatible', [chunk({ content: 'All of it.' }), chunk({}, 'length').trimEnd()]],
  ['F1: text and finish in one', 'vllm', [chunk({ content: 'All of ' }), chunk({ content: 'it.' }, 'length').trimEnd()]],
] as const)('%s without its line end, on a line that stays open, is an answer in about a second', async ([, service, parts]) => {
  const { answer, tookMs } = await ask(open(parts), local[service])
  expect(answer).toMatchObject({ text: 'All of it.', finishReason: 'length' })
  expect(tookMs).toBeLessThan(2_500)
})

test("F2: Ollama's answer that is spread over lines is whole with its last bracket, and half of it is cut", async () => {
  const make = local['ollama, stream: false']
  expect((await ask(raw([spread]), make)).answer).toMatchObject({ text: 'All of it.' })
  expect((await ask(raw([spread], { cutAfterChunks: 1, cutBy: 'rst' }), make)).answer).toMatchObject({ text: 'All of it.' })
  expect((await ask(raw([spread.slice(0, -1)]), make)).answer).toMatchObject({ reason: 'truncated' })
})

test.for([
  ['without a role', [chunk({ content: '' }, 'stop')]],
  ['beside a thought', [chunk({ reasoning_content: 'Hm.' }, 'stop')]],
] as const)('F4: behind a finish %s, the text may take its time', async ([, parts]) => {
  const rest = [chunk({ content: 'All of it.' }), chunk({}, 'length')]
  const reply = raw([...parts, ...rest], { stallAfterChunks: 1, stallForMs: 1_600 })
  expect((await ask(reply, local.openaiCompatible)).answer).toMatchObject({ text: 'All of it.', finishReason: 'length' })
})

test.for(['in_progress', 'running', 'continue'])('F5: a finish of %j on each chunk is none', async word => {
  const parts = [chunk({ content: 'All of ' }, word), chunk({ content: 'it.' }, word)]
  expect((await ask(raw(parts), local.openaiCompatible)).answer).toMatchObject({ reason: 'truncated' })
  expect((await ask(raw([...parts, chunk({}, 'length')]), local.openaiCompatible)).answer).toMatchObject({
    finishReason: 'length',
  })
})

test.for([
  ['MALFORMED_FUNCTION_CALL', 'invalid-output'],
  ['function_call_filter: MALFORMED_FUNCTION_CALL', 'invalid-output'],
  ['upstream_timeout', 'server-error'],
  ['engine_overloaded', 'overloaded'],
] as const)('F6: %s is a failure, as a finish and beside one, whole and in a stream', async ([word, reason]) => {
  const whole = (choice: object) =>
    raw([JSON.stringify({ choices: [{ message: { content: 'Half' }, ...choice }] })], { contentType: 'application/json' })
  const beside = { native_finish_reason: word, finish_reason: 'stop' }
  for (const reply of [
    raw([chunk({ content: 'Half' }), chunk({}, word)]),
    raw([chunk({ content: 'Half' }), chunk({}, 'stop', { native_finish_reason: word })]),
    whole({ finish_reason: word }),
    whole(beside),
  ])
    expect((await ask(reply, local.host)).answer).toMatchObject({ reason })
})

test('F6: `stop` beside a limit or a filter of the service says less than they do', async () => {
  for (const [native, finishReason] of [
    ['MAX_TOKENS', 'length'],
    ['token_limit_reached', 'length'],
    ['SAFETY', 'content-filter'],
    ['end_turn', 'stop'],
  ] as const) {
    const parts = [chunk({ content: 'Half' }), chunk({}, 'stop', { native_finish_reason: native })]
    expect((await ask(raw(parts), local.host)).answer).toMatchObject({ finishReason })
  }
})

test.for(['open', 'rst', 'fin'] as const)('F2, F3: a completion of DeepSeek (fill in the middle) is whole, by %s', async by => {
  const body = JSON.stringify({ choices: [{ text: 'All of it.', finish_reason: 'length' }], usage: { prompt_tokens: 3 } })
  const server = await startServer(by === 'open' ? open([body]) : raw([body], { cutAfterChunks: 1, cutBy: by }))
  onTestFinished(() => server.close())
  const options = { baseURL: server.baseURL, apiKey: 'sk-test-0123456789abcdef', signal: AbortSignal.timeout(3_000) }
  const answer = await deepseekFim({ prompt: 'All', ...options })
  expect(answer).toMatchObject({ text: 'All of it.', finishReason: 'length', usage: { inputTokens: 3 } })
})

test('F6, F7: a completion of DeepSeek that hides a failure is one, and zeros are no figures', async () => {
  const choice = { text: 'All of it.', finish_reason: 'stop' }
  const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
  const bodies = [{ choices: [choice], usage }, { choices: [{ ...choice, native_finish_reason: 'network_error' }] }]
  const server = await startServer(bodies.map(body => raw([JSON.stringify(body)])))
  onTestFinished(() => server.close())
  const fim = () => deepseekFim({ prompt: 'All', baseURL: server.baseURL, apiKey: 'sk-test-0123456789abcdef' })
  expect((await fim()).usage).toBeUndefined()
  await expect(fim()).rejects.toMatchObject({ reason: 'server-error' })
})
