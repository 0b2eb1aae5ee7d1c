import type { Socket } from 'node:net'
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { createClient, deepseek, ollama, textGeneration } from 'unbusy'
import { fakeTarget } from 'unbusy/testing'
import { expect, onTestFinished } from 'vitest'
import { tcpServer } from '../helpers/http-servers.ts'
import { test } from '../helpers/vitest.ts'

const key = { apiKey: 'sk-test-0123456789abcdef' }
const clocks = { timeout: { connectMs: 500, headersMs: 600, firstChunkMs: 700, queuedMs: 700, chunkMs: 700, totalMs: 3_000 } }

const targets = {
  deepseek: (baseURL: string) => deepseek({ baseURL, ...key, retry: 0, ...clocks }),
  ollama: (baseURL: string) => ollama('r1', { baseURL, retry: 0, ...clocks }),
  textGeneration: (baseURL: string) => textGeneration({ baseURL, retry: 0, ...clocks }),
}
const names = Object.keys(targets) as (keyof typeof targets)[]

type Misbehave = (socket: Socket, request: string) => void

/** Bytes over bare sockets. Tells how many connections are still open: looked at before the client is closed. */
const bareServer = async (misbehave: Misbehave) => {
  const { origin, sockets } = await tcpServer(
    socket => void socket.on('data', bytes => misbehave(socket, bytes.toString('latin1'))),
  )
  return { url: `${origin}/v1`, open: () => sockets.size }
}

const head = (fields: readonly string[], status = '200 OK') =>
  `HTTP/1.1 ${status}\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`
const whole = (body: string | Buffer, fields: readonly string[] = []) =>
  Buffer.concat([Buffer.from(head([...fields, `content-length: ${Buffer.byteLength(body)}`])), Buffer.from(body)])
const delta = (text: string) => `data: {"choices":[{"index":0,"delta":{"content":${JSON.stringify(text)}}}]}\n\n`
const stop = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

/** Writes again and again, as fast or as slowly as it is let, until the other side is gone. */
const endless = (socket: Socket, piece: string | Buffer, everyMs = 0) => {
  const go = () => {
    if (socket.destroyed) return
    if (everyMs > 0) {
      socket.write(piece)
      setTimeout(go, everyMs).unref()
    } else if (socket.write(piece)) setImmediate(go)
    else socket.once('drain', go)
  }
  go()
}

/** An event without end, and small when compressed. */
const spaces = Buffer.concat([Buffer.from('data: '), Buffer.alloc(20 * 1024 * 1024, ' ')])
/** The usual quality takes three seconds, in which this process does nothing else. */
const quickly = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }

const hostile: Readonly<Record<string, Misbehave>> = {
  'headers without end': socket => (socket.write('HTTP/1.1 200 OK\r\n'), endless(socket, `x-a: ${'a'.repeat(1_000)}\r\n`)),
  'one header without end': socket => (socket.write('HTTP/1.1 200 OK\r\nx-a: '), endless(socket, 'a'.repeat(10_000))),
  'a status line without end': socket => (socket.write('HTTP/1.1 200 '), endless(socket, 'a'.repeat(10_000))),
  'headers in a trickle': socket => (socket.write('HTTP/1.1 200 OK\r\n'), endless(socket, 'x-a: b\r\n', 100)),
  '1xx without end': socket => endless(socket, 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'),
  '100 Continue in a trickle': socket => endless(socket, 'HTTP/1.1 100 Continue\r\n\r\n', 100),
  '101 Switching Protocols': socket =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nabc'),
  'a body of comments without end': socket => (
    socket.write(head(['content-type: text/event-stream'])),
    endless(socket, ': \n\n'.repeat(1_000))
  ),
  'comments in a trickle': socket => (socket.write(head([])), endless(socket, ': \n\n', 50)),
  'blank lines in a trickle': socket => (socket.write(head([])), endless(socket, '\n', 50)),
  'a chunk size without end': socket => (socket.write(head(['transfer-encoding: chunked'])), endless(socket, '0'.repeat(1_000))),
  'a chunk extension without end': socket => (
    socket.write(`${head(['transfer-encoding: chunked'])}5;a=`),
    endless(socket, 'a'.repeat(10_000))
  ),
  'a chunk size that is none': socket => socket.write(`${head(['transfer-encoding: chunked'])}zz\r\nabc\r\n`),
  'a chunk size that overflows': socket => socket.write(`${head(['transfer-encoding: chunked'])}ffffffffffffffffff\r\nabc\r\n`),
  'a chunk longer than it says': socket => socket.write(`${head(['transfer-encoding: chunked'])}3\r\nabcdef\r\n0\r\n\r\n`),
  'trailers without end': socket => (
    socket.write(`${head(['transfer-encoding: chunked'])}1\r\n{\r\n0\r\n`),
    endless(socket, `x-t: ${'a'.repeat(1_000)}\r\n`)
  ),
  'two different lengths': socket => socket.write(`${head(['content-length: 2', 'content-length: 5'])}{}abc`),
  'a negative length': socket => socket.write(`${head(['content-length: -1'])}{}`),
  'NUL bytes for a status line': socket => socket.write(Buffer.alloc(10_000)),
  'NUL bytes in a header': socket => socket.write('HTTP/1.1 200 OK\r\nx-a: \0\r\n\r\n'),
  'lone CRs for headers': socket => socket.write('HTTP/1.1 200 OK\rx-a: b\r\r'),
  'HTTP/0.9': socket => socket.end('hello'),
  'HTTP/2 frames': socket => socket.write(Buffer.from('00000c0400000000000003000000640004003f0001', 'hex')),
  'TLS where none was asked for': socket => socket.write(Buffer.from('15030100020246', 'hex')),
  'an empty 200': socket => socket.write(head(['content-length: 0'])),
  'a 204': socket => socket.write(head([], '204 No Content')),
  'a 304': socket => socket.write(head([], '304 Not Modified')),
  'a redirect to itself': socket =>
    socket.write(head(['location: /v1/chat/completions', 'content-length: 0'], '307 Temporary Redirect')),
  silence: () => {},
  'closed at once': socket => socket.destroy(),
  'reset in the headers': socket => (socket.write('HTTP/1.1 200 OK\r\nx'), socket.resetAndDestroy()),
  'lone surrogates and bad UTF-8': socket => socket.write(whole(Buffer.from([0xed, 0xa0, 0x80, 0xff, 0xfe, 0xc0, 0x80]))),
  'a body of BOMs': socket => socket.write(whole('\uFEFF'.repeat(100_000))),
  'an error page without end': socket => (
    socket.write(head([], '500 Internal Server Error')),
    endless(socket, '<'.repeat(10_000))
  ),
  'an error page in a trickle': socket => (socket.write(head([], '503 Service Unavailable')), endless(socket, '<', 50)),
  'a bomb of gzip': socket => socket.write(whole(gzipSync(spaces), ['content-encoding: gzip'])),
  'a bomb of deflate': socket => socket.write(whole(deflateSync(spaces), ['content-encoding: deflate'])),
  'a bomb of br': socket => socket.write(whole(brotliCompressSync(spaces, quickly), ['content-encoding: br'])),
  'a bomb of zstd': socket => socket.write(whole(zstdCompressSync(spaces), ['content-encoding: zstd'])),
  'a bomb that is not announced': socket => socket.write(whole(gzipSync(spaces))),
  'a bomb in a bomb': socket => socket.write(whole(gzipSync(gzipSync(spaces)), ['content-encoding: gzip, gzip'])),
  'a bomb in an error': socket =>
    socket.write(
      Buffer.concat([
        Buffer.from(head(['content-encoding: gzip', `content-length: ${gzipSync(spaces).length}`], '500 Oops')),
        gzipSync(spaces),
      ]),
    ),
  'gzip that is cut': socket => socket.write(whole(gzipSync(delta('Hi') + stop).subarray(0, 20), ['content-encoding: gzip'])),
  'gzip that is none': socket => socket.write(whole('data: {}\n\n', ['content-encoding: gzip'])),
  'gzip in a trickle that says nothing': socket => (
    socket.write(head(['content-encoding: gzip'])),
    endless(socket, Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), 50)
  ),
}

/** Whole answers by HTTP: their connection may serve the next request. */
const keptOpen = /^(?:an empty|a 204|a 304|a redirect|lone surr|a body of BOMs|a bomb|gzip that)/

test.for(Object.keys(hostile).flatMap(what => names.map(name => [what, name] as const)))(
  'a server that answers with %s, at %s: the next target answers within its clocks, and nothing stays open',
  { timeout: 15_000 },
  async ([what, name]) => {
    const { url, open } = await bareServer(hostile[what]!)
    const client = createClient({ chain: [targets[name](url), fakeTarget('Hi.')] })
    onTestFinished(() => client.close())
    const began = performance.now()
    const { text, attempts } = await client.generate('Hi')
    expect(performance.now() - began).toBeLessThan(6_000)
    expect([text, attempts[0]?.outcome]).toEqual(['Hi.', 'failed'])
    // a whole answer may keep its connection; whatever is still coming may not
    await expect.poll(open, { timeout: 4_000 }).toBeLessThanOrEqual(keptOpen.test(what) ? 1 : 0)
  },
)
