import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Attempt } from '../../../src/contract.ts'
import { createConnections } from '../../../src/http/connections.ts'
import { post } from '../../../src/http/post.ts'
import { createSilenceWatch } from '../../../src/http/silence-watch.ts'
import type { Exchange } from '../../../src/http/exchange.ts'

/** A server that answers what it is told and then says nothing; `stopListening` leaves what is open open. */
async function silentServer(beginning: string) {
  const sockets: Socket[] = []
  let connections = 0
  const received = Promise.withResolvers<void>()
  const server = createServer(socket => {
    connections += 1
    sockets.push(socket.on('error', () => {}))
    socket.once('data', () => {
      received.resolve()
      socket.write(beginning)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    port,
    url: `http://127.0.0.1:${port}/`,
    received: received.promise,
    connections: () => connections,
    stopListening: () => void server.close(),
  }
}

function ask(url: string, onHeaders: () => void = () => {}) {
  const connections = createConnections()
  const controller = new AbortController()
  onTestFinished(async () => {
    controller.abort()
    await connections.close()
  })
  const attempt: Attempt = { signal: controller.signal, emit: () => true, onDrain: () => {} }
  const respond = () => {
    onHeaders()
    return { piece: () => true, end() {} } as never
  }
  return post({ url, headers: {}, body: '{}', connections, attempt, respond })
}

test('F104: a request before its headers whose server stopped listening is lost, and not silent for ever', async () => {
  const server = await silentServer('')
  const asked = ask(server.url)
  await server.received
  server.stopListening()
  await expect(asked).rejects.toMatchObject({ reason: 'network' })
  await expect(asked).rejects.toThrow('nothing listens there any more')
})

test('F104: an answer whose server stopped listening is truncated', async () => {
  const server = await silentServer('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
  await expect(ask(server.url, server.stopListening)).rejects.toMatchObject({ reason: 'truncated' })
})

test('F104: a server that still listens is looked at, one look at a time, and may be silent', async () => {
  const server = await silentServer('')
  const asked = [ask(server.url), ask(server.url), ask(server.url)]
  let isOver = false
  for (const one of asked) one.catch(() => {}).finally(() => (isOver = true))
  await expect.poll(server.connections, { timeout: 5_000 }).toBeGreaterThan(3)
  expect(server.connections()).toBeLessThanOrEqual(6)
  expect(isOver).toBe(false)
  server.stopListening()
  for (const one of asked) await expect(one).rejects.toMatchObject({ reason: 'network' })
})

test.for([
  ['http://127.0.0.1:8080', true],
  ['http://10.1.2.3', true],
  ['https://172.31.0.9:8443', true],
  ['http://192.168.1.4:8000', true],
  ['http://[::1]:8080', true],
  ['http://[fd00::1]:8080', true],
  ['http://localhost:8080', true],
  ['http://vllm-0.vllm.svc', true],
  ['http://replica1:8000', true],
  ['https://api.deepseek.com', false],
  ['https://8.8.8.8', false],
  ['http://172.32.0.1', false],
  ['http://[2001:db8::1]', false],
] as const)('F104: whether %s is looked at: %s', ([origin, isLookedAt]) => {
  const asked: string[] = []
  createSilenceWatch(host => {
    asked.push(host)
    return false
  }).add({ origin, over: true } as Exchange)
  expect(asked).toHaveLength(isLookedAt ? 1 : 0)
})
