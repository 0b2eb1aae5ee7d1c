import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Attempt } from '../../../src/contract.ts'
import { createConnections } from '../../../src/http/connections.ts'
import { post } from '../../../src/http/post.ts'

/** A server that answers what it is told and then says nothing; `stopListening` leaves what is open open. */
async function silentServer(beginning: string, page: 'silent' | 'answered' = 'silent') {
  const sockets: Socket[] = []
  let connections = 0
  let pages = 0
  let isSilent = false
  const received = Promise.withResolvers<void>()
  const server = createServer(socket => {
    connections += 1
    sockets.push(socket.on('error', () => {}))
    socket.on('data', (bytes: Buffer) => {
      if (bytes.toString().startsWith('GET /props ')) {
        pages += 1
        if (page === 'answered') socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n')
        return
      }
      received.resolve()
      if (!isSilent) socket.write(beginning)
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
    pages: () => pages,
    beSilent: () => void (isSilent = true),
    stopListening: () => void server.close(),
  }
}

function ask(url: string, onHeaders: () => void = () => {}, page?: string, connections = createConnections({ page })) {
  const controller = new AbortController()
  onTestFinished(async () => {
    controller.abort()
    await connections.close()
  })
  const attempt: Attempt = { signal: controller.signal, emit: () => true, onDrain: () => {} }
  const respond = () => {
    onHeaders()
    return { write: () => true, end() {}, isOver: () => false, lost: () => false } as never
  }
  return post({ url, headers: {}, body: '{}', connections, attempt, respond })
}

test('F104: a request before its headers whose server stopped listening is lost, and not silent for ever', async () => {
  const server = await silentServer('')
  const asked = ask(server.url)
  await server.received
  server.stopListening()
  await expect(asked).rejects.toMatchObject({ reason: 'network' })
  await expect(asked).rejects.toThrow('nothing listens there any longer')
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

const headers = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const begun = `${headers}7\r\ndata: 1\r\n`

test('F104: a server that listens and no longer answers its page has stopped, and so have all that wait there', async () => {
  const server = await silentServer(begun)
  const asked = ask(server.url, () => {}, '/props')
  await expect(asked).rejects.toMatchObject({ reason: 'truncated' })
  expect(server.pages()).toBe(2)
})

test('F104: a server that was awake when a request came has stopped when it answers neither that nor its page', async () => {
  const server = await silentServer('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  const connections = createConnections({ page: '/props' })
  await ask(server.url, () => {}, '/props', connections)
  server.beSilent()
  await expect(ask(server.url, () => {}, '/props', connections)).rejects.toMatchObject({ reason: 'network' })
})

test.for([
  ['answers its page, with whatever status', begun, 'answered', '/props', true],
  ['may be waking up, because nothing of the answer has come', '', 'silent', '/props', false],
  ['has no such page', begun, 'silent', undefined, false],
] as const)('F104: a silent server is left alone that %s', async ([, beginning, answers, page, isAsked]) => {
  const server = await silentServer(beginning, answers)
  let isOver = false
  ask(server.url, () => {}, page)
    .finally(() => (isOver = true))
    .catch(() => {})
  await expect.poll(server.connections, { timeout: 12_000 }).toBeGreaterThan(isAsked ? 4 : 3)
  expect(isOver).toBe(false)
  expect(server.pages() > 0).toBe(isAsked)
})
