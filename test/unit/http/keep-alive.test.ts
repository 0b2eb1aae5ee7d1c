import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:tls'
import { Agent } from 'undici'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Connections } from '../../../src/http/connections.ts'
import {
  httpServer,
  postAndCollect,
  rawResponse,
  rejection,
  tcpServer,
  testAttempt,
  testConnections,
} from '../../helpers/http-servers.ts'

const turn = () => new Promise(resolve => setImmediate(resolve))

/** Answers the first request of every connection, and does this with the second. Notes connection:request. */
async function serverThatDies(die: (socket: Socket) => void) {
  const requests: string[] = []
  const server = await tcpServer((socket, index) => {
    let count = 0
    socket.on('data', bytes => {
      const ownConnection = bytes.includes('connection: close') ? ' (close)' : ''
      requests.push(`${index}:${++count}${ownConnection}`)
      if (count === 1) socket.write(rawResponse('ok'))
      else die(socket)
    })
  })
  return { server, requests }
}

/** Leaves so many idle connections behind. */
async function warmUp(url: string, connections: Connections, count: number) {
  await Promise.all(Array.from({ length: count }, () => postAndCollect({ url, connections }).promise))
  await turn()
}

test('requests one after the other use one connection', async () => {
  const server = await httpServer((_, response) => response.end('ok'))
  const connections = testConnections()
  for (let index = 0; index < 5; index++) await warmUp(server.url, connections, 1)
  expect(server.connections()).toBe(1)
})

test.each([
  ['closed', (socket: Socket) => socket.end()],
  ['reset', (socket: Socket) => socket.resetAndDestroy()],
])('a request that meets an idle connection which is %s is sent again on a fresh one, unnoticed', async (_, die) => {
  const { server, requests } = await serverThatDies(die)
  const connections = testConnections()
  await warmUp(server.url, connections, 1)
  const attempt = testAttempt()
  const { received, promise } = postAndCollect({ url: server.url, attempt, connections })
  await promise
  expect(received).toMatchObject({ status: 200, text: 'ok', ended: true })
  expect(requests).toEqual(['0:1', '0:2', '1:1 (close)'])
  expect(attempt.events).toEqual(['connecting', 'sent', 'connecting', 'sent', 'headers'])
})

test('when many idle connections are dead at once, each request is sent again once', async () => {
  const { server, requests } = await serverThatDies(socket => socket.resetAndDestroy())
  const connections = testConnections()
  await warmUp(server.url, connections, 20)
  await warmUp(server.url, connections, 20)
  expect(requests.filter(request => request.endsWith(':1'))).toHaveLength(20)
  expect(requests.filter(request => request.endsWith(':2'))).toHaveLength(20)
  expect(requests.filter(request => request.endsWith(':1 (close)'))).toHaveLength(20)
})

test('an idle connection that the server has closed is not used', async () => {
  const server = await tcpServer(socket => {
    socket.once('data', () => socket.write(rawResponse('ok'), () => setTimeout(() => socket.end(), 5)))
  })
  const connections = testConnections()
  for (let index = 0; index < 3; index++) {
    const attempt = testAttempt()
    await postAndCollect({ url: server.url, attempt, connections }).promise
    expect(attempt.events).toEqual(['connecting', 'sent', 'headers'])
    await server.idle()
  }
})

test.each([
  ['a part of an answer', (socket: Socket) => socket.end('HTTP/1.1 2')],
  ['something that is not HTTP', (socket: Socket) => socket.end('garbage\r\n\r\n')],
])('a request on a used connection that has brought %s is not sent again (R130)', async (_, die) => {
  const { server, requests } = await serverThatDies(die)
  const connections = testConnections()
  await warmUp(server.url, connections, 1)
  await rejection(postAndCollect({ url: server.url, connections }).promise)
  expect(requests).toEqual(['0:1', '0:2'])
})

test('a request that a server was at work on for a while is not sent again, on a used connection neither (R130)', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { server, requests } = await serverThatDies(socket => {
    vi.advanceTimersByTime(5_000)
    socket.end()
  })
  const connections = testConnections()
  await warmUp(server.url, connections, 1)
  expect(await rejection(postAndCollect({ url: server.url, connections }).promise)).toMatchObject({ reason: 'network' })
  expect(requests).toEqual(['0:1', '0:2'])
})

test('a request that died on a used connection and again on the fresh one is reason network: it is not sent a third time', async () => {
  let connectionCount = 0
  const server = await tcpServer((socket, index) => {
    connectionCount = index + 1
    if (index === 0) socket.once('data', () => socket.write(rawResponse('ok'), () => socket.on('data', () => socket.destroy())))
    else socket.on('data', () => socket.destroy())
  })
  const connections = testConnections()
  await warmUp(server.url, connections, 1)
  expect(await rejection(postAndCollect({ url: server.url, connections }).promise)).toMatchObject({ reason: 'network' })
  expect(connectionCount).toBe(2)
})

test('a connection that is reset before it is usable is tried once more', async () => {
  const server = await tcpServer(socket => socket.once('data', () => socket.resetAndDestroy()))
  const url = server.url.replace('http:', 'https:')
  const attempt = testAttempt()
  const error = await rejection(postAndCollect({ url, attempt, connections: testConnections() }).promise)
  expect(error).toMatchObject({ reason: 'network', cause: { code: 'ECONNRESET' } })
  expect(server.connections()).toBe(2)
  expect(attempt.events).toEqual(['connecting', 'connecting'])
})

test('with a dispatcher of the user too a request is sent again when the server closed the idle connection', async () => {
  const { server, requests } = await serverThatDies(socket => socket.end())
  const dispatcher = new Agent()
  onTestFinished(() => dispatcher.destroy())
  const connections = testConnections({ dispatcher })
  await warmUp(server.url, connections, 1)
  const { received, promise } = postAndCollect({ url: server.url, connections })
  await promise
  expect(received.text).toBe('ok')
  expect(requests).toEqual(['0:1', '0:2', '1:1'])
})

test('of a dispatcher of the user whose connections are all dead a request gets three more tries, and no fourth', async () => {
  const { server, requests } = await serverThatDies(socket => socket.end())
  const agents = Array.from({ length: 6 }, () => new Agent({ connections: 1 }))
  onTestFinished(async () => void (await Promise.all(agents.map(agent => agent.destroy()))))
  let asked = 0
  const inTurn = agents[0]!.compose(() => (options, handler) => agents[asked++ % agents.length]!.dispatch(options, handler))
  const connections = testConnections({ dispatcher: inTurn })
  for (const _ of agents) await warmUp(server.url, connections, 1)
  expect(await rejection(postAndCollect({ url: server.url, connections }).promise)).toMatchObject({ reason: 'network' })
  expect(requests.slice(agents.length)).toEqual(['0:2', '1:2', '2:2', '3:2'])
})

test('over TLS a fresh connection is not taken for a used one: its request is sent once (R130)', async () => {
  let requests = 0
  const { url, dispatcher } = await tlsServer(socket => {
    socket.on('data', () => {
      requests += 1
      socket.end()
    })
  })
  expect(await rejection(postAndCollect({ url, connections: testConnections({ dispatcher }) }).promise)).toMatchObject({
    reason: 'network',
  })
  expect(requests).toBe(1)
})

test('over TLS a request on a used connection is sent again', async () => {
  let requests = 0
  const { url, dispatcher } = await tlsServer(socket => {
    socket.once('data', () => {
      requests += 1
      socket.write(rawResponse('ok'))
      socket.once('data', () => {
        requests += 1
        socket.end()
      })
    })
  })
  const connections = testConnections({ dispatcher })
  await warmUp(url, connections, 1)
  await postAndCollect({ url, connections }).promise
  expect(requests).toBe(3)
})

/** A TLS server that needs no certificate, because both sides know a key, and a dispatcher that knows it. */
async function tlsServer(onConnection: (socket: Socket) => void) {
  const psk = Buffer.alloc(32, 7)
  const tls = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const
  const server = createServer({ ...tls, pskCallback: () => psk }, socket => onConnection(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connect = { ...tls, pskCallback: () => ({ psk, identity: 'test' }), checkServerIdentity: () => undefined }
  const dispatcher = new Agent({ connect, allowH2: false })
  onTestFinished(async () => {
    await dispatcher.destroy()
    server.close()
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, dispatcher }
}
