import { request as forward } from 'node:http'
import { connect } from 'node:net'
import { inspect } from 'node:util'
import { Agent, ProxyAgent } from 'undici'
import { createClient, openaiCompatible, ProviderError } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { beforeEach, expect, test, vi } from 'vitest'
import { tlsServer, trust } from '../../helpers/tls.ts'
import {
  freePort,
  httpServer,
  postAndCollect,
  rejection,
  tcpServer,
  testAttempt,
  testConnections,
  until,
} from '../../helpers/http-servers.ts'

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
    message: expect.stringContaining('Could not reach https://api.test through the proxy http://127.0.0.1:'),
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
  vi.stubEnv('HTTPS_PROXY', 'ftp://user:secret@proxy')
  const error = await rejection(postAndCollect({ url: 'https://api.test/v1', connections: testConnections() }).promise)
  expect(error).toBeInstanceOf(TypeError)
  expect((error as Error).message).toBe(
    'HTTPS_PROXY is not the address of a proxy. Write one like http://proxy.internal:3128, or unset it.',
  )
})

test('F84: a proxy that accepts a tunnel and stays silent holds no socket after the attempt', async () => {
  let open = 0
  const proxy = await tcpServer(socket => {
    open += 1
    socket.on('close', () => (open -= 1)).on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n'))
  })
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${proxy.port}`)
  const attempt = testAttempt()
  const asked = Promise.withResolvers<void>()
  const { promise } = postAndCollect({ url: 'https://api.test/v1', attempt, connections: testConnections() })
  const poll = setInterval(() => open === 1 && asked.resolve(), 5)
  await asked.promise
  clearInterval(poll)
  // the answer to CONNECT is on its way: a moment later the handshake waits for the target
  await new Promise(resolve => setTimeout(resolve, 50))
  attempt.abort('enough')
  expect(await rejection(promise)).toBe('enough')
  await until(() => open === 0)
})

test.for(['127.0.0.1:PORT', 'user:pw@127.0.0.1:PORT'])('F85: a proxy without a scheme speaks http: %s', async value => {
  const server = await httpServer((request, response) => response.end(request.headers.host))
  const { asked, proxyUrl } = await proxyTo(server)
  vi.stubEnv('HTTP_PROXY', value.replace('PORT', new URL(proxyUrl).port))
  const { received, promise } = postAndCollect({ url: 'http://r1.test/generate', connections: testConnections() })
  await promise
  expect(received.text).toBe('r1.test')
  expect(asked).toEqual(['POST http://r1.test/generate'])
})

test.for(['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'])(
  'F85: a wrong %s is a TypeError when the client is made',
  name => {
    for (const wrong of ['ftp://host', 'http://', 'http://a b', 'user:secret@', 'file:///etc']) {
      vi.stubEnv(name, wrong)
      const make = () => createClient({ chain: [openaiCompatible('m', { baseURL: 'https://api.test/v1' })] })
      expect(make, wrong).toThrow(TypeError)
      expect(make, wrong).toThrow(`${name} is not the address of a proxy. Write one like http://proxy.internal:3128`)
      expect(make, wrong).not.toThrow('secret')
      // a dispatcher of one's own, and a target without a network, ask no proxy
      createClient({
        chain: [openaiCompatible('m', { baseURL: 'https://api.test/v1', dispatcher: new Agent() }), fakeTarget('x')],
      })
    }
  },
)

/** What a POST through a proxy rejects with. Its address holds a password. */
async function failureThrough(scheme: 'http' | 'https', host: string, url: string): Promise<ProviderError> {
  vi.stubEnv(url.startsWith('https') ? 'HTTPS_PROXY' : 'HTTP_PROXY', `${scheme}://user:secret@${host}`)
  const error = await rejection(postAndCollect({ url, connections: testConnections() }).promise)
  expect(inspect(error, { depth: 8, showHidden: true })).not.toMatch(/secret|dXNlcjpzZWNyZXQ/)
  if (!ProviderError.isInstance(error)) throw new Error('It is no ProviderError.', { cause: error })
  expect(error.message).toContain(`${new URL(url).origin} through the proxy ${scheme}://${host}: `)
  return error
}

test.for([
  [407, 'request', 'it requires a user and a password, or refused those that it was given (407)'],
  [403, 'request', 'it refused to open a tunnel (403). Allow this host in the proxy'],
  [502, undefined, 'it could not open a tunnel (502)'],
] as const)('F86: what a proxy answers to CONNECT is told as its own: %s', async ([status, charged, words]) => {
  const proxy = await httpServer(() => {})
  proxy.onConnect((_, socket) => socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`))
  const error = await failureThrough('http', `127.0.0.1:${proxy.port}`, 'https://api.test/v1')
  expect(error).toMatchObject({ reason: 'network', charged, message: expect.stringContaining(words) })
  expect(proxy.connections()).toBe(1)
})

test("F86: 407 to plain http is told as the proxy's", async () => {
  const proxy = await httpServer((_, response) => response.writeHead(407).end('who are you?'))
  const error = await failureThrough('http', `127.0.0.1:${proxy.port}`, 'http://r1.test/')
  expect(error).toMatchObject({ reason: 'network', charged: 'request', message: expect.stringContaining('(407)') })
})

test.for(['http://r1.test/', 'https://api.test/v1'])('F86: a proxy that speaks no HTTP is told as such: %s', async url => {
  const proxy = await tcpServer(socket => socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.6\r\n')))
  const error = await failureThrough('http', `127.0.0.1:${proxy.port}`, url)
  expect(error).toMatchObject({ reason: 'network', charged: 'request' })
  expect(error.message).toContain('its answer is not HTTP/1.1')
})

test.for(['http://r1.test/', 'https://api.test/v1'])('F86: a proxy that cannot be reached is named: %s', async url => {
  const error = await failureThrough('http', `127.0.0.1:${await freePort()}`, url)
  expect(error).toMatchObject({ reason: 'network', charged: undefined })
  expect(error.message).toContain('it could not be reached (ECONNREFUSED). Check its address in HTTPS_PROXY or HTTP_PROXY')
})

test('F86: a proxy that hangs up on CONNECT is told as such', async () => {
  const proxy = await tcpServer(socket => socket.once('data', () => socket.end()))
  const error = await failureThrough('http', `127.0.0.1:${proxy.port}`, 'https://api.test/v1')
  expect(error).toMatchObject({ reason: 'network', charged: undefined })
  expect(error.message).toContain('it closed the connection before it opened a tunnel')
})

test.for(['http://r1.test/', 'https://api.test/v1'])('F86: a proxy with https in its address and no TLS: %s', async url => {
  const proxy = await httpServer(() => {})
  const error = await failureThrough('https', `localhost:${proxy.port}`, url)
  expect(error).toMatchObject({ reason: 'network', charged: 'request' })
  expect(error.message).toMatch(/it does not speak TLS \(ERR_SSL_\w+\)\. Check whether its address .* must begin with http:/)
})

test.for([
  ['http://r1.test/', 'localhost.pem', 'localhost', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'NODE_EXTRA_CA_CERTS'],
  ['https://api.test/v1', 'localhost.pem', 'localhost', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'NODE_EXTRA_CA_CERTS'],
  ['http://r1.test/', 'expired.pem', 'localhost', 'CERT_HAS_EXPIRED', 'the date of this machine'],
  ['https://api.test/v1', 'expired.pem', 'localhost', 'CERT_HAS_EXPIRED', 'the date of this machine'],
  ['http://r1.test/', 'localhost.pem', '127.0.0.1', 'ERR_TLS_CERT_ALTNAME_INVALID', 'host name in HTTPS_PROXY'],
  ['https://api.test/v1', 'localhost.pem', '127.0.0.1', 'ERR_TLS_CERT_ALTNAME_INVALID', 'host name in HTTPS_PROXY'],
] as const)('F86: a certificate of the proxy that is refused: %s %s %s', async ([url, file, host, code, advice]) => {
  if (code !== 'DEPTH_ZERO_SELF_SIGNED_CERT') trust(file)
  const { port } = await tlsServer(file)
  const error = await failureThrough('https', `${host}:${port}`, url)
  expect(error).toMatchObject({ reason: 'network', charged: 'request' })
  expect(error.message).toContain(code)
  expect(error.message).toContain(advice)
})

test("F86: behind an open tunnel a certificate is the target's", async () => {
  const { proxyUrl } = await proxyTo(await tlsServer('localhost.pem'))
  vi.stubEnv('HTTPS_PROXY', proxyUrl)
  const error = await rejection(postAndCollect({ url: 'https://localhost.test/v1', connections: testConnections() }).promise)
  expect(error).toMatchObject({ reason: 'network', charged: 'request' })
  expect(String(error)).toContain('Could not connect to https://localhost.test (DEPTH_ZERO_SELF_SIGNED_CERT)')
})

test("F86: undici's marks tell a proxy of the user's dispatcher", async () => {
  const proxy = await httpServer(() => {})
  proxy.onConnect((_, socket) => socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n'))
  const dispatcher = new ProxyAgent(`http://user:secret@127.0.0.1:${proxy.port}`)
  const connections = testConnections({ dispatcher })
  const error = await rejection(postAndCollect({ url: 'https://api.test/v1', connections }).promise)
  expect(error).toMatchObject({ reason: 'network', charged: 'request' })
  expect(String(error)).toContain('Could not reach https://api.test through the proxy: it requires a user and a password')
  await dispatcher.destroy()
})

test("F86: a proxy hands on an answer with two lengths, which is the service's fault", async () => {
  const twoLengths = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n'
  const proxy = await tcpServer(socket => socket.once('data', () => socket.end(twoLengths)))
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`)
  const error = await rejection(postAndCollect({ url: 'http://r1.test/', connections: testConnections() }).promise)
  expect(error).toMatchObject({ reason: 'malformed-response' })
  expect(String(error)).toContain('The answer of http://r1.test states two lengths')
})
