import { createClient, deepseek, type FailureReason, ollama, openaiCompatible, type ProviderError, textGeneration } from 'unbusy'
import { json, raw } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

type Dialect = {
  readonly target: (url: string) => ReturnType<typeof openaiCompatible>
  /** Of an answer that had begun. */
  readonly piece: string | undefined
  readonly body: (value: unknown) => string
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`
const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const keyed = { apiKey: 'plainkey42', retry: 0 } as const

/** Each: the target, a piece of an answer that comes before the error, and how an error stands in the body. */
const dialects: Readonly<Record<string, Dialect>> = {
  'chat completions, streamed': {
    target: url => openaiCompatible('m', { baseURL: `${url}/v1`, ...keyed }),
    piece: event({ choices: [{ delta: { content: 'Hel' } }] }),
    body: event,
  },
  'chat completions, a document': {
    target: url => openaiCompatible('m', { baseURL: `${url}/v1`, ...keyed }),
    piece: undefined,
    body: value => JSON.stringify(value),
  },
  'Ollama, lines': {
    target: url => ollama('m', { baseURL: url, ...keyed }),
    piece: line({ message: { content: 'Hel' }, done: false }),
    body: line,
  },
  'POST /generate, streamed': {
    target: url => textGeneration({ baseURL: url, ...keyed }),
    piece: event({ response: 'Hel' }),
    body: event,
  },
  'POST /generate, a document': {
    target: url => textGeneration({ baseURL: url, ...keyed }),
    piece: undefined,
    body: value => JSON.stringify(value),
  },
}

const errors: readonly (readonly [from: string, said: object, reason: FailureReason, begun?: FailureReason])[] = [
  ['a text', { error: 'the queue is full' }, 'overloaded'],
  ['an object', { error: { message: 'Insufficient Balance', code: 'insufficient_balance' } }, 'quota'],
  ['with its kind beside it (TGI)', { error: 'x', error_type: 'overloaded' }, 'overloaded'],
  ['with its code beside it', { error: 'no', code: 429 }, 'rate-limit'],
  ['beside an empty text', { error: 'the queue is full', response: '', text: '', message: { content: '' } }, 'overloaded'],
  ['flat, a code of words (DashScope)', { code: 'Arrearage', message: 'Access denied.', request_id: 'r-12345' }, 'quota'],
  ['flat, a code of digits (SGLang)', { object: 'error', message: 'no room', code: 503 }, 'overloaded'],
  ['flat, with a type (Anthropic)', { type: 'error', error: { type: 'overloaded_error', message: 'x' } }, 'overloaded'],
  ['base_resp (F17)', { choices: null, base_resp: { status_code: 1008, status_msg: 'x' } }, 'quota'],
  ['error_code and error_msg (Baidu)', { error_code: 18, error_msg: 'Open api qps request limit reached' }, 'rate-limit'],
  ['detail (FastAPI)', { detail: 'The server is too busy.' }, 'overloaded'],
  ['a wrong key', { error: { message: 'plainkey42 is no good', code: 'invalid_api_key' } }, 'authentication', 'server-error'],
]

const cases = Object.entries(dialects).flatMap(([name, dialect]) => errors.map(row => ({ name, dialect, row, says: row[0] })))

test.for(cases)(
  'F65: an error in a 200 is told, $name, $says',
  async ({ dialect, row: [, said, reason, begun = reason] }, { server }) => {
    const { target, piece, body } = dialect
    const { url, replyWith } = await server(raw(body(said)))
    await using client = createClient({ chain: [target(url)], breaker: false })
    const failure = await failureOf(client)
    expect(failure.reason).toBe(reason)
    expect(failure.said ?? '').not.toContain('plainkey42')
    if (piece === undefined) return
    replyWith(raw(piece + body(said)))
    await using other = createClient({ chain: [target(url)], breaker: false })
    expect((await failureOf(other)).reason).toBe(begun)
  },
)

async function failureOf(client: ReturnType<typeof createClient>): Promise<ProviderError> {
  const error: unknown = await client.generate('Hi.').catch((thrown: unknown) => thrown)
  return (error as { readonly failures: readonly ProviderError[] }).failures[0]!
}

test.for([
  ['chat completions', (url: string) => deepseek({ baseURL: `${url}/v1`, ...keyed })],
  ['POST /generate', (url: string) => textGeneration({ baseURL: url, ...keyed })],
] as const)('F63: an event called error is one, whatever stands in it: %s', async ([, target], { server }) => {
  for (const data of [
    '{"code":"Throttling.RateQuota","message":"x"}',
    '{"message":"rate limit reached"}',
    'rate limit reached',
  ]) {
    const { url } = await server(raw(`id:1\nevent:error\n:HTTP_STATUS/429\ndata:${data}\n\n`))
    await using client = createClient({ chain: [target(url)] })
    await expect(client.generate('Hi.')).rejects.toMatchObject({ reason: 'rate-limit' })
  }
})

test('what is no line of Ollama is read by its words', async ({ server }) => {
  const { url, replyWith } = await server(raw('Service is too busy\n'))
  await using client = createClient({ chain: [ollama('m', { baseURL: url, ...keyed })], breaker: false })
  await expect(client.generate('Hi.')).rejects.toMatchObject({ reason: 'overloaded' })
  replyWith(raw('<html><title>Welcome</title></html>'))
  await expect(client.generate('Hi.')).rejects.toMatchObject({ reason: 'malformed-response' })
})

test('F65: headers of an error in a 200 count', async ({ server }) => {
  const { url } = await server(json({ error: 'rate limit reached' }, { headers: { 'retry-after': '7', 'x-request-id': 'r-12' } }))
  await using client = createClient({ chain: [textGeneration({ baseURL: url, ...keyed })] })
  await expect(client.generate('Hi.')).rejects.toMatchObject({ failures: [{ retryAfterMs: 7_000, requestId: 'r-12' }] })
})
