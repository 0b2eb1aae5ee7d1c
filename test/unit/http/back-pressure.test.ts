import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type { Dispatcher } from 'undici'
import { startExchange } from '../../../src/http/exchange.ts'
import {
  httpServer,
  postAndCollect,
  rejection,
  tcpServer,
  testAttempt,
  type TestAttempt,
  testConnections,
  until,
} from '../../helpers/http-servers.ts'

/** A reader that is behind after each piece. */
function slowReader(attempt: TestAttempt) {
  const state = { bytes: 0, pieces: 0, ended: false, attempt }
  const respond = () => ({
    write(text: string) {
      state.pieces += 1
      state.bytes += text.length
      return false
    },
    end() {
      state.ended = true
    },
  })
  return { state, respond }
}

const size = 32 * 1024 * 1024

test('a reader that is behind stops the server, and gets everything when it catches up', async () => {
  const piece = Buffer.alloc(64 * 1024, 'x')
  let sent = 0
  const server = await httpServer((_, response) => {
    const write = () => {
      for (let more = true; more && sent < size; sent += piece.length) more = response.write(piece)
      if (sent === size) response.end()
    }
    response.on('drain', write)
    write()
  })
  const attempt = testAttempt()
  const { state, respond } = slowReader(attempt)
  const { promise } = postAndCollect({ url: server.url, attempt, respond, connections: testConnections() })
  await until(() => attempt.waiting() === 1)
  await settled(() => sent)
  // what fits into the buffers of two sockets, and nothing more
  expect(sent).toBeLessThan(size / 2)
  // one more may have been on its way from the socket
  expect(state.pieces).toBeLessThanOrEqual(2)

  await draining([attempt], promise)
  expect(state).toMatchObject({ bytes: size, ended: true })
})

test('who waits for the reader is registered once at a time', async () => {
  const server = await httpServer((_, response) => response.end('x'.repeat(500_000)))
  const attempt = testAttempt()
  const { state, respond } = slowReader(attempt)
  const { promise } = postAndCollect({ url: server.url, attempt, respond, connections: testConnections() })
  for (let pieces = 1; !state.ended; pieces++) {
    await until(() => state.pieces >= pieces || state.ended)
    expect(attempt.waiting()).toBeLessThanOrEqual(1)
    attempt.drain()
  }
  await promise
  expect(state.bytes).toBe(500_000)
})

test('a reader that has caught up before it is asked to wait goes on', async () => {
  const server = await httpServer((_, response) => response.end('x'.repeat(500_000)))
  const attempt = testAttempt()
  const { state, respond } = slowReader(attempt)
  const promise = postAndCollect({
    url: server.url,
    attempt: { ...attempt, onDrain: listener => listener() },
    respond,
    connections: testConnections(),
  }).promise
  await promise
  expect(state.bytes).toBe(500_000)
})

test('two answers may be paused and resumed from within each other', async () => {
  const server = await httpServer((_, response) => response.end('x'.repeat(300_000)))
  const connections = testConnections()
  const attempts = [testAttempt(), testAttempt()]
  const readers = attempts.map(attempt => slowReader(attempt))
  const promises = attempts.map((attempt, index) => {
    const reader = readers[index]?.respond()
    const respond = () => ({
      write(text: string) {
        reader?.write(text)
        // synchronously, while undici parses this answer
        attempts[1 - index]?.drain()
        return false
      },
      end: () => reader?.end(),
    })
    return postAndCollect({ url: server.url, attempt, respond, connections }).promise
  })
  await draining(attempts, Promise.all(promises))
  expect(readers.map(reader => reader.state.bytes)).toEqual([300_000, 300_000])
})

test('a server that closes while the reader is behind: what came is read, and the end is told', async () => {
  const server = await tcpServer(socket => {
    socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${'x'.repeat(1000)}`))
  })
  const attempt = testAttempt()
  const { state, respond } = slowReader(attempt)
  const { promise } = postAndCollect({ url: server.url, attempt, respond, connections: testConnections() })
  await until(() => state.pieces > 0)
  attempt.drain()
  await promise
  expect(state).toMatchObject({ bytes: 1000, ended: true })
})

test('a reader that is behind stops a decompressed answer too', async () => {
  const unpacked = 4 * 1024 * 1024
  const body = gzipSync(Buffer.alloc(unpacked, 'x'))
  const server = await httpServer((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(body))
  const attempt = testAttempt()
  const { state, respond } = slowReader(attempt)
  const { promise } = postAndCollect({ url: server.url, attempt, respond, connections: testConnections() })
  await until(() => attempt.waiting() === 1)
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(state.bytes).toBeLessThan(1024 * 1024)

  await draining([attempt], promise)
  expect(state).toMatchObject({ bytes: unpacked, ended: true })
})

test('an answer that unpacks to more than the bound is ended at the bound', async () => {
  const body = gzipSync(Buffer.alloc(2_000_000, 'x'))
  const server = await httpServer((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(body))
  const { received, promise } = postAndCollect({ url: server.url, maxBodyBytes: 1_000_000, connections: testConnections() })
  expect(await rejection(promise)).toMatchObject({ reason: 'malformed-response' })
  expect(received.text.length).toBeLessThanOrEqual(1_000_000)
  await server.idle()
})

test('a dispatcher that goes on in spite of the pause is read on, and the reader is waited for once', async () => {
  const attempt = testAttempt()
  const { state, respond } = slowReader(attempt)
  let resumed = 0
  const controller = { pause() {}, resume: () => resumed++, abort() {} } as unknown as Dispatcher.DispatchController
  const heedless = {
    dispatch(_: unknown, handler: Dispatcher.DispatchHandler) {
      handler.onRequestStart?.(controller, {})
      handler.onResponseStart?.(controller, 200, {}, 'OK')
      for (const piece of ['a', 'b']) handler.onResponseData?.(controller, Buffer.from(piece))
      return true
    },
  } as unknown as Dispatcher
  startExchange({
    dispatcher: heedless,
    request: { origin: 'http://127.0.0.1', path: '/', method: 'GET' },
    asker: { attempt, respond },
    onEnd() {},
  })
  // pieces of one turn are read together, at its end
  await new Promise(resolve => setImmediate(resolve))
  expect(attempt.waiting()).toBe(1)
  attempt.drain()
  await Promise.resolve()
  expect(resumed).toBe(1)
  expect(state.bytes).toBe(2)
})

/** Lets readers catch up again and again until all is read. */
async function draining(attempts: readonly TestAttempt[], reading: Promise<unknown>): Promise<void> {
  let done = false
  const step = () => {
    if (done) return
    for (const attempt of attempts) attempt.drain()
    setImmediate(step)
  }
  step()
  await reading
  done = true
}

/** Resolves when a number has not changed for some turns. */
async function settled(value: () => number): Promise<void> {
  for (let last = -1; last !== value(); await new Promise(resolve => setTimeout(resolve, 30))) last = value()
}

// other work of the process has its turn in between, however fast the server is
test.each(['Content-Length', 'chunks'])(
  'of a large answer only a little is read in one turn of the event loop (%s)',
  async form => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'x')
    const server = await httpServer((_, response) => {
      const pieceLength = form === 'chunks' ? 8_192 : body.length
      if (form === 'Content-Length') response.setHeader('content-length', body.length)
      for (let start = 0; start < body.length; start += pieceLength) response.write(body.subarray(start, start + pieceLength))
      response.end()
    })
    const perTurn = [0]
    let isOver = false
    const count = () => {
      perTurn.push(0)
      if (!isOver) setImmediate(count)
    }
    count()
    const respond = () => ({
      write(text: string) {
        perTurn[perTurn.length - 1]! += text.length
        return true
      },
      end() {},
    })
    const { promise } = postAndCollect({ url: server.url, attempt: testAttempt(), respond, connections: testConnections() })
    await promise
    isOver = true
    expect(perTurn.reduce((sum, bytes) => sum + bytes)).toBe(body.length)
    // a read that has begun is finished
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(3 * 64 * 1024)
  },
)
