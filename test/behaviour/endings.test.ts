import { expect, onTestFinished } from 'vitest'
import { createClient, deepseek, ollama, openaiCompatible, textGeneration } from '../../src/index.ts'
import type { Target } from '../../src/index.ts'
import { raw, startServer } from '../../src/testing/index.ts'
import type { Reply } from '../../src/testing/index.ts'
import { test } from '../helpers/vitest.ts'

const event = (data: unknown) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const chunk = (delta: object, finish: string | null = null, more: object = {}) =>
  event({ id: 'x', model: 'm', choices: [{ index: 0, delta, finish_reason: finish }], ...more })
const usage = (output: number) => ({ usage: { prompt_tokens: 3, completion_tokens: output, total_tokens: 3 + output } })
const text = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'All of ' }), chunk({ content: 'it.' })]
const stop = chunk({}, 'stop')

/** The body as events, ended as told: `open` says nothing more and keeps the line. */
function body(parts: readonly string[], ended: 'end' | 'open' | 'comments' | 'fin' | 'rst' = 'end'): Reply {
  const conduct = { contentType: 'text/event-stream' }
  if (ended === 'end') return raw(parts, conduct)
  if (ended === 'open') return raw(parts, { ...conduct, stallAfterChunks: parts.length })
  if (ended !== 'comments') return raw(parts, { ...conduct, cutAfterChunks: parts.length, cutBy: ended })
  // each request begins it anew
  const comments = {
    *[Symbol.iterator]() {
      yield parts.join('')
      for (;;) yield ': still here\n\n'
    },
  }
  return raw(comments, { ...conduct, chunkEveryMs: 20 })
}

const services = {
  openaiCompatible: (baseURL: string): Target => openaiCompatible('m', { baseURL, retry: 0 }),
  deepseek: (baseURL: string): Target => deepseek({ baseURL, apiKey: 'sk-test-0123456789abcdef', retry: 0 }),
}

/** Asks once by `generate()` and once by `stream()`; what each got, how long it took, and what it asked. */
async function ask(reply: Reply, make: (baseURL: string) => Target = services.openaiCompatible) {
  const server = await startServer(reply)
  onTestFinished(() => server.close())
  const client = createClient({ chain: [make(server.baseURL)], hedge: false, breaker: false })
  onTestFinished(() => client.close())
  const timed = async <Value>(work: () => Promise<Value>) => {
    const startedAt = performance.now()
    const value = await work()
    return { value, tookMs: performance.now() - startedAt }
  }
  const told = (error: unknown) => (error as { failures?: { reason: string }[] }).failures?.map(({ reason }) => reason) ?? error
  const whole = await timed(() => client.generate('Hi').catch(told))
  const streamed = await timed(async () => {
    const stream = await client.stream('Hi')
    let shown = ''
    for await (const one of stream) if (one.type === 'text-delta') shown += one.text
    return { ...(await stream.result()), shown }
  })
  // a line that the server keeps open is closed here, and before the client is
  if (reply.stallAfterChunks !== undefined || reply.chunkEveryMs === 20) await server.untilAllClosed()
  return { whole, streamed, requests: server.requests.length }
}

const it = { text: 'All of it.', finishReason: 'stop' }

test.for(['open', 'comments'] as const)(
  'a finish and then only %s: the answer is delivered after about a second, and the line closed (F1)',
  async ended => {
    const { whole, streamed, requests } = await ask(body([...text, stop], ended))
    for (const { value, tookMs } of [whole, streamed]) {
      expect(value).toMatchObject(it)
      expect(tookMs).toBeGreaterThan(800)
      expect(tookMs).toBeLessThan(2_500)
    }
    expect(requests).toBe(2)
  },
)

test.for(['fin', 'rst', 'end'] as const)(
  'a finish and then %s, before usage and [DONE], is a whole answer at once (F2)',
  async ended => {
    const { whole, streamed, requests } = await ask(body([...text, stop], ended))
    for (const { value, tookMs } of [whole, streamed]) {
      expect(value).toMatchObject(it)
      expect(tookMs).toBeLessThan(800)
    }
    expect(streamed.value.shown).toBe('All of it.')
    expect(requests).toBe(2)
  },
)

test.for([
  ['[DONE]', [...text, stop, event('[DONE]')]],
  ['finish and usage, and no [DONE]', [...text, chunk({}, 'stop', usage(2))]],
  ['usage behind the finish, and no [DONE]', [...text, stop, event({ id: 'x', choices: [], ...usage(2) })]],
] as const)('%s, and a body that stays open: the answer is there at once, and the line closed soon (F3)', async ([, parts]) => {
  const { whole, streamed } = await ask(body(parts, 'open'))
  for (const { value, tookMs } of [whole, streamed]) {
    expect(value).toMatchObject(it)
    expect(tookMs).toBeLessThan(700)
  }
})

test('a finish on the first, empty chunk means nothing: the last one counts, and an end before it is a cut (F4)', async () => {
  const first = chunk({ role: 'assistant', content: '' }, 'stop', usage(0))
  const pieces = [chunk({ content: 'All of ' }, null, usage(1)), chunk({ content: 'it.' }, null, usage(2))]
  const long = await ask(body([first, ...pieces, chunk({}, 'length', usage(2)), event('[DONE]')]))
  expect(long.whole.value).toMatchObject({ text: 'All of it.', finishReason: 'length', usage: { outputTokens: 2 } })
  const slow = await ask({ ...body([first, ...pieces, stop, event('[DONE]')]), firstChunkAfterMs: 10, chunkEveryMs: 1_100 })
  expect(slow.whole.value).toMatchObject(it)
  const thought = [chunk({ reasoning_content: 'Hm.' }, 'stop', usage(1)), ...pieces, chunk({}, 'length')]
  expect((await ask(body(thought))).whole.value).toMatchObject({
    text: 'All of it.',
    finishReason: 'length',
    reasoningText: 'Hm.',
  })
  const { server, client } = await open(body([first, ...pieces]))
  await expect(client.generate('Hi')).rejects.toMatchObject({ failures: [{ reason: 'truncated' }] })
  expect(server.requests).toHaveLength(1)
})

test('finish_reason "null" on each chunk is none: a cut stream is cut, and the real one counts (F5)', async () => {
  const parts = [chunk({ content: 'All of ' }, 'null'), chunk({ content: 'it.' }, 'null')]
  expect((await ask(body([...parts, chunk({}, 'length')]))).whole.value).toMatchObject({ finishReason: 'length' })
  const { client } = await open(body(parts))
  await expect(client.generate('Hi')).rejects.toMatchObject({ failures: [{ reason: 'truncated' }] })
})

test.for(['network_error', 'error'])('finish `stop` with native_finish_reason %j is no answer (F6)', async native => {
  const end = event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop', native_finish_reason: native }] })
  const { client } = await open(body([...text, end, event('[DONE]')]))
  await expect(client.generate('Hi')).rejects.toMatchObject({ failures: [{ reason: 'server-error' }] })
})

test('usage of zeros is none, and the last figures count (F7, F36)', async () => {
  const zeros = { usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } }
  const pieces = [chunk({ content: 'All of ' }, null, zeros), chunk({ content: 'it.' }, null, zeros)]
  const unknown = await ask(body([...pieces, chunk({}, 'stop', zeros), event('[DONE]')]))
  expect(unknown.whole.value).toMatchObject({ ...it, usage: {} })
  expect(unknown.whole.value).not.toHaveProperty('usage.outputTokens', 0)
  const last = await ask(body([...pieces, chunk({}, 'stop', zeros), event({ choices: [], ...usage(2) }), event('[DONE]')]))
  expect(last.whole.value).toMatchObject({ ...it, usage: { outputTokens: 2 } })
  const rising = [chunk({ content: 'All of ' }, null, usage(1)), chunk({ content: 'it.' }, null, usage(2)), stop]
  const counted = await ask(body([...rising, event({ choices: [], ...usage(9) })], 'open'))
  expect(counted.whole.value).toMatchObject({ ...it, usage: { outputTokens: 9 } })
})

async function open(reply: Reply, make: (baseURL: string) => Target = services.openaiCompatible) {
  const server = await startServer(reply)
  onTestFinished(() => server.close())
  const client = createClient({ chain: [make(server.baseURL)], breaker: false })
  onTestFinished(() => client.close())
  return { server, client }
}

const json = JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'All of it.' }, finish_reason: 'stop' }] })
const line = (fields: object) => `${JSON.stringify({ model: 'm', ...fields })}\n`
const lines = [
  line({ message: { content: 'All of ' }, done: false }),
  line({ message: { content: 'it.' }, done: true, done_reason: 'stop' }),
]

const forms = [
  ['a JSON document', [json], (baseURL: string) => openaiCompatible('m', { baseURL, stream: false, retry: 0 }), 1_000],
  ["Ollama's lines", lines, (baseURL: string) => ollama('m', { baseURL, retry: 0 }), 0],
  ['POST /generate', ['{"response":"All of it."}'], (baseURL: string) => textGeneration({ baseURL, retry: 0 }), 1_000],
] as const

test.for(forms.flatMap(form => (['open', 'fin', 'rst'] as const).map(ended => [...form, ended] as const)))(
  '%s that is whole is an answer, whatever becomes of its body (F1, F2, F3)',
  async ([, parts, make, withinMs, ended]) => {
    const { whole } = await ask({ ...body(parts, ended), contentType: 'application/json' }, make)
    expect(whole.value).toMatchObject(it)
    expect(whole.tookMs).toBeLessThan((ended === 'open' ? withinMs : 0) + 800)
  },
)

const pieces = [event({ response: 'All of ' }), event({ response: 'it.' })]
const generating = (baseURL: string) => textGeneration({ baseURL, retry: 0 })
const words = (finish: string) => event({ response: '', finish_reason: finish })

test.for([
  ['a finish', [...pieces, words('length')], 'open', 'length', 1_000],
  ['a finish', [...pieces, words('length')], 'comments', 'length', 1_000],
  ['a finish', [...pieces, words('length')], 'rst', 'length', 0],
  [
    "a last token of TGI's",
    [...pieces, event({ token: { text: '' }, details: { finish_reason: 'length' } })],
    'open',
    'length',
    1_000,
  ],
  ['[DONE]', [...pieces, event('[DONE]')], 'open', 'stop', 0],
  ["llama.cpp's `stop`", [pieces[0]!, event({ content: 'it.', stop: true })], 'open', 'stop', 0],
  ['a finish on an empty first piece that was none', [words('stop'), ...pieces, words('length')], 'end', 'length', 0],
] as const)(
  'POST /generate: %s is the end of a stream, whatever becomes of its body (F1, F2, F3, F4)',
  async ([, parts, ended, finishReason, withinMs]) => {
    const { whole, streamed } = await ask(body(parts, ended), generating)
    for (const { value, tookMs } of [whole, streamed]) {
      expect(value).toMatchObject({ text: 'All of it.', finishReason })
      expect(tookMs).toBeLessThan(withinMs + 800)
    }
  },
)

test('POST /generate: a finish before a slow text means nothing (F4)', async () => {
  const slow = { ...body([words('stop'), ...pieces, words('length')]), firstChunkAfterMs: 10, chunkEveryMs: 1_100 }
  expect((await ask(slow, generating)).whole.value).toMatchObject({ text: 'All of it.', finishReason: 'length' })
})

test('POST /generate: a stream that breaks off behind a finish that was none is cut (F4)', async () => {
  const { client } = await open(body([words('stop'), ...pieces]), generating)
  await expect(client.generate('Hi')).rejects.toMatchObject({ failures: [{ reason: 'truncated' }] })
})

test('an error whose page does not end is told after a second', async () => {
  const busy = { ...body(['{"error":{"message":"slow '], 'open'), status: 429, contentType: 'application/json' }
  const { client, server } = await open(busy)
  const startedAt = performance.now()
  await expect(client.generate({ prompt: 'Hi', timeout: { firstChunkMs: 8_000 } })).rejects.toMatchObject({
    failures: [{ reason: 'rate-limit' }],
  })
  expect(performance.now() - startedAt).toBeLessThan(2_500)
  await server.untilAllClosed()
})

test('an answer that seemed to be over leaves nothing behind for the request that follows it', async ({ server }) => {
  const { promise: later, resolve: goOn } = Promise.withResolvers<void>()
  const thought = [chunk({ reasoning_content: 'Hm.' }), stop, event('[DONE]')]
  const target = await server([
    { ...body(thought), chunkEveryMs: 30 },
    { ...body([...text, stop, event('[DONE]')]), firstChunkUntil: later },
  ])
  const client = createClient({ chain: [services.deepseek(target.baseURL)] })
  onTestFinished(() => client.close())
  const answered = client.generate('Hi')
  await target.untilRequests(2)
  setTimeout(goOn, 1_300)
  expect(await answered).toMatchObject({
    ...it,
    warnings: [{ setting: 'reasoning' }],
    attempts: [{ outcome: 'failed' }, { outcome: 'answered' }],
  })
})

test('calls one after the other still share one connection', async () => {
  const { client, server } = await open(body([...text, stop, event('[DONE]')]))
  for (let call = 0; call < 5; call += 1) await client.generate('Hi')
  // the end of a body may be late once on a busy machine
  expect(new Set(server.requests.map(request => request.connection)).size).toBeLessThan(3)
})
