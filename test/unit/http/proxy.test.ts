import { request as forward } from 'node:http'
import { connect } from 'node:net'
import { beforeEach, expect, test, vi } from 'vitest'
import { httpServer, postAndCollect, rejection, tcpServer, testAttempt, testConnections, until } from './helpers.ts'

beforeEach(() => {
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'])
    vi.stubEnv(name, undefined)
  return () => vi.unstubAllEnvs()
})

/** A proxy to which every name means one server; it notes what it is asked. */
async function proxyTo(target: { readonly port: number }) {
  const asked: string[] = []
  const proxy = await httpServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const onward = forward(
      { port: target.port, method: request.method, path: new URL(request.url ?? '').pathname, headers: request.headers },
      answer => {
        response.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(response)
      },
    )
    request.pipe(onward)
  })
  proxy.onConnect((request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    const onward = connect(target.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => {})
  })
  return { asked, proxy, proxyUrl: `http://127.0.0.1:${proxy.port}` }
}

test('HTTP_PROXY is asked for plain http, with the whole URL', async () => {
  const server = await httpServer((request, response) => response.end(request.headers.host))
  const { asked, proxyUrl } = await proxyTo(server)
  vi.stubEnv('HTTP_PROXY', proxyUrl)
  const connections = testConnections()
  const { received, promise } = postAndCollect({ url: 'http://r1.test/generate', connections })
  await promise
  expect(received.text).toBe('r1.test')
  expect(asked).toEqual(['POST http://r1.test/generate'])
})

test('HTTPS_PROXY is asked for a tunnel to https, and the lower-case name wins', async () => {
  const first = Promise.withResolvers<number | undefined>()
  const server = await tcpServer(socket => socket.once('data', bytes => first.resolve(bytes[0])))
  const { asked, proxyUrl } = await proxyTo(server)
  vi.stubEnv('https_proxy', proxyUrl)
  vi.stubEnv('HTTPS_PROXY', 'http://127.0.0.1:1')
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: 'https://api.test/v1', attempt, connections: testConnections() })
  // a TLS handshake begins in the tunnel
  expect(await first.promise).toBe(22)
  expect(asked).toEqual(['CONNECT api.test:443'])
  attempt.abort('enough')
  expect(await rejection(promise)).toBe('enough')
})

test('NO_PROXY is honoured, and a model on this machine is never asked through a proxy', async () => {
  const server = await httpServer((_, response) => response.end('direct'))
  const { asked, proxyUrl } = await proxyTo(server)
  vi.stubEnv('HTTP_PROXY', proxyUrl)
  vi.stubEnv('NO_PROXY', 'internal.test, 127.0.0.2')
  const connections = testConnections()
  for (const host of ['127.0.0.1', 'localhost']) {
    const { received, promise } = postAndCollect({ url: `http://${host}:${server.port}/`, connections })
    await promise
    expect(received.text).toBe('direct')
  }
  // nothing answers there, but it is not the proxy that says so
  await rejection(postAndCollect({ url: 'http://127.0.0.2:1/', connections }).promise)
  expect(asked).toEqual([])
})

test('a proxy that refuses the tunnel is reason network and says so', async () => {
  const proxy = await httpServer(() => {})
  proxy.onConnect((_, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'))
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${proxy.port}`)
  const error = await rejection(postAndCollect({ url: 'https://api.test/v1', connections: testConnections() }).promise)
  expect(error).toMatchObject({
    reason: 'network',
    message: expect.stringContaining('Could not connect to https://api.test (Proxy response (403)'),
  })
})

test('a proxy that wants a password is reason network and says so', async () => {
  const proxy = await httpServer((_, response) => response.writeHead(407).end('who are you?'))
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`)
  const { received, promise } = postAndCollect({ url: 'http://r1.test/', connections: testConnections() })
  expect(await rejection(promise)).toMatchObject({ reason: 'network', message: expect.stringContaining('407') })
  expect(received.status).toBe(0)
})

test('an abort ends what is under way at the proxy: the tunnel that is asked for', async () => {
  const proxy = await httpServer(() => {})
  let asked = false
  proxy.onConnect((_, socket) => {
    asked = true
    socket.resume().on('end', () => socket.end())
  })
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${proxy.port}`)
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: 'https://api.test/v1', attempt, connections: testConnections() })
  await until(() => asked)
  attempt.abort('enough')
  expect(await rejection(promise)).toBe('enough')
  await proxy.idle()
})

test('an abort ends what is under way at the proxy: a connection to it that never comes about', async () => {
  const proxy = await tcpServer(socket => void socket.resume())
  vi.stubEnv('HTTPS_PROXY', `https://localhost:${proxy.port}`)
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: 'https://api.test/v1', attempt, connections: testConnections() })
  await until(() => proxy.sockets.size === 1)
  attempt.abort('enough')
  expect(await rejection(promise)).toBe('enough')
  await proxy.idle()
})

test('a proxy that is no URL is named, without its value, which may hold a password', async () => {
  vi.stubEnv('HTTPS_PROXY', 'secret@proxy')
  const error = await rejection(postAndCollect({ url: 'https://api.test/v1', connections: testConnections() }).promise)
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).message).toBe('HTTPS_PROXY is not a URL. Write one like http://proxy.internal:3128.')
})
