import { getEventListeners, once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { Dispatcher, Pool } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import {
  httpServer,
  postAndCollect,
  rawResponse,
  tcpServer,
  testAttempt,
  type TestAttempt,
  testConnections,
  until,
} from '../../helpers/http-servers.ts'

const reason = new Error('the caller left')

/** Aborts, and expects the rejection with the reason itself before the event loop turns, and nothing left on the signal. */
async function expectAbortAtOnce(promise: Promise<void>, attempt: TestAttempt) {
  let outcome: unknown = 'pending'
  promise.then(
    () => (outcome = 'fulfilled'),
    (error: unknown) => (outcome = error),
  )
  attempt.abort(reason)
  expect(getEventListeners(attempt.signal, 'abort')).toEqual([])
  for (let microtask = 0; microtask < 3; microtask++) await Promise.resolve()
  expect(outcome).toBe(reason)
}

test('a signal that has fired before sends nothing', async () => {
  const server = await httpServer(() => {})
  const attempt = testAttempt()
  attempt.abort(reason)
  await expectAbortAtOnce(postAndCollect({ url: server.url, attempt, connections: testConnections() }).promise, attempt)
  expect(attempt.events).toEqual([])
  expect(server.connections()).toBe(0)
})

test('before a connection exists', async () => {
  const server = await httpServer(() => {})
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  await expectAbortAtOnce(promise, attempt)
  await new Promise(resolve => setTimeout(resolve, 20))
  await server.idle()
  expect(attempt.events).toEqual(['connecting'])
})

test('in a TLS handshake that never ends', async () => {
  const server = await tcpServer(socket => void socket.resume())
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: server.url.replace('http:', 'https:'), attempt, connections: testConnections() })
  await until(() => server.sockets.size === 1)
  await expectAbortAtOnce(promise, attempt)
  await server.idle()
  expect(attempt.events).toEqual(['connecting'])
})

test.runIf(process.platform === 'linux')('while connecting to a black hole: the attempt to connect ends with it', async () => {
  const url = await blackHole()
  const attempt = testAttempt()
  const before = openSockets()
  const { promise } = postAndCollect({ url, attempt, connections: testConnections() })
  expect(openSockets()).toBe(before + 1)
  // it is not refused, and nobody accepts it
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(openSockets()).toBe(before + 1)
  await expectAbortAtOnce(promise, attempt)
  await until(() => openSockets() === before)
  expect(attempt.events).toEqual(['connecting'])
})

test('in the queue of a dispatcher of the user, which then sends nothing', async () => {
  const paths: (string | undefined)[] = []
  const server = await httpServer((request, response) => {
    paths.push(request.url)
    setTimeout(() => response.end(), 20)
  })
  const dispatcher = new Pool(server.url.replace('/chat', ''), { connections: 1 })
  onTestFinished(() => dispatcher.destroy())
  const connections = testConnections({ dispatcher })
  const first = postAndCollect({ url: server.url, connections })
  const attempt = testAttempt()
  const second = postAndCollect({ url: `${server.url}?second`, attempt, connections })
  await expectAbortAtOnce(second.promise, attempt)
  await first.promise
  await postAndCollect({ url: `${server.url}?third`, connections }).promise
  expect(paths).toEqual(['/chat', '/chat?third'])
})

test('while the headers are waited for', async () => {
  const server = await httpServer(() => {})
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  await until(() => attempt.events.includes('sent') && server.sockets.size === 1)
  await expectAbortAtOnce(promise, attempt)
  await server.idle()
})

test('in the middle of the body, after which the reader is left alone', async () => {
  const server = await httpServer((_, response) => {
    const timer = setInterval(() => response.write('data: x\n\n'), 1)
    response.on('close', () => clearInterval(timer))
  })
  const attempt = testAttempt()
  const { received, promise } = postAndCollect({ url: server.url, attempt, connections: testConnections() })
  await until(() => received.text !== '')
  await expectAbortAtOnce(promise, attempt)
  const { text } = received
  await server.idle()
  expect(received).toMatchObject({ text, ended: false })
})

test('by the reader itself, in the middle of what it is given', async () => {
  const server = await httpServer((_, response) => {
    response.write('one')
  })
  const attempt = testAttempt()
  const texts: string[] = []
  const { promise } = postAndCollect({
    url: server.url,
    attempt,
    connections: testConnections(),
    respond: () => ({
      write(text) {
        texts.push(text)
        attempt.abort(reason)
        return true
      },
      end() {},
    }),
  })
  await expect(promise).rejects.toBe(reason)
  await server.idle()
  expect(texts).toEqual(['one'])
})

test.each(['connecting', 'sent', 'headers'] as const)('by who listens, when it hears %s: no reader is asked for', async type => {
  const server = await httpServer((_, response) => response.end('one'))
  const attempt = testAttempt(event => {
    if (event.type === type) attempt.abort(reason)
  })
  let asked = false
  const respond = () => {
    asked = true
    return { write: () => true, end() {} }
  }
  await expect(postAndCollect({ url: server.url, attempt, respond, connections: testConnections() }).promise).rejects.toBe(reason)
  await server.idle()
  expect(asked).toBe(false)
  expect(server.connections()).toBe(type === 'connecting' ? 0 : 1)
})

test('by who listens, where the dispatcher of the user is done with everything at once', async () => {
  const did: string[] = []
  const dispatcher = new (class extends Dispatcher {
    override dispatch(_: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      did.push('dispatch')
      const abort = () => void did.push('abort')
      handler.onRequestStart?.({ abort, pause() {}, resume() {}, aborted: false, paused: false, reason: null }, undefined)
      return true
    }
  })()
  for (const type of ['connecting', 'sent'] as const) {
    const attempt = testAttempt(event => {
      if (event.type === type) attempt.abort(reason)
    })
    const { promise } = postAndCollect({ url: 'http://mock.test/', attempt, connections: testConnections({ dispatcher }) })
    await expect(promise).rejects.toBe(reason)
  }
  expect(did).toEqual(['dispatch', 'abort'])
})

test('while paused, because the reader is behind', async () => {
  const server = await httpServer((_, response) => {
    response.write('x'.repeat(1000))
  })
  const attempt = testAttempt()
  const respond = () => ({ write: () => false, end() {} })
  const { promise } = postAndCollect({ url: server.url, attempt, respond, connections: testConnections() })
  await until(() => attempt.waiting() === 1)
  await expectAbortAtOnce(promise, attempt)
  await server.idle()
  attempt.drain()
})

test('between a dead connection and the resend', async () => {
  const server = await tcpServer(socket => {
    socket.once('data', () => {
      socket.write(rawResponse('ok'))
      socket.once('data', () => socket.end())
    })
  })
  const connections = testConnections()
  await postAndCollect({ url: server.url, connections }).promise
  await new Promise(resolve => setImmediate(resolve))
  const attempt = testAttempt()
  const { promise } = postAndCollect({ url: server.url, attempt, connections })
  await server.idle()
  await expectAbortAtOnce(promise, attempt)
  await server.idle()
})

test('after the answer nothing is left on the signal', async () => {
  const server = await httpServer((_, response) => response.end('ok'))
  const connections = testConnections()
  const attempt = testAttempt()
  for (let index = 0; index < 20; index++) await postAndCollect({ url: server.url, attempt, connections }).promise
  await Promise.allSettled([postAndCollect({ url: 'http://127.0.0.1:1/', attempt, connections }).promise])
  expect(getEventListeners(attempt.signal, 'abort')).toEqual([])
})

/** A port that listens and accepts nobody: its loop is blocked, and its queue is full. */
async function blackHole(): Promise<string> {
  const code = `
    const { parentPort } = require('node:worker_threads')
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const worker = new Worker(code, { eval: true })
  const [port] = (await once(worker, 'message')) as [number]
  const fillers: Socket[] = []
  onTestFinished(async () => {
    for (const filler of fillers) filler.destroy()
    await worker.terminate()
  })
  for (;;) {
    const filler = connect(port, '127.0.0.1').on('error', () => {})
    fillers.push(filler)
    await new Promise(resolve => setTimeout(resolve, 100))
    // a turn more, because timers come before sockets when the machine is busy
    await new Promise(resolve => setImmediate(resolve))
    if (filler.connecting) return `http://127.0.0.1:${port}/`
  }
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
}
