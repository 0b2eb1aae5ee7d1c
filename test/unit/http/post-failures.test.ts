import type { LookupFunction, Socket } from 'node:net'
import { Agent } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import { post } from '../../../src/http/post.ts'
import {
  freePort,
  httpServer,
  postAndCollect,
  rawResponse,
  rejection,
  tcpServer,
  testAttempt,
  testConnections,
} from '../../helpers/http-servers.ts'

const secretPath = '/generate?prompt=secret'

/** Sends one request to a server that does this with the connection when the request has come. */
async function failureOf(respond: (socket: Socket) => void) {
  const server = await tcpServer(socket => socket.once('data', () => respond(socket)))
  const attempt = testAttempt()
  const { received, promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  const error = await rejection(promise)
  await server.idle()
  expect(received.ended).toBe(false)
  expect(server.connections()).toBe(1)
  expect(error).toBeInstanceOf(ProviderError)
  return error as ProviderError
}

test('a port on which nothing listens is reason network, with the system error as its cause', async () => {
  const url = `http://127.0.0.1:${await freePort()}${secretPath}`
  const error = (await rejection(postAndCollect({ url, connections: testConnections() }).promise)) as ProviderError
  expect(error).toMatchObject({ reason: 'network', status: undefined, cause: { code: 'ECONNREFUSED' } })
  expect(error.message).toMatch(/^Could not connect to http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)\. Nothing listens there/)
})

test('a name that is not known is reason network and says what to check', async () => {
  const lookup: LookupFunction = (name, _, callback) =>
    callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '')
  const dispatcher = new Agent({ connect: { lookup } })
  const connections = testConnections({ dispatcher })
  const error = await rejection(postAndCollect({ url: 'http://no.such.host/v1', connections }).promise)
  expect(error).toMatchObject({ reason: 'network', message: expect.stringContaining('Check the base URL') })
})

test('http spoken to by TLS is reason network and says what to write', async () => {
  const server = await tcpServer(socket => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
  const url = server.url.replace('http:', 'https:')
  const error = await rejection(postAndCollect({ url, connections: testConnections() }).promise)
  expect(error).toMatchObject({
    reason: 'network',
    message: expect.stringContaining('Check whether the URL must begin with http://'),
  })
  expect(server.connections()).toBe(1)
})

test.each([
  ['closed', (socket: Socket) => socket.end()],
  ['reset', (socket: Socket) => socket.resetAndDestroy()],
  ['closed in the status line', (socket: Socket) => socket.end('HTTP/1.1 20')],
  ['reset after a hint', (socket: Socket) => socket.write('HTTP/1.1 103 E\r\n\r\n', () => socket.resetAndDestroy())],
])(
  'a fresh connection that is %s before the headers is reason network, and the request is not sent twice (R130)',
  async (_, respond) => {
    const error = await failureOf(respond)
    expect(error).toMatchObject({ reason: 'network', status: undefined })
    expect(error.message).toContain('was lost before an answer came')
    expect(error.cause).toBeInstanceOf(Error)
  },
)

const chunkedHead = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n'
test.each([
  ['chunked body is closed', `${chunkedHead}\r\n5\r\nhello\r\n`, 'end'],
  ['chunked body is reset', `${chunkedHead}\r\n5\r\nhello\r\n`, 'resetAndDestroy'],
  ['chunked body on a connection of its own is closed', `${chunkedHead}connection: close\r\n\r\n5\r\nhello\r\n`, 'end'],
  ['body is shorter than its length', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello', 'end'],
  [
    'body is shorter than its length on a connection of its own',
    'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhello',
    'end',
  ],
  ['body without a length is reset', 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello', 'resetAndDestroy'],
  ['body has not begun', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n', 'resetAndDestroy'],
] as const)('%s: reason truncated, whatever the status was (R38)', async (_, bytes, how) => {
  const error = await failureOf(socket => socket.write(bytes, () => setTimeout(() => socket[how](), 20)))
  expect(error).toMatchObject({ reason: 'truncated', status: 200 })
  expect(error.cause).toBeInstanceOf(Error)
})

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['a broken chunk', `${chunkedHead}\r\nzz\r\nsecret\r\n`],
  ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`],
])('%s is reason malformed-response, without the bytes', async (_, bytes) => {
  const error = await failureOf(socket => void socket.write(bytes))
  expect(error.reason).toBe('malformed-response')
  expect(error.cause).not.toHaveProperty('data')
})

test.each([
  ['chunked, then a length', `${chunkedHead}content-length: 9\r\n\r\n`, '5\r\nhello\r\n0\r\n\r\n'],
  [
    'a length, then chunked',
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n', 'hello'],
  ['a list of lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n', 'hello'],
  ['chunked and a length, in a refusal', 'HTTP/1.1 503 X\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n', '5\r\n'],
])(
  'F31: %s is malformed-response and says so, in one packet, with headers alone, and cut in their middle',
  async (_, head, body) => {
    for (const parts of [[head + body], [head, body], [head.slice(0, -30), head.slice(-30), body]]) {
      const error = await failureOf(socket => writeParts(socket, parts))
      expect(error).toMatchObject({ reason: 'malformed-response', message: expect.stringContaining('two lengths') })
      expect(error.cause).not.toHaveProperty('data')
    }
  },
)

/** Each part in a packet of its own. */
function writeParts(socket: Socket, [first = '', ...rest]: readonly string[]): void {
  socket.setNoDelay(true)
  socket.write(first, () => setTimeout(() => rest.length > 0 && writeParts(socket, rest), 10))
}

test('a refusal whose text is cut is still that refusal: status and headers say what to do', async () => {
  const bytes = 'HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 99\r\n\r\n{"error'
  const server = await tcpServer(socket => socket.once('data', () => socket.end(bytes)))
  const promise = post({
    url: server.url,
    headers: {},
    body: '',
    attempt: testAttempt(),
    connections: testConnections(),
    respond: (status, headers) => ({
      write: () => true,
      end() {
        throw new ProviderError('refused', { reason: 'rate-limit', status, retryAfterMs: Number(headers['retry-after']) * 1000 })
      },
    }),
  })
  expect(await rejection(promise)).toMatchObject({ reason: 'rate-limit', status: 429, retryAfterMs: 7000 })
})

test('undici is told to set no limit of its own: local models were lost to its 300 s (R89)', async () => {
  const server = await httpServer((_, response) => response.end('ok'))
  const limits: unknown[] = []
  const agent = new Agent()
  onTestFinished(() => agent.destroy())
  const dispatcher = agent.compose(dispatch => (options, handler) => {
    limits.push(options.headersTimeout, options.bodyTimeout)
    return dispatch(options, handler)
  })
  await postAndCollect({ url: server.url, connections: testConnections({ dispatcher }) }).promise
  expect(limits).toEqual([0, 0])
})

test('a body over the bound is reason malformed-response, and the connection is closed', async () => {
  const server = await httpServer((_, response) => {
    response.write('x'.repeat(2000))
  })
  const { received, promise } = postAndCollect({ url: server.url, maxBodyBytes: 1024, connections: testConnections() })
  expect(await rejection(promise)).toMatchObject({
    reason: 'malformed-response',
    message: expect.stringContaining('larger than 0.001 MiB'),
  })
  expect(received.text).toBe('')
  await server.idle()
})

test.each([
  ['a URL that is none', 'api.deepseek.com/v1', {}, '"api.deepseek.com/v1" is not an absolute URL. Write one like https:'],
  ['another protocol', 'ftp://host/', {}, 'cannot be sent to a URL that begins with ftp:'],
  ['a password in the URL', 'http://me:secret@host/', {}, 'a user name or a password. Put them in a header'],
  [
    'a line break in a key',
    'http://host/',
    { authorization: 'Bearer secret\n' },
    'The header authorization contains a line break at position 13',
  ],
  [
    'a typographic quote in a key',
    'http://host/',
    { 'x-key': '“secret”' },
    'The header x-key contains a character outside of Latin-1 at position 0',
  ],
  ['a NUL', 'http://host/', { 'x-key': 'secret\0' }, 'contains a control character at position 6'],
  [
    'a header that undici keeps for itself',
    'http://host/',
    { 'transfer-encoding': 'secret' },
    'invalid transfer-encoding header',
  ],
])('%s is refused before anything is sent, with what to write and without the value', async (_, url, headers, message) => {
  const error = await rejection(postAndCollect({ url, headers, connections: testConnections() }).promise)
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).message).toContain(message)
  expect((error as Error).message).not.toContain('secret')
})

test('no message names the path or the query, which may hold the prompt', async () => {
  for (const bytes of [
    '',
    'garbage\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello',
    rawResponse('x'.repeat(2000)),
  ]) {
    const server = await tcpServer(socket => socket.once('data', () => socket.end(bytes)))
    const url = `http://127.0.0.1:${server.port}${secretPath}`
    const error = await rejection(postAndCollect({ url, maxBodyBytes: 1024, connections: testConnections() }).promise)
    expect((error as Error).message).not.toMatch(/secret|generate/)
  }
})
