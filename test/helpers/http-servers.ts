import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'
import type { Attempt, ProviderEvent, ResponseHeaders } from '../../src/contract.ts'
import { type Connections, createConnections } from '../../src/http/connections.ts'
import { post, type PostRequest } from '../../src/http/post.ts'

export type TestServer = {
  readonly url: string
  readonly origin: string
  readonly port: number
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** How many there have been. */
  connections(): number
  /** Resolves when no connection is open. */
  idle(): Promise<void>
}

export type TestHttpServer = TestServer & {
  /** Leaves it to the client to close them. */
  keepIdleConnections(): void
  /** What it does with a request for a tunnel. */
  onConnect(listener: (request: IncomingMessage, socket: Duplex) => void): void
}

/** A server that is given raw connections. Closed when the test ends. */
export async function tcpServer(onConnection: (socket: Socket, index: number) => void): Promise<TestServer> {
  let index = 0
  return listen(
    createServer(socket =>
      onConnection(
        socket.on('error', () => {}),
        index++,
      ),
    ),
  )
}

/** An HTTP server. Closed when the test ends. */
export async function httpServer(listener: RequestListener): Promise<TestHttpServer> {
  const server = createHttpServer(listener)
  const keepIdleConnections = () => {
    server.keepAliveTimeout = 0
  }
  const onConnect: TestHttpServer['onConnect'] = connected => {
    server.on('connect', (request, socket) =>
      connected(
        request,
        socket.on('error', () => {}),
      ),
    )
  }
  return { ...(await listen(server)), keepIdleConnections, onConnect }
}

async function listen(server: Server): Promise<TestServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  const idle = () => server.emit('test-idle')
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) idle()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  return {
    url: `${origin}/chat`,
    origin,
    port,
    sockets,
    connections: () => connections,
    async idle() {
      if (sockets.size > 0) await once(server, 'test-idle')
    },
  }
}

/** Connections that are closed when the test ends. */
export function testConnections(options?: Parameters<typeof createConnections>[0]): Connections {
  const connections = createConnections(options)
  onTestFinished(() => connections.close())
  return connections
}

export type TestAttempt = Attempt & {
  readonly events: readonly ProviderEvent['type'][]
  abort(reason?: unknown): void
  /** How many wait for the reader to catch up. */
  waiting(): number
  drain(): void
}

/** An attempt that records what is emitted, and drains when it is told to. */
export function testAttempt(onEvent?: (event: ProviderEvent) => void): TestAttempt {
  const controller = new AbortController()
  const events: ProviderEvent['type'][] = []
  let listeners: (() => void)[] = []
  return {
    signal: controller.signal,
    events,
    emit(event) {
      events.push(event.type)
      onEvent?.(event)
      return true
    },
    onDrain: listener => void listeners.push(listener),
    abort: reason => controller.abort(reason),
    waiting: () => listeners.length,
    drain() {
      const called = listeners
      listeners = []
      for (const listener of called) listener()
    },
  }
}

export type Received = { status: number; headers: ResponseHeaders; text: string; ended: boolean }

/** Sends `{}` and collects what comes back; `received` fills while the promise is pending. */
export function postAndCollect(request: Partial<PostRequest> & Pick<PostRequest, 'url' | 'connections'>): {
  readonly received: Received
  readonly promise: Promise<void>
} {
  const received: Received = { status: 0, headers: {}, text: '', ended: false }
  const promise = post({
    headers: { 'content-type': 'application/json' },
    body: '{}',
    attempt: testAttempt(),
    respond(status, headers) {
      Object.assign(received, { status, headers })
      return {
        write(text) {
          received.text += text
          return true
        },
        end() {
          received.ended = true
        },
      }
    },
    ...request,
  })
  return { received, promise }
}

/** What a promise rejects with; fails when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('It was fulfilled.')
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Raw HTTP: a response that says how long its body is. */
export function rawResponse(body: string, headers = ''): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`
}

/** Resolves when a condition holds that the event loop brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}
