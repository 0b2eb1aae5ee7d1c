import { expect } from 'vitest'
import { z } from 'zod'
import { createClient, deepseek } from 'unbusy'
import { answer, fakeTarget, hold } from 'unbusy/testing'
import { fromResponse } from 'unbusy/browser'
import { startEndlessModel } from '../helpers/endless-model.ts'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'test' }

async function all<Event>(events: AsyncIterable<Event>): Promise<readonly Event[]> {
  const list: Event[] = []
  for await (const event of events) list.push(event)
  return list
}

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value)
}

test('server-sent events are the events of the stream, one for one, and fromResponse() gives them back', async ({ server }) => {
  const reply = answer(['Once ', 'upon\n\na ', 'time. 🚀'], {
    reasoning: ['Hm.'],
    toolCalls: [{ toolName: 'look', input: { at: 'x' } }],
  })
  const input = { prompt: 'Hi', tools: { look: { inputSchema: z.object({ at: z.string() }) } } }
  // a server of its own for each, because its ids count requests
  const stream = async () => {
    const { baseURL } = await server(reply)
    return createClient({ chain: [deepseek({ baseURL, ...key })] }).stream(input)
  }
  const expected = (await all(await stream())).map(event => JSON.parse(JSON.stringify(event)) as unknown)
  expect(expected.length).toBeGreaterThan(6)
  const body = await (await stream()).toResponse().text()
  expect(body).toBe(expected.map(event => `data: ${JSON.stringify(event)}\n\n`).join(''))
  expect(await all(fromResponse((await stream()).toResponse()))).toEqual(expected)
})

test('status and headers', async () => {
  const client = createClient({ chain: [fakeTarget('Hi.')] })
  const sse = (await client.stream('Hi')).toResponse({ headers: { 'x-call': '7', 'cache-control': 'no-store' } })
  expect([sse.status, Object.fromEntries(sse.headers)]).toEqual([
    200,
    {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-call': '7',
    },
  ])
  const text = (await client.stream('Hi')).toResponse({ format: 'text', headers: new Headers({ 'x-call': '7' }) })
  expect(Object.fromEntries(text.headers)).toEqual({
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
    'x-call': '7',
  })
  expect(await text.text()).toBe('Hi.')
})

test('a break is told by an error event with the reason only, and no finish', async ({ server }) => {
  const error = { error: { message: 'secret of sk-1', type: 'server_error' } }
  const { baseURL } = await server(answer(['Hello', ' wor'], { errorAfterChunks: 2, error }))
  const client = createClient({ chain: [deepseek({ baseURL, ...key })] })
  const body = await (await client.stream('Hi')).toResponse().text()
  expect(body.trim().split('\n\n').at(-1)).toBe('data: {"type":"error","reason":"server-error"}')
  expect(body).not.toContain('finish')
  expect(body).not.toContain('secret')

  const events = fromResponse((await client.stream('Hi')).toResponse())
  let text = ''
  const reading = (async () => {
    for await (const event of events) if (event.type === 'text-delta') text += event.text
  })()
  await expect(reading).rejects.toMatchObject({ name: 'ResponseError', reason: 'server-error', status: 200 })
  expect(text).toBe('Hello wor')
  expect(await events.next()).toEqual({ done: true, value: undefined })
})

test('a break as text errors the body, so that half an answer is not taken for a whole one', async () => {
  const client = createClient({ chain: [fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 })] })
  const reader = (await client.stream('Hi')).toResponse({ format: 'text' }).body!.getReader()
  expect(await readText(reader)).toBe('Hello wor')
  await expect(reader.read()).rejects.toMatchObject({ name: 'StreamInterruptedError' })
})

test('an answer that begins anew after text errors the body of plain text, and is an event in the other format', async () => {
  const chain = () => [
    fakeTarget({ text: ['Half'], cutAfterChunks: 1 }, { name: 'broken' }),
    fakeTarget('Whole.', { name: 'good' }),
  ]
  const texts = createClient({ chain: chain(), afterFirstToken: 'restart', retry: 0 })
  const text = (await texts.stream('Hi')).toResponse({ format: 'text' })
  await expect(text.text()).rejects.toThrow('began again')
  const events = createClient({ chain: chain(), afterFirstToken: 'restart', retry: 0 })
  const types = (await all(fromResponse((await events.stream('Hi')).toResponse()))).map(({ type }) => type)
  expect(types).toEqual(['text-delta', 'restart', 'text-delta', 'finish'])
})

test('reasoning that began anew takes no text back', async () => {
  const thinker = fakeTarget({ reasoning: ['Hm'], text: ['x'], cutAfterChunks: 1 }, { name: 'thinker' })
  const client = createClient({ chain: [thinker, fakeTarget('Whole.', { name: 'good' })], retry: 0 })
  expect(await (await client.stream('Hi')).toResponse({ format: 'text' }).text()).toBe('Whole.')
})

test('the default response is sent whole', async () => {
  const client = createClient({ chain: [fakeTarget({ error: 'quota' })], defaultResponse: 'Later.' })
  expect(await (await client.stream('Hi')).toResponse({ format: 'text' }).text()).toBe('Later.')
  const types = (await all(fromResponse((await client.stream('Hi')).toResponse()))).map(({ type }) => type)
  expect(types).toEqual(['text-delta', 'finish'])
})

test('an abort and close() of the client are told as aborted, a bug of ours as internal', async ({ server }) => {
  const gate = hold()
  const { baseURL } = await server(answer(['Hello', ' world'], { stallAfterChunks: 1, stallUntil: gate.released }))
  const client = createClient({ chain: [deepseek({ baseURL, ...key })] })
  const leaving = new AbortController()
  const first = (await client.stream({ prompt: 'Hi', signal: leaving.signal })).toResponse().text()
  leaving.abort(new Error('secret'))
  expect(await first).toMatch(/data: \{"type":"error","reason":"aborted"\}\n\n$/)
  const second = (await client.stream('Hi')).toResponse().text()
  await client.close()
  expect(await second).toMatch(/data: \{"type":"error","reason":"aborted"\}\n\n$/)
  gate.release()

  const big = createClient({ chain: [fakeTarget({ toolCalls: [{ toolName: 'big', input: { n: '1' } }] })] })
  const tools = { big: { inputSchema: z.object({ n: z.string().transform(BigInt) }) } }
  // JSON has no word for a BigInt
  expect(await (await big.stream({ prompt: 'Hi', tools })).toResponse().text()).toMatch(/"reason":"internal"\}\n\n$/)
})

test('a cancel ends the request to the provider at once, also while nothing comes', async ({ server, events }) => {
  const { baseURL, ...model } = await server(answer(['Hello', ' world'], { stallAfterChunks: 1 }))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key })], onEvent: events.listener })
  const reader = (await client.stream('Hi')).toResponse().body!.getReader()
  await reader.read()
  const pending = reader.read()
  await reader.cancel()
  expect(await pending).toEqual({ done: true, value: undefined })
  await expect.poll(() => model.openConnections()).toBe(0)
  expect(events.attempts().map(({ outcome }) => outcome)).toEqual(['abandoned'])
})

test('leaving the loop over fromResponse() closes the connection', async ({ server }) => {
  const { baseURL, ...model } = await server(answer(['Hello', ' world'], { stallAfterChunks: 1 }))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key })] })
  for await (const event of fromResponse((await client.stream('Hi')).toResponse())) if (event.type === 'text-delta') break
  await expect.poll(() => model.openConnections()).toBe(0)
})

test('a body that nobody reads pauses the provider: of 100 MB a few are sent, and nothing after a cancel', async () => {
  await using model = await startEndlessModel(100e6)
  await using client = createClient({ chain: [deepseek({ baseURL: model.baseURL, ...key })] })
  const reader = (await client.stream('Talk.')).toResponse().body!.getReader()
  await reader.read()
  await standsStill(model.sent)
  expect(model.sent()).toBeLessThan(10e6)
  await reader.cancel()
  expect(await model.over).toBeLessThan(10e6)
})

/** Resolves when a number has not changed for a while. */
async function standsStill(read: () => number): Promise<void> {
  for (let before = -1; before !== read();) {
    before = read()
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

test('what is ready goes out in one piece, and of a value that grows only the last state', async () => {
  const text = ['{"a', '":"', 'x', 'y', 'z', '"}']
  const client = createClient({ chain: [fakeTarget({ text })] })
  const stream = await client.stream({ prompt: 'Hi', output: z.object({ a: z.string() }) })
  const reader = stream.toResponse().body!.getReader()
  await stream.result().catch(() => {})
  const piece = await readText(reader)
  expect(piece.match(/text-delta/g)).toHaveLength(text.length)
  expect(piece.match(/partial-output.*/g)).toEqual([expect.stringContaining('"xyz"')])
})

test('comments go out while nothing else does, one at a time', async ({ clock }) => {
  const slow = fakeTarget({ text: ['Hello', ' world'], chunkEveryMs: 50_000 })
  const client = createClient({ chain: [slow], clock })
  const stream = await clock.until(client.stream('Hi'))
  const reader = stream.toResponse({ keepAliveMs: 15_000 }).body!.getReader()
  const read = () => clock.until(readText(reader))
  expect(await read()).toContain('Hello')
  const from = clock.now()
  expect([await read(), await read(), await read()]).toEqual([':\n\n', ':\n\n', ':\n\n'])
  expect(clock.now() - from).toBe(45_000)
  expect(await read()).toContain(' world')

  const quiet = (await clock.until(client.stream('Hi'))).toResponse({ format: 'text', keepAliveMs: 15_000 })
  expect(await clock.until(quiet.text())).toBe('Hello world')
})

test('fromResponse() reads bytes that were split anywhere, and passes over what it does not know', async () => {
  const bytes = new TextEncoder().encode(
    ': hello\n\nevent: x\nid: 1\ndata: {"type":"text-delta","text":"a 🚀"}\r\n\r\ndata:{"type":"finish","finishReason":"stop"}\n\ndata: {"type":"late"}\n\n',
  )
  for (const size of [1, 2, 3, 7, 1_000]) {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size))
        controller.close()
      },
    })
    const response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    expect(await all(fromResponse(response))).toEqual([
      { type: 'text-delta', text: 'a 🚀' },
      { type: 'finish', finishReason: 'stop' },
    ])
  }
})

test('a body that ends or errors before finish is truncated', async () => {
  const headers = { 'content-type': 'text/event-stream' }
  const half = new Response('data: {"type":"text-delta","text":"a"}\n\n', { headers })
  const failing = new ReadableStream({ pull: controller => controller.error(new Error('network')) })
  for (const response of [half, new Response(failing, { headers }), new Response(null, { headers })]) {
    const error: unknown = await all(fromResponse(response)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'ResponseError', status: 200 })
  }
})

test.for<[string, number | undefined]>([
  ['7', 7_000],
  ['', undefined],
  ['soon', undefined],
  [new Date(Date.now() + 3_600_000).toUTCString(), expect.closeTo(3_600_000, -5) as number],
])('a response that is no stream of events says its status and Retry-After %j', async ([after, retryAfterMs]) => {
  const busy = Response.json({ error: 'busy' }, { status: 503, headers: { 'retry-after': after } })
  const error: unknown = await fromResponse(busy)
    .next()
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: 'ResponseError', status: 503, retryAfterMs, reason: undefined })
  // what it says can still be read
  expect(await busy.json()).toEqual({ error: 'busy' })
})

test('wrong options are a TypeError, and the stream can still be read', async () => {
  const stream = await createClient({ chain: [fakeTarget('Hi.')] }).stream('Hi')
  const wrong: readonly [unknown, string][] = [
    [{ format: 'json' }, "stream.toResponse: format must be one of 'sse', 'text'"],
    [{ headers: 'x' }, "stream.toResponse: headers must be an object like { 'x-name': 'value' }, or Headers, not a string."],
    [{ headers: { 'x y': 'sk-secret' } }, 'stream.toResponse: headers contains a name or a value that HTTP does not allow'],
    [{ keepAliveMs: 0 }, 'stream.toResponse: keepAliveMs must be above 0'],
    [{ keepAlive: 5 }, "stream.toResponse: there is no option 'keepAlive'. Did you mean 'keepAliveMs'?"],
    ['sse', 'stream.toResponse: options must be an object'],
  ]
  for (const [options, message] of wrong) expect(() => stream.toResponse(options as object)).toThrow(message)
  expect(() => stream.toResponse({ headers: { 'x y': 'sk-secret' } })).not.toThrow('sk-secret')
  expect(await stream.toResponse().text()).toContain('Hi.')
  expect(() => stream.toResponse()).toThrow('This stream is already being read.')
})

test('an event that is no JSON is told as such behind those before it, and closes the connection', async () => {
  const sent = (body: string) => {
    const cancelled = Promise.withResolvers<void>()
    const stream = new ReadableStream({
      start: controller => controller.enqueue(new TextEncoder().encode(body)),
      cancel: () => cancelled.resolve(),
    })
    return { response: new Response(stream, { headers: { 'content-type': 'text/event-stream' } }), cancelled: cancelled.promise }
  }
  const event = 'data: {"type":"text-delta","text":"a"}\n\n'
  const broken = sent(`${event}data: {"type":"text-\n\n${event}`)
  const shown: string[] = []
  const read = async () => {
    for await (const { type } of fromResponse(broken.response)) shown.push(type)
  }
  await expect(read()).rejects.toMatchObject({ name: 'ResponseError', reason: 'malformed-response', status: 200 })
  expect(shown).toEqual(['text-delta'])
  await broken.cancelled
  // behind the finish nothing is read: some gateways add a line of their own
  const types = (await all(fromResponse(sent(`${event}data: {"type":"finish"}\n\ndata: [DONE]\n\n`).response))).map(
    ({ type }) => type,
  )
  expect(types).toEqual(['text-delta', 'finish'])
})

test('fromResponse(): reads that are asked for at once get the events in their order, wherever the pieces end', async () => {
  const body = '123456'
    .replaceAll(/./g, digit => `data: {"type":"text-delta","text":"${digit}"}\n\n`)
    .concat('data: {"type":"finish"}\n\n')
  const pieces = body.match(/[^]{1,50}/g) ?? []
  const encoder = new TextEncoder()
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = pieces.shift()
      await Promise.resolve()
      if (piece === undefined) controller.close()
      else controller.enqueue(encoder.encode(piece))
    },
  })
  const events = fromResponse(new Response(stream, { headers: { 'content-type': 'text/event-stream' } }))
  const reads = await Promise.all(Array.from({ length: 9 }, async () => events.next()))
  const texts = reads.map(({ value }) => (value?.type === 'text-delta' ? value.text : value?.type))
  expect(texts).toEqual(['1', '2', '3', '4', '5', '6', 'finish', undefined, undefined])
})

test('fromResponse(): what is no response is named at once, and JSON that is no event is malformed', async () => {
  for (const wrong of [Promise.resolve(new Response('')), undefined, null, {}, 'data: {}'])
    expect(() => fromResponse(wrong as Response)).toThrow(
      new TypeError('Write fromResponse(await fetch(url)): the argument is not a Response.'),
    )
  for (const line of ['5', 'null', '"text"', '{}']) {
    const response = new Response(`data: ${line}\n\n`, { headers: { 'content-type': 'text/event-stream' } })
    await expect(fromResponse(response).next()).rejects.toMatchObject({ reason: 'malformed-response' })
  }
})
