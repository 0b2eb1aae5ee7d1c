import { type IncomingMessage, type RequestListener, request as send } from 'node:http'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import type { Provider } from 'unbusy'
import { chatHandler } from 'unbusy/openai'
import { fakeTarget } from 'unbusy/testing'
import { expect } from 'vitest'
import { httpServer } from '../helpers/http-servers.ts'
import { test } from '../helpers/with-client.ts'

const listen = async (listener: RequestListener): Promise<string> => (await httpServer(listener)).origin

const path = '/v1/chat/completions'
const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] }
const post = (url: string, fields: object = body) =>
  fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(fields), headers: { 'x-request-id': 'mine-1' } })

test('node:http gets whole answers and streams, with the id of the request', async ({ client }) => {
  const url = await listen(chatHandler(client([fakeTarget(['Hello.'])])))
  const whole = await post(url)
  expect(await whole.json()).toMatchObject({ choices: [{ message: { content: 'Hello.' } }] })
  expect(whole.headers.get('x-request-id')).toBe('mine-1')
  const stream = await post(url, { ...body, stream: true })
  expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  expect((await stream.text()).endsWith('data: [DONE]\n\n')).toBe(true)
})

test('a body that a framework has read is taken, below any path; other paths go on', async ({ client }) => {
  const handler = chatHandler(client([fakeTarget(['Hello.'])]))
  const url = await listen((request, response) => {
    void text(request).then(read => {
      Object.assign(request, {
        body: read === '' ? undefined : (JSON.parse(read) as unknown),
        originalUrl: `/api${request.url}`,
        url: '/',
      })
      handler(request, response, () => response.writeHead(418).end())
    })
  })
  expect(await (await post(url)).json()).toMatchObject({ choices: [{ message: { content: 'Hello.' } }] })
  expect((await fetch(`${url}/teapot`)).status).toBe(418)
  expect((await fetch(`${url}/v1/embeddings`, { method: 'POST', body: '{}' })).status).toBe(404)
})

test('what parsers leave is read: bytes, and {} of Express 4 where none was responsible', async ({ client }) => {
  const errors: unknown[] = []
  const handler = chatHandler(client([fakeTarget(['Hello.', 'Hello.'])]), { onError: error => errors.push(error) })
  const bytes = await listen((request, response) => {
    void buffer(request).then(read => handler(Object.assign(request, { body: read }), response))
  })
  const unread = await listen((request, response) => handler(Object.assign(request, { body: {} }), response))
  for (const url of [bytes, unread])
    expect(await (await post(url)).json()).toMatchObject({ choices: [{ message: { content: 'Hello.' } }] })
  const gone = await listen((request, response) => void buffer(request).then(() => handler(request, response)))
  expect((await post(gone)).status).toBe(500)
  expect(String(errors)).toBe('TypeError: chatHandler: the body was read before, and request.body does not have it.')
})

test('a body without end is a 413, and is not read for long', async ({ client }) => {
  const url = await listen(chatHandler(client([fakeTarget(['Hello.'])]), { maxBodyBytes: 1_000 }))
  const request = send(`${url}${path}`, { method: 'POST' })
  request.on('error', () => {})
  const more = setInterval(() => request.write('x'.repeat(1_000)), 20)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(413)
  response.resume()
  await once(request, 'close')
  clearInterval(more)
})

test('what is ready goes out in one write', async ({ client }) => {
  const writes: string[] = []
  const handler = chatHandler(client([fakeTarget([{ text: Array.from({ length: 27 }, (_, index) => `word${index} `) }])]))
  const url = await listen((request, response) => {
    const write = response.write.bind(response)
    response.write = ((chunk: string) => {
      writes.push(chunk)
      return write(chunk)
    }) as typeof response.write
    handler(request, response)
  })
  await (await post(url, { ...body, stream: true })).text()
  expect(writes.length).toBeLessThanOrEqual(2)
})

test('a client that leaves ends the request upstream, before and after the first content', async ({ client }) => {
  for (const reply of [{ hang: true }, { text: ['One', 'two'], hangAfterChunks: 1 }]) {
    const target = fakeTarget([reply])
    const url = await listen(chatHandler(client([target])))
    const request = send(`${url}${path}`, { method: 'POST' })
    request.on('error', () => {})
    request.end(JSON.stringify({ ...body, stream: true }))
    await expect.poll(() => target.provider.calls.length).toBe(1)
    request.destroy()
    await expect.poll(() => target.provider.calls[0]?.outcome).toBe('aborted')
  }
})

test('a reader that is slow makes the upstream wait, and is not buffered for', async ({ client }) => {
  const long = 'x'.repeat(16 * 1024)
  const count = 4_000
  let emitted = 0
  const provider: Provider = {
    name: 'long',
    async stream(_, { emit, onDrain }) {
      for (; emitted < count; emitted += 1) {
        if (!emit({ type: 'text-delta', text: long })) await new Promise<void>(resolve => onDrain(resolve))
      }
      emit({ type: 'finish', finishReason: 'stop' })
    },
  }
  const url = await listen(chatHandler(client([{ provider, model: 'm' }])))
  const request = send(`${url}${path}`, { method: 'POST' })
  request.end(JSON.stringify({ ...body, stream: true }))
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let before = -1
  await expect.poll(() => emitted === before || ((before = emitted), false), { interval: 200 }).toBe(true)
  // sockets hold some megabytes of the 64
  expect(emitted).toBeLessThan(count / 4)
  let size = 0
  for await (const piece of response as AsyncIterable<Buffer>) size += piece.byteLength
  expect(size).toBeGreaterThan(count * long.length)
})
