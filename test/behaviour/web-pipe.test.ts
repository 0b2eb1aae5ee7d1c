import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished } from 'vitest'
import { type AnswerStream, createClient, deepseek } from 'unbusy'
import { answer, fakeTarget, hold } from 'unbusy/testing'
import { close, listen, startEndlessModel } from '../helpers/endless-model.ts'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'test' }

type Web = { readonly url: string; readonly over: Promise<unknown> }

/** A server of node:http. `over`: how its first handler ended. */
async function web(handler: (response: ServerResponse, request: IncomingMessage) => Promise<unknown>): Promise<Web> {
  const over = Promise.withResolvers<unknown>()
  const server = createServer((incoming, response) => void handler(response, incoming).then(over.resolve, over.reject))
  const url = await listen(server)
  onTestFinished(() => close(server))
  return { url, over: over.promise }
}

/** A client that reads as much as it is told to, then nothing. */
async function slowClient(url: string): Promise<{ leave(): void }> {
  const asked = request(url)
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    asked.on('response', resolve).on('error', reject).end(),
  )
  await new Promise(resolve => response.once('data', resolve))
  response.pause()
  response.on('error', () => {})
  return { leave: () => asked.destroy() }
}

test('it sends events, sets status and headers, and resolves when the response has ended', async () => {
  const client = createClient({ chain: [fakeTarget({ text: ['Hel', 'lo.'] })] })
  const { url, over } = await web(async response => {
    response.statusCode = 404
    response.setHeader('access-control-allow-origin', '*')
    await (
      await client.stream('Hi')
    ).pipe(response, {
      headers: new Headers([
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ]),
    })
    return response.writableFinished
  })
  const response = await fetch(url)
  expect(response.status).toBe(200)
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'access-control-allow-origin': '*',
  })
  expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  const events = (await response.text()).trim().split('\n\n')
  expect(events.map(event => (JSON.parse(event.slice(6)) as { type: string }).type)).toEqual([
    'text-delta',
    'text-delta',
    'finish',
  ])
  expect(await over).toBe(true)
})

test('a head that was sent stays', async () => {
  const client = createClient({ chain: [fakeTarget('Hello.')] })
  const { url } = await web(async response => {
    response.writeHead(201, { 'content-type': 'text/x-mine' })
    response.write('> ')
    await (await client.stream('Hi')).pipe(response, { format: 'text' })
  })
  const response = await fetch(url)
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([201, 'text/x-mine', '> Hello.'])
})

test('a break: an error event and an orderly end, or as text a body that breaks off; it resolves all the same', async () => {
  for (const format of ['sse', 'text'] as const) {
    const client = createClient({ chain: [fakeTarget({ text: ['Hello', ' wor'], cutAfterChunks: 2 })] })
    const { url, over } = await web(async response => (await client.stream('Hi')).pipe(response, { format }))
    const body = (await fetch(url)).text()
    if (format === 'text') await expect(body).rejects.toThrow('terminated') // and not 'fetch failed': a part has come
    else expect(await body).toMatch(/"type":"error","reason":"truncated"\}\n\n$/)
    expect(await over).toBeUndefined()
  }
})

test('a client that leaves ends the request to the provider at once, and the pipe resolves', async ({ server, events }) => {
  const { baseURL, ...model } = await server(answer(['Hello', ' world'], { stallAfterChunks: 1 }))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key })], onEvent: events.listener })
  const { url, over } = await web(async response => (await client.stream('Hi')).pipe(response))
  const { leave } = await slowClient(url)
  expect(model.openConnections()).toBe(1)
  leave()
  expect(await over).toBeUndefined()
  await expect.poll(() => model.openConnections()).toBe(0)
  expect(events.attempts().map(({ outcome }) => outcome)).toEqual(['abandoned'])
})

test('a client that has left before the first content: nothing is sent, the request ends, and the pipe resolves', async ({
  server,
}) => {
  const gate = hold()
  const { baseURL, ...model } = await server(answer(['Hello', ' world'], { firstChunkUntil: gate.released, stallAfterChunks: 1 }))
  await using client = createClient({ chain: [deepseek({ baseURL, ...key })] })
  const { url, over } = await web(async response => {
    const closed = new Promise(resolve => response.once('close', resolve))
    const stream = client.stream('Hi')
    await closed
    gate.release()
    return (await stream).pipe(response)
  })
  const asked = request(url).end()
  asked.on('error', () => {})
  await model.untilRequests(1)
  asked.destroy()
  expect(await over).toBeUndefined()
  await expect.poll(() => model.openConnections()).toBe(0)
})

/** What everybody writes first. */
async function firstLoop(stream: AnswerStream, response: ServerResponse): Promise<void> {
  for await (const event of stream) response.write(`data: ${JSON.stringify(event)}\n\n`)
  response.end()
}

test('a slow client pauses the provider; the loop that everybody writes first has 100 MB in memory and pays for all of them', async () => {
  for (const way of ['pipe', 'loop'] as const) {
    await using model = await startEndlessModel(100e6)
    await using client = createClient({ chain: [deepseek({ baseURL: model.baseURL, ...key })] })
    let buffered = () => 0
    const { url, over } = await web(async response => {
      buffered = () => response.writableLength
      const stream = await client.stream('Talk.')
      return way === 'pipe' ? stream.pipe(response) : firstLoop(stream, response)
    })
    const { leave } = await slowClient(url)
    if (way === 'loop') {
      expect(await model.over).toBeGreaterThan(99e6)
      expect(buffered()).toBeGreaterThan(80e6)
      leave()
      await over
      continue
    }
    await standsStill(model.sent)
    expect(model.sent()).toBeLessThan(20e6)
    expect(buffered()).toBeLessThan(2e6)
    leave()
    expect(await model.over).toBeLessThan(20e6)
    await over
  }
})

test('the loop that everybody writes first reads on when the client has left; the pipe does not', async ({ server }) => {
  for (const way of ['pipe', 'loop'] as const) {
    const gate = hold()
    const { baseURL, ...model } = await server(
      answer(['Hello', ' world', '.'], { stallAfterChunks: 1, stallUntil: gate.released }),
    )
    await using client = createClient({ chain: [deepseek({ baseURL, ...key })] })
    let stream: AnswerStream | undefined
    const { url, over } = await web(async response => {
      stream = (await client.stream('Talk.')) as AnswerStream
      return way === 'pipe' ? stream.pipe(response) : firstLoop(stream, response)
    })
    const { leave } = await slowClient(url)
    leave()
    if (way === 'loop') {
      gate.release()
      await over
      expect(await stream!.text()).toBe('Hello world.')
    } else {
      await over
      await expect.poll(() => model.openConnections()).toBe(0)
      await expect(stream!.text()).rejects.toThrow('The reader left the stream.')
    }
  }
})

async function standsStill(read: () => number): Promise<void> {
  for (let before = -1; before !== read();) {
    before = read()
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

test('a slow client that catches up gets everything', async () => {
  await using model = await startEndlessModel(20e6)
  await using client = createClient({ chain: [deepseek({ baseURL: model.baseURL, ...key })] })
  const { url, over } = await web(async response => (await client.stream('Talk.')).pipe(response, { format: 'text' }))
  const response = await fetch(url)
  await standsStill(model.sent)
  const text = await response.text()
  expect(text.length).toBeGreaterThan(19e6)
  expect(text.replaceAll('word ', '')).toBe('')
  await over
})

test('comments go out while nothing else does, and none behind the end', async () => {
  const client = createClient({ chain: [fakeTarget({ text: ['Hello', ' world'], chunkEveryMs: 120 })] })
  const { url } = await web(async response => (await client.stream('Hi')).pipe(response, { keepAliveMs: 25 }))
  const body = await (await fetch(url)).text()
  const comments = body.match(/^:$/gm) ?? []
  expect(comments.length).toBeGreaterThanOrEqual(2)
  expect(comments.length).toBeLessThanOrEqual(5)
  expect(body).toMatch(/"type":"finish".*\n\n$/)
})

test('over HTTP/2 too', async () => {
  const client = createClient({ chain: [fakeTarget({ text: ['Hel', 'lo.'] })] })
  const server = createHttp2Server((_, response) => void client.stream('Hi').then(stream => stream.pipe(response)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    session.destroy()
    server.close()
  })
  const asked = session.request({ ':path': '/' })
  let body = ''
  for await (const piece of asked.setEncoding('utf8')) body += String(piece)
  expect(body).toMatch(/"text":"Hel".*\n\n.*"text":"lo\.".*\n\n.*"finish".*\n\n$/)
})

test('no listener and no timer is left on the response, but for errors that come late', async () => {
  const client = createClient({ chain: [fakeTarget('Hello.')] })
  const { url, over } = await web(async response => {
    const before = response.eventNames().map(name => [name, response.listenerCount(name)])
    await (await client.stream('Hi')).pipe(response, { keepAliveMs: 60_000 })
    response.emit('error', new Error('late'))
    return {
      before,
      after: response
        .eventNames()
        .filter(name => name !== 'error')
        .map(name => [name, response.listenerCount(name)]),
    }
  })
  await (await fetch(url)).text()
  const { before, after } = (await over) as { before: unknown[]; after: unknown[] }
  expect(after.filter(entry => !before.some(one => JSON.stringify(one) === JSON.stringify(entry)))).toEqual([])
})

test('what is no response of node:http is a TypeError that says what to write, and the stream can still be read', async () => {
  const stream = await createClient({ chain: [fakeTarget('Hi.')] }).stream('Hi')
  for (const wrong of [undefined, {}, new Response(), new WritableStream()]) {
    await expect(stream.pipe(wrong as never)).rejects.toThrow('stream.pipe: the argument must be the response of node:http')
  }
  const { url } = await web(async response => {
    await expect(stream.pipe(response, { format: 'json' as never })).rejects.toThrow('stream.pipe: format must be one of')
    await stream.pipe(response, { format: 'text' })
  })
  expect(await (await fetch(url)).text()).toBe('Hi.')
})

test.for(['setHeader', 'write'] as const)(
  'a response whose %s throws ends the request to the provider, and the application gets the error',
  async method => {
    await using model = await startEndlessModel(100e6)
    await using client = createClient({ chain: [deepseek({ baseURL: model.baseURL, ...key })] })
    const broken = new Error('a bug in a middleware')
    const fails = () => {
      throw broken
    }
    const { url, over } = await web(async response => {
      const stream = await client.stream('Talk.')
      await stream.pipe(Object.assign(response, { [method]: fails })).finally(() => response.destroy())
    })
    await Promise.all([expect(over).rejects.toBe(broken), expect(fetch(url)).rejects.toThrow('fetch failed')])
    expect(await model.over).toBeLessThan(99e6)
  },
)
