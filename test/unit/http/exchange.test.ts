import { randomBytes } from 'node:crypto'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { ProviderError } from '../../../src/errors.ts'
import type { BodyReader } from '../../../src/http/body.ts'
import { closeExchange } from '../../../src/http/exchange.ts'
import { answering, exchanging, nextTurn } from '../../helpers/fake-wire.ts'
import { until } from '../../helpers/http-servers.ts'

const refusal = new ProviderError('It is no answer.', { reason: 'malformed-response' })

test('an exchange tells how far it is, and an early hint is no answer', () => {
  const events: unknown[] = []
  const { exchange, server, statuses } = exchanging({ onEvent: event => void events.push(event) })
  expect(exchange).toMatchObject({ phase: 'connecting', answered: false, over: false })
  server.start()
  expect(exchange).toMatchObject({ phase: 'waiting', answered: false })
  server.answer(103)
  expect([exchange.phase, exchange.answered, statuses]).toEqual(['waiting', true, []])
  server.answer(200, { 'x-id': 'r1' })
  expect([exchange.phase, exchange.status, statuses]).toEqual(['reading', 200, [200]])
  expect(events).toEqual([{ type: 'sent' }, { type: 'headers', status: 200, headers: { 'x-id': 'r1' }, requestId: 'r1' }])
})

test('the pieces of one turn are read as one, in order, and the end behind them', async () => {
  const { server, pieces, ends } = answering()
  server.piece('a', 'b', 'c')
  expect(pieces).toEqual([])
  await nextTurn()
  server.piece('d')
  await nextTurn()
  server.piece('e')
  server.end()
  expect([pieces, ends, server.asked]).toEqual([['abc', 'd', 'e', 'END'], [{ type: 'done' }], []])
})

test('a connection is told by its route, or else by what undici knows of it', () => {
  const of = (reused: boolean | undefined, bytesRead?: number) => {
    const { server, exchange, ends } = exchanging()
    exchange.route.reused = reused
    server.start()
    server.lose(Object.assign(new Error('It was closed.'), bytesRead === undefined ? {} : { socket: { bytesRead } }))
    return ends
  }
  const told = (reused: boolean) => [{ type: 'lost', loss: { reused } }]
  expect([of(undefined, 7), of(undefined, 0), of(undefined), of(false, 7), of(true, 0)]).toMatchObject([
    ...[told(true), told(false), told(false), told(false), told(true)],
  ])
})

test('a request carries its signal and its route to the connection', () => {
  const { server, exchange, attempt } = exchanging()
  expect(server.request).toMatchObject({ method: 'POST', path: '/' })
  expect([server.request.signal, server.request.route]).toEqual([attempt.signal, exchange.route])
  expect(exchange.route).toEqual({ reused: undefined, lost: undefined })
})

test('whatever arrives counts as a sign of life', async () => {
  const { exchange, server } = exchanging()
  server.start()
  exchange.quiet = 3
  server.answer()
  expect(exchange.quiet).toBe(0)
  exchange.quiet = 3
  server.piece('a')
  expect(exchange.quiet).toBe(0)
})

// ---- how much is read

test('after 64 KiB the process has a turn for other work before more is read', async () => {
  const { server, exchange } = answering()
  server.piece('x'.repeat(64 * 1024 - 1))
  await nextTurn()
  expect(server.asked).toEqual([])
  server.piece('x')
  await Promise.resolve()
  await nextTurn()
  await nextTurn()
  expect([server.asked, exchange.inTurn]).toEqual([['pause', 'resume'], 0])
})

test('a reader that is behind is waited for, once, and only then is more read', async () => {
  let isReady = false
  const { server, attempt, exchange } = answering({ reader: { write: () => isReady } })
  server.piece('a')
  await nextTurn()
  expect([server.asked, attempt.waiting(), exchange.waiting]).toEqual([['pause'], 1, true])
  // what was on its way still arrives, and does not end the wait
  isReady = true
  server.piece('x'.repeat(70_000))
  await nextTurn()
  await nextTurn()
  expect([server.asked, attempt.waiting()]).toEqual([['pause', 'pause'], 1])
  attempt.drain()
  expect(server.asked).toEqual(['pause', 'pause'])
  await Promise.resolve()
  expect([server.asked, exchange.waiting]).toEqual([['pause', 'pause', 'resume'], false])
})

test('no turn is waited for where the reader is behind, or the exchange is over', async () => {
  const large = 'x'.repeat(70_000)
  const behind = answering({ reader: { write: () => false } })
  behind.server.piece(large)
  await nextTurn()
  await nextTurn()
  expect(behind.server.asked).toEqual(['pause'])
  const { server, exchange } = answering()
  server.piece(large)
  await Promise.resolve()
  await new Promise<void>(resolve => process.nextTick(resolve))
  closeExchange(exchange)
  await nextTurn()
  expect(server.asked).toEqual(['pause', 'abort'])
})

test('a reader that ends the exchange while it reads gets nothing more, and nothing is paused', async () => {
  const one = answering({ reader: { write: () => closeExchange(one.exchange) } })
  one.server.piece('x'.repeat(70_000))
  await nextTurn()
  one.server.piece('late')
  one.server.end()
  await nextTurn()
  expect([one.server.asked, one.pieces, one.ends]).toEqual([['abort'], [], []])
})

test('a reader that catches up after the end asks nothing of the connection', async () => {
  const { server, attempt, exchange } = answering({ reader: { write: () => false } })
  server.piece('a')
  await nextTurn()
  closeExchange(exchange)
  attempt.drain()
  await Promise.resolve()
  expect(server.asked).toEqual(['pause', 'abort'])
})

test('an answer that is larger than allowed ends with its connection', async () => {
  const { server, ends } = answering({ maxBodyBytes: 2 })
  server.piece('abc')
  await nextTurn()
  expect(ends).toMatchObject([{ type: 'failed', error: { reason: 'malformed-response' } }])
  expect(server.asked).toEqual(['abort'])
})

// ---- packed bodies

test('a packed body is read, also when its mark comes byte by byte, and its end is the end of the unpacking', async () => {
  const { server, pieces, ends } = answering()
  for (const byte of gzipSync('packed')) {
    server.piece(Buffer.of(byte))
    await nextTurn()
  }
  server.end()
  await until(() => ends.length > 0)
  expect(ends).toEqual([{ type: 'done' }])
  expect(pieces.join('')).toBe('packedEND')
})

test('a packed body is unpacked no faster than it is read', async () => {
  let isReady = false
  const lengths: number[] = []
  const write = (piece: string) => (lengths.push(piece.length), isReady)
  const { server, attempt, ends } = answering({ reader: { write } }, 200, { 'content-encoding': 'gzip' })
  server.piece(gzipSync('x'.repeat(300_000)))
  server.end()
  await until(() => attempt.waiting() === 1)
  for (let turn = 0; turn < 50; turn += 1) await nextTurn()
  expect([lengths.length, ends]).toEqual([1, []])
  isReady = true
  attempt.drain()
  await until(() => ends.length > 0)
  expect(ends).toEqual([{ type: 'done' }])
  expect(lengths.reduce((sum, length) => sum + length)).toBe(300_000)
})

test('where the unpacking is behind, no more is read until it has room', async () => {
  const { server, ends } = answering({}, 200, { 'content-encoding': 'gzip' })
  const packed = gzipSync(randomBytes(200_000))
  server.piece(packed.subarray(0, 100_000))
  await nextTurn()
  expect(server.asked[0]).toBe('pause')
  await until(() => server.asked.at(-1) === 'resume')
  server.piece(packed.subarray(100_000))
  server.end()
  await until(() => ends.length > 0)
  expect(ends).toEqual([{ type: 'done' }])
})

test('only the label and the first bytes say how a body is packed', async () => {
  const packed = answering({}, 200, { 'content-encoding': 'br' })
  packed.server.piece(brotliCompressSync('packed'))
  packed.server.end()
  await until(() => packed.ends.length > 0)
  expect(packed.ends).toEqual([{ type: 'done' }])
  expect(packed.pieces.join('')).toBe('packedEND')
  const plain = answering()
  for (const piece of ['plain', '\u001fx', 'x']) {
    plain.server.piece(piece)
    await nextTurn()
  }
  expect(plain.pieces).toEqual(['plain', '\u001fx', 'x'])
})

test('a body that ends before it is known whether it is packed is what it is', async () => {
  const { server, pieces, ends } = answering()
  server.piece('x')
  await nextTurn()
  expect(pieces).toEqual([])
  server.end()
  expect([pieces, ends]).toEqual([['x', 'END'], [{ type: 'done' }]])
})

test.for<[BodyReader['lost'], object]>([
  [undefined, { type: 'failed', error: { reason: 'truncated' } }],
  [() => false, { type: 'failed', error: { reason: 'truncated' } }],
  [() => true, { type: 'done' }],
  [
    () => {
      throw refusal
    },
    { type: 'failed', error: refusal },
  ],
])('a packed body that is cut is an answer only where its reader has all of it (%#)', async ([lost, expected]) => {
  const { server, ends } = answering({ reader: { lost } })
  server.piece(gzipSync('packed').subarray(0, 20))
  server.end()
  await until(() => ends.length > 0)
  expect(ends).toMatchObject([expected])
  expect(server.asked).toEqual(['abort'])
})
