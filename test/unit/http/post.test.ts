import { expect, test } from 'vitest'
import { post } from '../../../src/http/post.ts'
import {
  httpServer,
  postAndCollect,
  rawResponse,
  rejection,
  tcpServer,
  testAttempt,
  testConnections,
} from '../../helpers/http-servers.ts'

test('sends method, path, query, headers and body, and asks for an uncompressed answer', async () => {
  const seen: unknown[] = []
  const server = await httpServer(async (request, response) => {
    const body = (await request.toArray()).join('')
    const { authorization, 'accept-encoding': encoding, 'content-length': length } = request.headers
    seen.push({ method: request.method, path: request.url, authorization, encoding, length, body })
    response.end('ok')
  })
  const connections = testConnections()
  const headers = { authorization: 'Bearer k' }
  await postAndCollect({ url: `${server.url}?a=b%20c`, headers, body: '{"ä":1}', connections }).promise
  await postAndCollect({ url: server.url, headers, method: 'GET', connections }).promise
  expect(seen).toEqual([
    { method: 'POST', path: '/chat?a=b%20c', authorization: 'Bearer k', encoding: 'identity', length: '8', body: '{"ä":1}' },
    { method: 'GET', path: '/chat', authorization: 'Bearer k', encoding: 'identity', length: undefined, body: '' },
  ])
})

test('a header of the caller wins over the encoding that is asked for', async () => {
  const server = await httpServer((request, response) => response.end(request.headers['accept-encoding']))
  const { received, promise } = postAndCollect({
    url: server.url,
    headers: { 'Accept-Encoding': 'gzip' },
    connections: testConnections(),
  })
  await promise
  expect(received.text).toBe('gzip')
})

test('tells connecting, sent and headers in this order, then hands the body to the reader that was chosen', async () => {
  const server = await httpServer((_, response) => {
    response.writeHead(201, { 'x-request-id': 'r1' })
    response.end('hello')
  })
  const attempt = testAttempt()
  const { received, promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  expect(attempt.events).toEqual(['connecting'])
  await promise
  expect(attempt.events).toEqual(['connecting', 'sent', 'headers'])
  expect(received).toMatchObject({ status: 201, headers: { 'x-request-id': 'r1' }, text: 'hello', ended: true })
})

test.each([
  ['with content-length', rawResponse('hello')],
  ['chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'],
  ['that ends with the connection', 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello'],
  ['after an early hint', `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${rawResponse('hello')}`],
])('reads a body %s', async (_, bytes) => {
  const server = await tcpServer(socket => socket.once('data', () => socket.end(bytes)))
  const attempt = testAttempt()
  const { received, promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  await promise
  expect(received).toMatchObject({ status: 200, text: 'hello', ended: true })
  expect(attempt.events).toEqual(['connecting', 'sent', 'headers'])
})

test('puts characters together that were cut anywhere on the way', async () => {
  const text = 'aä€😀'
  const server = await tcpServer(socket => {
    socket.setNoDelay(true)
    socket.once('data', async () => {
      socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n')
      for (const byte of Buffer.from(text)) {
        socket.write(Buffer.of(byte))
        await new Promise(resolve => setImmediate(resolve))
      }
      socket.end()
    })
  })
  const { received, promise } = postAndCollect({ url: server.url, connections: testConnections() })
  await promise
  expect(received.text).toBe(text)
})

test('a character that the body cuts off for good becomes U+FFFD', async () => {
  const server = await httpServer((_, response) => response.end(Buffer.from('a€').subarray(0, 3)))
  const { received, promise } = postAndCollect({ url: server.url, connections: testConnections() })
  await promise
  expect(received.text).toBe('a\uFFFD')
})

test('a redirect is an answer like any other: it is not followed, and the key goes nowhere', async () => {
  const elsewhere = await httpServer((_, response) => response.end('stolen'))
  const server = await httpServer((_, response) => response.writeHead(307, { location: elsewhere.url }).end('moved'))
  const { received, promise } = postAndCollect({
    url: server.url,
    headers: { authorization: 'k' },
    connections: testConnections(),
  })
  await promise
  expect(received).toMatchObject({ status: 307, text: 'moved' })
  expect(elsewhere.connections()).toBe(0)
})

test('rejects with exactly what the reader throws, and closes the connection', async () => {
  const server = await httpServer((_, response) => {
    response.write('first')
  })
  const connections = testConnections()
  for (const at of ['respond', 'write'] as const) {
    const error = new Error(at)
    const promise = post({
      url: server.url,
      headers: {},
      body: '',
      attempt: testAttempt(),
      connections,
      respond() {
        if (at === 'respond') throw error
        return {
          write() {
            throw error
          },
          end() {},
        }
      },
    })
    expect(await rejection(promise)).toBe(error)
    await server.idle()
  }
  expect(server.connections()).toBe(2)
})

test('rejects with what the reader throws at the end, and keeps the connection, which did nothing wrong', async () => {
  const server = await httpServer((_, response) => response.end('{}'))
  const connections = testConnections()
  const error = new Error('no answer')
  const respond = () => ({
    write: () => true,
    end() {
      throw error
    },
  })
  expect(await rejection(postAndCollect({ url: server.url, connections, respond }).promise)).toBe(error)
  // undici gives a connection back one turn after its answer
  await new Promise(resolve => setImmediate(resolve))
  await postAndCollect({ url: server.url, connections }).promise
  expect(server.connections()).toBe(1)
})

test('rejects with what a listener of its events throws', async () => {
  const server = await httpServer((_, response) => response.end('{}'))
  for (const type of ['connecting', 'sent', 'headers'] as const) {
    const error = new Error(type)
    const attempt = testAttempt(event => {
      if (event.type === type) throw error
    })
    expect(await rejection(postAndCollect({ url: server.url, attempt, connections: testConnections() }).promise)).toBe(error)
  }
  await server.idle()
})

test('answers 1,000 requests at once on one set of connections (R116)', async () => {
  const server = await httpServer(async (request, response) => {
    response.write('data: ')
    response.end((await request.toArray()).join(''))
  })
  const connections = testConnections()
  const calls = Array.from({ length: 1000 }, (_, index) => postAndCollect({ url: server.url, body: `${index}`, connections }))
  await Promise.all(calls.map(call => call.promise))
  expect(calls.map(call => call.received.text)).toEqual(calls.map((_, index) => `data: ${index}`))
  await connections.close()
  await server.idle()
})

test('a header that is changed in the same object is sent as it is now; only a frozen object is remembered', async () => {
  const seen: unknown[] = []
  const server = await httpServer((request, response) => {
    seen.push(request.headers.authorization)
    response.end('ok')
  })
  const connections = testConnections()
  const headers = { authorization: 'Bearer old' }
  await postAndCollect({ url: server.url, headers, connections }).promise
  headers.authorization = 'Bearer new'
  await postAndCollect({ url: server.url, headers, connections }).promise
  expect(seen).toEqual(['Bearer old', 'Bearer new'])
})
