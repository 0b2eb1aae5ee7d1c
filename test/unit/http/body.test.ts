import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import { type Body, encodingOf, mayBeMark, readEnd, readPiece, unzip, type UnzipOptions } from '../../../src/http/body.ts'

const text = Buffer.from('{"id": "1"}')
const gzip = Buffer.of(0x1f, 0x8b, 8, 0)
const zstd = Buffer.of(0x28, 0xb5, 0x2f, 0xfd)
const deflate = Buffer.of(0x78, 0x9c, 1, 1)
const binary = Buffer.of(0x8b, 1, 2, 3)

// ---- how a body is compressed

test.for([
  ['gzip', gzip, 'gzip'],
  ['zstd', zstd, 'zstd'],
  ['a beginning of zstd', zstd.subarray(0, 3), 'identity'],
  ['deflate that is stored', Buffer.of(0x78, 0x01), 'deflate'],
  ['deflate that is fast', Buffer.of(0x78, 0x5e), 'deflate'],
  ['deflate', deflate, 'deflate'],
  ['deflate that is small', Buffer.of(0x78, 0xda), 'deflate'],
  ['an x', Buffer.from('xyz'), 'identity'],
  ['an x alone', Buffer.of(0x78), 'identity'],
  ['half of a mark of gzip', Buffer.of(0x1f, 0x00, 8, 0), 'identity'],
  ['the other half', Buffer.of(0x00, 0x8b, 8, 0), 'identity'],
  ['nothing', Buffer.alloc(0), 'identity'],
  ['text', text, 'identity'],
] as const)('F61: without a label %s is known by its first bytes', ([, first, expected]) => {
  expect(encodingOf({}, first)).toBe(expected)
  // F60: a word that is no coding says nothing
  for (const word of ['none', 'utf-8', 'toString', '']) expect(encodingOf({ 'content-encoding': word }, first)).toBe(expected)
})

test.for([
  ['gzip', gzip, 'gzip'],
  [' GZIP ', gzip, 'gzip'],
  ['x-gzip', gzip, 'gzip'],
  ['none, gzip', gzip, 'gzip'],
  [['gzip'], gzip, 'gzip'],
  ['br', binary, 'br'],
  ['deflate', binary, 'deflate'],
  // the label is wrong
  ['br', gzip, 'gzip'],
  ['deflate', zstd, 'zstd'],
  ['gzip', zstd, 'zstd'],
  ['gzip', deflate, 'deflate'],
  ['gzip', binary, 'identity'],
  ['zstd', binary, 'identity'],
  ['br', text, 'identity'],
  ['compress', text, 'identity'],
  ['gzip, br', text, 'identity'],
  // too few bytes to know better
  ['gzip', binary.subarray(0, 3), 'gzip'],
  ['zstd', binary.subarray(0, 3), 'zstd'],
] as const)('a body under content-encoding %j that begins with %o is %s', ([label, first, expected]) => {
  expect(encodingOf({ 'content-encoding': label }, first)).toBe(expected)
})

test.for(['compress', 'x-compress', 'dcb', 'dcz', 'exi', 'pack200-gzip', 'gzip, br', 'utf-8, br , gzip'])(
  'what cannot be read under %s is a malformed response that names it',
  label => {
    const names = label.replace('utf-8, ', '').replace(' ,', ',')
    const refusal = expect.objectContaining({ reason: 'malformed-response', message: expect.stringContaining(`"${names}"`) })
    expect(() => encodingOf({ 'content-encoding': label }, binary)).toThrow(refusal)
  },
)

test('an answer or a page is told from packed bytes by how it begins', () => {
  const isText = (first: string) => encodingOf({ 'content-encoding': 'br' }, Buffer.from(first, 'latin1')) === 'identity'
  const texts = [
    '{"id":1}',
    '["id", 1',
    '"a text"',
    '<!doctype',
    ': comment',
    'data: {}',
    'event: a',
    'id: 1\n\n ',
    '\n\n{"id":1',
    '{\r\n\t"a":1',
  ]
  expect(texts.filter(first => !isText(first))).toEqual([])
  const others = ['{"id":1', 'abcdefgh', '{"id":\u0001}', '{"id"\u00e9}1', '1 {"id":1}', '']
  expect(others.filter(isText)).toEqual([])
})

test('a few bytes may be the beginning of a mark, and then more are waited for', () => {
  const marks = [[0x1f], [0x28, 0xb5, 0x2f], [0x78, 0x9c]]
  expect(marks.map(bytes => mayBeMark(Buffer.from(bytes)))).toEqual([true, true, true])
  const none = [[], [0x22], [0x8b, 0x1f], [0x1f, 0x8b, 8, 0], [0x28, 0xb5, 0x2f, 0xfd]]
  expect(none.map(bytes => mayBeMark(Buffer.from(bytes)))).toEqual([false, false, false, false, false])
})

// ---- what the reader gets

function reading(maxBytes: number, isReady = true) {
  const pieces: string[] = []
  const reader = { write: (piece: string) => (pieces.push(piece), isReady), end: () => void pieces.push('END') }
  const body: Body = { reader, maxBytes, bytes: 0, carried: undefined }
  return { body, pieces }
}

test('a reader gets whole characters, is asked whether it is behind, and hears of the end once', () => {
  const [euro, { body, pieces }] = [Buffer.from('€'), reading(100, false)]
  expect([readPiece(body, Buffer.from('a')), readPiece(body, euro.subarray(0, 2)), readPiece(body, euro.subarray(2))]).toEqual([
    ...[false, true, false],
  ])
  readEnd(body)
  expect(pieces).toEqual(['a', '€', 'END'])
})

test('an end in the middle of a character is told before the end', () => {
  const { body, pieces } = reading(100)
  readPiece(body, Buffer.from('€').subarray(0, 2))
  readEnd(body)
  readEnd(body)
  expect(pieces).toEqual(['\ufffd', 'END', 'END'])
})

test('an answer may be as large as the limit, and not larger', () => {
  const { body, pieces } = reading(2 * 1024 * 1024)
  const half = Buffer.alloc(1024 * 1024, 'x')
  readPiece(body, half)
  readPiece(body, half)
  expect(() => readPiece(body, Buffer.from('x'))).toThrow(
    expect.objectContaining({ reason: 'malformed-response', message: expect.stringContaining('larger than 2 MiB') }),
  )
  expect(pieces).toHaveLength(2)
})

// ---- unpacking

type Encoding = UnzipOptions['encoding']

/** Unpacks these bytes, with what comes of it. */
function unpacking(encoding: Encoding, isReady = () => true) {
  const { promise: over, resolve } = Promise.withResolvers<unknown>()
  const pieces: Buffer[] = []
  let rooms = 0
  const unzipping = unzip({
    encoding,
    onData: piece => (pieces.push(piece), isReady()),
    onEnd: () => resolve('ended'),
    onRoom: () => (rooms += 1),
    onError: resolve,
  })
  return { unzipping, over, text: () => Buffer.concat(pieces).toString(), rooms: () => rooms }
}

const long = 'grüße 😀 '.repeat(5_000)

test.for([
  ['gzip', gzipSync(long)],
  ['br', brotliCompressSync(long)],
  ['zstd', zstdCompressSync(long)],
  ['deflate', deflateSync(long)],
  ['deflate', deflateRawSync(long)],
] as const)('%s is unpacked, in whatever pieces it comes', async ([encoding, bytes]) => {
  const { unzipping, over, text: unpacked } = unpacking(encoding)
  unzipping.write(bytes.subarray(0, 1))
  unzipping.write(bytes.subarray(1))
  unzipping.end()
  expect([await over, unpacked() === long]).toEqual(['ended', true])
})

test('a body of no bytes ends without an error', async () => {
  const { unzipping, over } = unpacking('gzip')
  unzipping.resume()
  unzipping.end()
  unzipping.close()
  expect(await over).toBe('ended')
})

test.for([
  ['is cut', gzipSync(long).subarray(0, 100), 'truncated'],
  ['is no such format', Buffer.from('It is no gzip.'), 'malformed-response'],
] as const)('a body that %s fails with what that means', async ([, bytes, reason]) => {
  const { unzipping, over } = unpacking('gzip')
  unzipping.write(bytes)
  unzipping.end()
  const error = await over
  expect(error).toBeInstanceOf(ProviderError)
  expect(error).toMatchObject({ reason, cause: expect.any(Error) })
})

test('a reader that is behind stops the unpacking until it has caught up', async () => {
  let isReady = false
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const { unzipping, over, text: unpacked } = unpacking('gzip', () => (resolve(), isReady))
  unzipping.write(gzipSync('x'.repeat(1_000_000)))
  unzipping.end()
  await begun
  const { length } = unpacked()
  for (let turn = 0; turn < 50; turn += 1) await new Promise(done => void setImmediate(done))
  expect(unpacked()).toHaveLength(length)
  expect(length).toBeLessThan(1_000_000)
  isReady = true
  unzipping.resume()
  expect([await over, unpacked().length]).toEqual(['ended', 1_000_000])
})
