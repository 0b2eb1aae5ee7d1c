import { inspect } from 'node:util'
import { ChainExhaustedError, createClient, deepseek, llama, openai, textGeneration } from 'unbusy'
import { answer, fakeTarget, status } from 'unbusy/testing'
import { expect } from 'vitest'
import { test } from '../helpers/vitest.ts'

const quick = { baseDelayMs: 1 }
const key = { apiKey: 'sk-test-0123456789abcdef' }

/** `provider attempt outcome reason status`, one line each. */
const story = (
  attempts: readonly {
    provider: string
    attempt: number
    outcome: string
    reason: string | undefined
    status: number | undefined
  }[],
) =>
  attempts.map(({ provider, attempt, outcome, reason, status: code }) =>
    [provider, attempt, outcome, reason ?? '', code ?? ''].join(' ').replaceAll(/ +/g, ' ').trim(),
  )

test('a busy DeepSeek and a limited OpenAI lead to the llama, and the attempts tell it (R12, R16, R19)', async ({
  server,
  events,
}) => {
  const busy = await server(status(503), { format: 'deepseek' })
  const limited = await server(status(429), { format: 'openai' })
  const local = await server(answer('The sky scatters blue light.'), { format: 'llama' })
  const chain = [
    deepseek({ ...key, baseURL: busy.baseURL }),
    openai({ ...key, baseURL: limited.baseURL }),
    llama({ baseURL: local.baseURL }),
  ]
  const client = createClient({ chain, retry: quick, onEvent: events.listener })
  const result = await client.generate('Why is the sky blue?')
  expect(result).toMatchObject({ text: 'The sky scatters blue light.', provider: 'llama', targetIndex: 2, degraded: false })
  expect(story(result.attempts)).toEqual([
    'deepseek 1 failed overloaded 503',
    'deepseek 2 failed overloaded 503',
    'openai 1 failed rate-limit 429',
    'llama 1 answered 200',
  ])
  await client.close()
})

test('the same chain streams, and the reader never learns of the first two (R2, R23)', async ({ server, events }) => {
  const busy = await server(status(503), { format: 'deepseek' })
  const limited = await server(status(429), { format: 'openai' })
  const local = await server(answer(['The', ' sky']), { format: 'llama' })
  const chain = [
    deepseek({ ...key, baseURL: busy.baseURL }),
    openai({ ...key, baseURL: limited.baseURL }),
    llama({ baseURL: local.baseURL }),
  ]
  const client = createClient({ chain, retry: quick, onEvent: events.listener })
  const types: string[] = []
  const stream = await client.stream('Why is the sky blue?')
  for await (const event of stream) types.push(event.type)
  expect(types).toEqual(['response-metadata', 'text-delta', 'text-delta', 'finish'])
  expect(story((await stream.result()).attempts)).toHaveLength(4)
  await client.close()
})

test('a 402 goes to the next target at once, and its key is left alone by later calls (R17, R26, R57)', async ({ server }) => {
  const poor = await server(status(402), { format: 'deepseek' })
  const local = await server(answer('Hello.'), { format: 'llama' })
  const client = createClient({ chain: [deepseek({ ...key, baseURL: poor.baseURL }), llama({ baseURL: local.baseURL })] })
  const { attempts } = await client.generate('Hi')
  expect(story(attempts)).toEqual(['deepseek 1 failed quota 402', 'llama 1 answered 200'])
  expect(attempts[0]?.message).toMatch(/has no credit or quota left.*Top up the account/s)
  expect(attempts[0]?.message).not.toMatch(/insufficient balance/i)
  expect(story((await client.generate('Hi')).attempts)).toEqual(['deepseek 0 skipped quota', 'llama 1 answered 200'])
  expect(poor.requests).toHaveLength(1)
  await client.close()
})

test('a missing key is a target that is skipped, not a crash of the chain (R25)', async ({ server }) => {
  const local = await server(answer('Hello.'), { format: 'llama' })
  const client = createClient({ chain: [openai({ apiKey: '' }), llama({ baseURL: local.baseURL })] })
  const { attempts } = await client.generate('Hi')
  expect(story(attempts)).toEqual(['openai 0 skipped authentication', 'llama 1 answered 200'])
  expect(attempts[0]?.message).toContain('OPENAI_API_KEY')
  await client.close()
})

test.for([
  ['a truncated stream (R37, R40, R41)', { cutAfterChunks: 1, cutBy: 'fin' }, 'truncated'],
  ['a stream that is reset (R38)', { cutAfterChunks: 1, cutBy: 'rst' }, 'truncated'],
  ['an end without a finish (R37)', { noFinish: true }, 'truncated'],
  ['a blank body (R43)', { blankBody: true }, 'overloaded'],
  ['an empty body (R43)', { emptyBody: true }, 'overloaded'],
  ['an error in the stream (R1, R21, R27)', { errorAfterChunks: 0 }, 'overloaded'],
  ['an error after some text (R24)', { errorAfterChunks: 2 }, 'overloaded'],
  ['half a JSON', { truncatedJson: true }, 'truncated'],
  ['a broken chunk', { malformedChunk: 1 }, 'malformed-response'],
  ['insufficient_system_resource (R28)', { finishReason: 'insufficient_system_resource' }, 'overloaded'],
] as const)('%s is a failure, never an answer', async ([, conduct, reason], { server }) => {
  const broken = await server(answer('Half of an answer.', conduct), { format: 'deepseek' })
  const local = await server(answer('A whole answer.'), { format: 'llama' })
  const chain = [deepseek({ ...key, baseURL: broken.baseURL, retry: 0 }), llama({ baseURL: local.baseURL })]
  const client = createClient({ chain })
  const result = await client.generate('Hi')
  expect(result.text).toBe('A whole answer.')
  expect(result.attempts[0]).toMatchObject({ outcome: 'failed', reason })
  await client.close()
})

test.for([
  ['no content (R44)', answer('', { finishReason: 'stop' })],
  ['only reasoning (R39)', answer('', { reasoning: 'Let me think.', finishReason: 'stop' })],
  ['only white space', answer(' \n', { finishReason: 'stop' })],
] as const)('an answer with %s is a failed attempt', async ([, reply], { server }) => {
  const empty = await server(reply, { format: 'deepseek' })
  const local = await server(answer('A whole answer.'), { format: 'llama' })
  const chain = [deepseek({ ...key, baseURL: empty.baseURL }), llama({ baseURL: local.baseURL })]
  const client = createClient({ chain, retry: quick })
  const result = await client.generate('Hi')
  expect(result).toMatchObject({ text: 'A whole answer.', provider: 'llama' })
  expect(result.attempts[0]).toMatchObject({ outcome: 'failed', reason: 'empty' })
  await client.close()
})

test.for([
  ['no content', answer('', { finishReason: 'stop' })],
  ['only white space', answer(' \n', { finishReason: 'stop' })],
  ['a broken finish and no content', answer('', { finishReason: 'insufficient_system_resource' })],
  ['nothing in its body', answer('Hi.', { emptyBody: true })],
] as const)('the reader of a stream never learns of an answer with %s (R28, R43, R44)', async ([, reply], { server }) => {
  const empty = await server(reply, { format: 'deepseek' })
  const local = await server(answer('A whole answer.'), { format: 'llama' })
  const client = createClient({
    chain: [deepseek({ ...key, baseURL: empty.baseURL, retry: 0 }), llama({ baseURL: local.baseURL })],
  })
  const stream = await client.stream('Hi')
  expect(await stream.text()).toBe('A whole answer.')
  expect((await stream.result()).attempts[0]?.outcome).toBe('failed')
  await client.close()
})

test('an answer that was none was paid for: its attempt and the cost tell it', async ({ server }) => {
  const usage = { inputTokens: 100, outputTokens: 1_000_000 }
  const replies = [
    answer('', { reasoning: 'Hm.', finishReason: 'length', usage }),
    answer('Half', { finishReason: 'insufficient_system_resource', usage }),
  ]
  for (const reply of replies) {
    const empty = await server(reply, { format: 'deepseek' })
    const local = await server(answer('A whole answer.'), { format: 'llama' })
    const price = { input: 0, output: 2 }
    const chain = [deepseek({ ...key, baseURL: empty.baseURL, retry: 0, price }), llama({ baseURL: local.baseURL })]
    const client = createClient({ chain })
    const { attempts, cost } = await client.generate({ prompt: 'Hi', reasoning: 'off' })
    expect(attempts[0]).toMatchObject({ outcome: 'failed', usage })
    expect(cost).toBe(2)
    await client.close()
  }
})

test('a plain POST /generate service is the last of a chain', async ({ server }) => {
  const busy = await server(status(503), { format: 'deepseek' })
  const plain = await server(answer('Plain text.'), { format: 'text-generation' })
  const chain = [deepseek({ ...key, baseURL: busy.baseURL, retry: 0 }), textGeneration({ baseURL: plain.baseURL })]
  const client = createClient({ chain })
  expect(await client.generate('Hi')).toMatchObject({ text: 'Plain text.', usage: {} })
  expect(plain.requests[0]?.json).toEqual({ prompt: 'Hi' })
  await client.close()
})

test('fifty parallel calls with the first target down get fifty answers, each with its own order (R106, R118)', async ({
  server,
}) => {
  const down = await server(status(503), { format: 'deepseek' })
  const local = await server(
    request => answer(`echo ${JSON.stringify((request.json as { messages: { content: string }[] }).messages[0]?.content)}`),
    { format: 'llama' },
  )
  const chain = [deepseek({ ...key, baseURL: down.baseURL }), llama({ baseURL: local.baseURL })]
  const client = createClient({ chain, retry: quick })
  const results = await Promise.all(Array.from({ length: 50 }, async (_, index) => client.generate(`number ${index}`)))
  expect(results.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, index) => `echo "number ${index}"`))
  for (const { attempts } of results) {
    const order = attempts.map(({ targetIndex }) => targetIndex)
    expect(order).toEqual(order.toSorted((one, other) => one - other))
  }
  await client.close()
})

test.for([
  [401, 502, 'authentication'],
  [413, 413, 'context-length'],
  [429, 429, 'rate-limit'],
] as const)(
  'when every target answers %i the error sums up as a gateway would: %i',
  async ([code, summed, reason], { server }) => {
    const one = await server(status(code, undefined, { 'retry-after': '7200' }), { format: 'openai' })
    const other = await server(status(code, undefined, { 'retry-after': '600' }), { format: 'openai' })
    const chain = [openai({ ...key, baseURL: one.baseURL }), openai('other', { ...key, baseURL: other.baseURL })]
    const client = createClient({ chain })
    const error: unknown = await client.generate('Hi').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ChainExhaustedError)
    expect(error).toMatchObject({ status: summed, reason })
    if (code === 429) expect((error as ChainExhaustedError).retryAfterMs).toBe(600_000)
    expect(JSON.stringify(error) + String(error)).not.toContain(key.apiKey)
    await client.close()
  },
)

test('mixed failures are a 503 with every attempt, and a default response covers them all', async ({ server }) => {
  const busy = await server(status(503), { format: 'deepseek' })
  const limited = await server(status(429), { format: 'openai' })
  const chain = [deepseek({ ...key, baseURL: busy.baseURL, retry: 0 }), openai({ ...key, baseURL: limited.baseURL, retry: 0 })]
  const error: unknown = await createClient({ chain })
    .generate('Hi')
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ status: 503, failures: [{ reason: 'overloaded' }, { reason: 'rate-limit' }] })
  const degraded = createClient({ chain, defaultResponse: failures => `sorry, ${failures.at(-1)?.reason}` })
  expect(await degraded.generate('Hi')).toMatchObject({ text: 'sorry, rate-limit', degraded: true, provider: 'default' })
  const stream = await degraded.stream('Hi')
  expect(await stream.text()).toBe('sorry, rate-limit')
})

test('a content filter stops the chain: no laxer model is looked for', async ({ server }) => {
  const strict = await server(
    { ...status(400, JSON.stringify({ error: { message: 'Content Exists Risk', type: 'invalid_request_error' } })) },
    { format: 'deepseek' },
  )
  const local = await server(answer('An answer.'), { format: 'llama' })
  const chain = [deepseek({ ...key, baseURL: strict.baseURL }), llama({ baseURL: local.baseURL })]
  const client = createClient({ chain })
  await expect(client.generate('Hi')).rejects.toMatchObject({ reason: 'content-filter' })
  expect(local.requests).toHaveLength(0)
  await client.close()
})

test('F101: a call that every `when` shuts out is refused as such: nothing is overloaded, and no retry helps', async ({
  clock,
  events,
}) => {
  const shut = (name: string) => fakeTarget('never', { clock, name, when: () => false })
  const client = createClient({ chain: [shut('first'), shut('second')], clock, onEvent: events.listener })
  const error: unknown = await client.generate('Hi').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    status: 403,
    reason: 'excluded',
    retryAfterMs: undefined,
    message: 'No target answered (excluded).',
  })
  expect(error).toMatchObject({
    failures: [
      { reason: 'excluded', provider: 'first' },
      { reason: 'excluded', provider: 'second' },
    ],
  })
  expect(events.of('target-skip')).toMatchObject([{ reason: 'excluded' }, { reason: 'excluded' }])
  expect(clock.now()).toBe(0)

  // beside others it is left out of the sum
  const limited = fakeTarget({ error: 'rate-limit', retryAfterMs: 60_000 }, { clock, retry: { waitForMs: 0 } })
  const mixed = createClient({ chain: [shut('first'), limited], clock }).generate('Hi')
  await expect(clock.until(mixed)).rejects.toMatchObject({
    status: 429,
    failures: [{ reason: 'excluded' }, { reason: 'rate-limit' }],
  })
})

test('F97: message, failures and trail of an exhausted chain agree, and only the trail names providers, models and numbers of theirs', async ({
  clock,
}) => {
  const chain = [
    fakeTarget('never', { clock, name: 'acme', model: 'secret-model', when: () => false }),
    fakeTarget({ error: 'rate-limit', retryAfterMs: 19_500 }, { clock, name: 'umbrella', model: 'u-1', retry: { waitForMs: 0 } }),
  ]
  const error: unknown = await clock.until(
    createClient({ chain, clock })
      .generate('Hi')
      .catch((thrown: unknown) => thrown),
  )
  if (!(error instanceof ChainExhaustedError)) throw new Error('expected', { cause: error })
  expect(error.message).toBe('No target answered (rate-limit). Try again in 20 s.')
  const [skipped = '', failed = ''] = error.trail.split('\n')
  expect(skipped).toBe('acme secret-model: excluded, skipped: Its `when` does not allow this call.')
  expect(failed).toMatch(/^umbrella u-1: rate-limit \(429\), attempt 1, \d+ ms: The fake target failed/)
  expect(error.failures).toHaveLength(error.attempts.length)
  expect(inspect(error)).toContain(failed)
  expect(inspect(new Error('outer', { cause: error }))).toContain(failed)
})

test('the lines of a logger tell the trail of a call that nobody answered', async ({ clock }) => {
  const lines: object[] = []
  const log = (fields: object) => void lines.push(fields)
  const chain = [fakeTarget({ error: 'quota' }, { clock, name: 'acme' })]
  const client = createClient({ chain, clock, logger: { debug: log, info: log, warn: log } })
  await client.generate('Hi').catch(() => {})
  expect(lines.at(-1)).toMatchObject({ reason: 'quota', status: 502, trail: expect.stringContaining('acme fake-1: quota (402)') })
})
