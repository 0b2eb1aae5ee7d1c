import { randomBytes } from 'node:crypto'
import { brotliCompressSync, createGzip, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { httpServer, postAndCollect, rejection, testAttempt, testConnections, until } from '../../helpers/http-servers.ts'

const text = 'data: {"text":"grüße 😀"}\n\n'.repeat(1000)

/** Answers with these bytes under this content-encoding, though `identity` is asked for. */
async function answerOf(encoding: string, bytes: Buffer) {
  const server = await httpServer((_, response) => response.writeHead(200, { 'content-encoding': encoding }).end(bytes))
  return postAndCollect({ url: server.url, connections: testConnections() })
}

test.each([
  ['gzip', gzipSync(text)],
  ['x-gzip', gzipSync(text)],
  ['GZIP', gzipSync(text)],
  ['br', brotliCompressSync(text)],
  ['deflate', deflateSync(text)],
  ['deflate', deflateRawSync(text)],
  ['identity', Buffer.from(text)],
])('an answer that comes as %s, unasked, is read', async (encoding, bytes) => {
  const { received, promise } = await answerOf(encoding, bytes)
  await promise
  expect(received).toMatchObject({ text, ended: true })
})

test('an answer that is faster than its unpacking is read to its end', async () => {
  const random = randomBytes(1_000_000).toString('hex')
  const { received, promise } = await answerOf('gzip', gzipSync(random))
  await promise
  expect(received.text === random).toBe(true)
})

test.each(['gzip', 'br', 'deflate'])('an empty answer that claims to be %s is empty', async encoding => {
  const { received, promise } = await answerOf(encoding, Buffer.alloc(0))
  await promise
  expect(received).toMatchObject({ text: '', ended: true })
})

test.each([
  ['gzip', gzipSync(text)],
  ['br', brotliCompressSync(text)],
  ['deflate', deflateSync(text)],
])('a cut %s answer is reason truncated', async (encoding, bytes) => {
  const { received, promise } = await answerOf(encoding, bytes.subarray(0, bytes.length - 5))
  expect(await rejection(promise)).toMatchObject({ reason: 'truncated' })
  expect(received.ended).toBe(false)
})

test('bytes that are not what they claim to be are reason malformed-response', async () => {
  for (const [encoding, bytes] of [
    ['gzip', [0x1f, 0x8b, 0xff, 0xff, 0xff]],
    ['br', [0xff, 0xfe, 0xfd, 0, 1]],
  ] as const) {
    const { promise } = await answerOf(encoding, Buffer.from(bytes))
    expect(await rejection(promise)).toMatchObject({ reason: 'malformed-response', cause: expect.any(Error) })
  }
})

test('an encoding that is not known is reason malformed-response and named', async () => {
  const { promise } = await answerOf('zstd, gzip', Buffer.from('x'))
  expect(await rejection(promise)).toMatchObject({
    reason: 'malformed-response',
    message: expect.stringContaining('"zstd, gzip"'),
  })
})

test('a token is handed on when it comes, not when its block is full', async () => {
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
  const server = await httpServer((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' })
    gzip.pipe(response)
    gzip.write('one')
  })
  const attempt = testAttempt()
  const { received, promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  await until(() => received.text === 'one')
  gzip.end('two')
  await promise
  expect(received).toMatchObject({ text: 'onetwo', ended: true })
})

test('after an abort nothing more is unpacked', async () => {
  const body = gzipSync(Buffer.alloc(1_000_000, 'x'))
  const server = await httpServer((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).write(body)
  })
  const attempt = testAttempt()
  let length = 0
  // at once, so that a busy machine has no time to unpack the rest
  const respond = () => ({
    write(piece: string) {
      length += piece.length
      attempt.abort('enough')
      return true
    },
    end() {},
  })
  const { promise } = postAndCollect({ url: server.url, attempt, respond, connections: testConnections() })
  expect(await rejection(promise)).toBe('enough')
  const lengthThen = length
  expect(lengthThen).toBeGreaterThan(0)
  expect(lengthThen).toBeLessThan(1_000_000)
  await server.idle()
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(length).toBe(lengthThen)
})

test('what the reader throws ends a decompressed answer like any other', async () => {
  const server = await httpServer((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).write(gzipSync('x'))
  })
  const error = new Error('in band')
  const respond = () => ({
    write() {
      throw error
    },
    end() {},
  })
  expect(await rejection(postAndCollect({ url: server.url, respond, connections: testConnections() }).promise)).toBe(error)
  await server.idle()
})

test.each([
  ['F61: gzip', gzipSync(text)],
  ['F61: deflate', deflateSync(text)],
  ['F61: zstd', zstdCompressSync(text)],
])('%s without a label is known by how it begins', async (_, bytes) => {
  for (const encoding of ['', 'identity', 'none', 'utf-8']) {
    const { received, promise } = await answerOf(encoding, bytes)
    await promise
    expect(received.text === text).toBe(true)
  }
})

test.each(['none', 'utf-8', 'UTF-8', 'chunked', 'application/json', 'null', 'identity, none', '*', ''])(
  'F60: a body under content-encoding "%s" is read as it is, on an answer and on a refusal',
  async encoding => {
    const { received, promise } = await answerOf(encoding, Buffer.from(text))
    await promise
    expect(received.text === text).toBe(true)
  },
)

test('zstd with its label is read', async () => {
  const { received, promise } = await answerOf('zstd', zstdCompressSync(text))
  await promise
  expect(received.text === text).toBe(true)
})
