import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { createExchange, readBody } from './server/exchange.ts'
import type { Exchange } from './server/exchange.ts'
import { createMilestones } from './server/milestones.ts'
import type { Milestones } from './server/milestones.ts'
import { gone } from './server/pauses.ts'
import { cut, play } from './server/play.ts'
import { planOf } from './server/reply-plan.ts'
import type { ReceivedRequest } from './received-request.ts'
import { hang, type Reply, type ReplySource, status } from './reply.ts'
import { createReplyScript } from './server/reply-script.ts'
import type { ReplyScript } from './server/reply-script.ts'
import type { WireFormat, WireFormatName } from './wire/wire-format.ts'
import { wireFormatOf } from './wire/wire-formats.ts'

export type ServerOptions = {
  /** The service that it speaks like, or a format of your own. @default 'deepseek' */
  readonly format?: WireFormatName | WireFormat | undefined
  /**
   * Replies for single endpoints, by method and path without query. They come before the list and do not use it up, so that a
   * health check cannot take the reply that is meant for the model.
   *
   * @example
   * { 'GET /health': status(503), 'GET /v1/models': json({ data: [{ id: 'r1' }] }) }
   */
  readonly routes?: { readonly [endpoint: string]: ReplySource } | undefined
  /** 0 takes any that is free. @default 0 */
  readonly port?: number | undefined
  /** Closes a connection that was idle for so long, without an announcement, as many servers do. @default never */
  readonly closeIdleAfterMs?: number | undefined
}

/** A server that is listening. */
export type TestServer = {
  /** The origin: `http://127.0.0.1:` and the port. */
  readonly url: string
  /** What a client of this format is given: the origin, with `/v1` where the format has it. */
  readonly baseURL: string
  /** Every request that arrived whole, in order. */
  readonly requests: readonly ReceivedRequest[]
  /** Connections that were accepted so far, also those that were refused at once. */
  readonly connections: number
  openConnections(): number
  /** Resolves with request number `count`, counted from 1, as soon as it is there; rejects when the server is closed before. */
  untilRequests(count: number): Promise<ReceivedRequest>
  /** Resolves when no connection is open. Clients keep idle ones: close the client, or `closeIdleConnections()`, first. */
  untilAllClosed(): Promise<void>
  /** What comes from now on gets these replies. */
  replyWith(replies: ReplySource | readonly ReplySource[]): void
  /** Closes, without an announcement, every connection that waits for its next request. */
  closeIdleConnections(): void
  /** The process dies: every connection is reset and nobody listens any more. */
  down(): Promise<void>
  /** It listens again, on the same port. */
  up(): Promise<void>
  /** Ends everything: connections, timers, waits. Rejects if a reply function had thrown. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a real HTTP server on 127.0.0.1 that answers like a model service and misbehaves on request. Each request takes the
 * next reply of the list; the last one stays.
 *
 * @example
 * await using server = await startServer([status(503), answer('Hello.', { keepAlives: 3 })], { format: 'deepseek' })
 * const client = createClient({ chain: [deepseek('deepseek-flash', { baseURL: server.baseURL, apiKey: 'test' })] })
 * await client.generate('Hi')
 * server.requests.length   //=> 2
 */
export async function startServer(
  replies: ReplySource | readonly ReplySource[],
  options: ServerOptions = {},
): Promise<TestServer> {
  const house: House = {
    options,
    format: wireFormatOf(options.format ?? 'deepseek'),
    script: createReplyScript(replies),
    requests: [],
    exchanges: new Map(),
    sockets: new Map(),
    accepted: 0,
    isSilent: false,
    stopListening: () => void Reflect.apply(NetServer.prototype.close, server, []),
    milestones: createMilestones(),
    problems: [],
  }
  // Only what the replies say ends an exchange: none of the limits of node:http does.
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (message, response) => {
    void serve(house, message, response).catch((problem: unknown) => giveUp(house, response, problem))
  })
  server.on('connection', socket => accept(house, socket))
  await listen(server, options.port ?? 0)
  return faceOf(house, server)
}

/** All that a running server knows. */
type House = {
  readonly options: ServerOptions
  readonly format: WireFormat
  readonly script: ReplyScript
  readonly requests: ReceivedRequest[]
  /** Open connections, each with its number. */
  readonly sockets: Map<Socket, number>
  /** Connections that have a request under way. */
  readonly exchanges: Map<Socket, Exchange>
  accepted: number
  stopListening(): void
  /** Nobody listens, and nothing more is said over what is open. */
  isSilent: boolean
  readonly milestones: Milestones
  /** What reply functions threw. */
  readonly problems: unknown[]
}

function faceOf(house: House, server: Server): TestServer {
  const { exchanges, milestones, requests, sockets } = house
  const port = portOf(server)
  const url = `http://127.0.0.1:${port}`
  const close = async (): Promise<void> => {
    await stop(house, server)
    milestones.close(new Error(`The test server was closed after ${requests.length} requests.`))
    if (house.problems.length > 0) throw house.problems[0]
  }
  return {
    url,
    baseURL: url + house.format.basePath,
    requests,
    get connections() {
      return house.accepted
    },
    openConnections: () => sockets.size,
    async untilRequests(count) {
      await milestones.until(() => requests.length >= count)
      const request = requests[count - 1]
      if (request === undefined) throw new TypeError(`untilRequests: ${count} is no number of requests. Count from 1.`)
      return request
    },
    untilAllClosed: () => milestones.until(() => sockets.size === 0 && exchanges.size === 0),
    replyWith: replies => house.script.replace(replies),
    closeIdleConnections() {
      for (const socket of sockets.keys()) if (!exchanges.has(socket)) socket.destroySoon()
    },
    down: () => stop(house, server),
    up: () => listen(server, port),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function listen(server: Server, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, '127.0.0.1', resolve)
  await promise.finally(() => server.off('error', reject))
}

async function stop(house: House, server: Server): Promise<void> {
  const { exchanges, milestones, sockets } = house
  if (!server.listening && !house.isSilent) return
  house.isSilent = false
  const stopped = server.listening ? new Promise(resolve => server.close(resolve)) : undefined
  for (const exchange of exchanges.values()) exchange.stop()
  for (const socket of sockets.keys()) socket.resetAndDestroy()
  await stopped
  await milestones.until(() => sockets.size === 0)
}

function accept(house: House, socket: Socket): void {
  const { milestones, script, sockets } = house
  sockets.set(socket, house.accepted)
  house.accepted += 1
  socket.on('error', () => {})
  socket.on('close', () => {
    sockets.delete(socket)
    milestones.reached()
  })
  const next = script.peek()
  if (typeof next === 'object' && next.type === 'refuse') {
    script.take()
    cut(next.by, { socket, endsHere: () => {} })
  }
}

async function serve(house: House, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(message)
  if (body === undefined) return
  const { exchanges, milestones, requests, sockets } = house
  const { socket } = message
  const exchange = createExchange(message, response, { index: requests.length, connection: sockets.get(socket) ?? -1, body })
  let idleMs = house.options.closeIdleAfterMs
  response.on('close', () => {
    exchanges.delete(socket)
    milestones.reached()
    if (idleMs !== undefined) closeWhenIdle(house, socket, idleMs)
  })
  exchanges.set(socket, exchange)
  requests.push(exchange.request)
  milestones.reached()
  const reply = await replyFor(house, exchange.request)
  if (reply.type === 'linger') fallSilent(house)
  idleMs = reply.closeIdleAfterMs ?? idleMs
  await play(reply, planOf(reply, exchange.request, house.format), exchange.stage)
}

/** `close()` of an HTTP server would end idle connections too; that of its base only stops to listen. */
function fallSilent(house: House): void {
  house.isSilent = true
  for (const exchange of house.exchanges.values()) exchange.mute()
  house.stopListening()
}

async function replyFor({ isSilent, options, script }: House, request: ReceivedRequest): Promise<Reply> {
  if (isSilent) return hang()
  const source = options.routes?.[`${request.method} ${request.path.split('?')[0]}`] ?? fromList(script, request)
  return typeof source === 'function' ? source(request) : source
}

/** A list is for the model. What only looks at the server, such as `GET /models`, sees the next reply and leaves it there. */
function fromList(script: ReplyScript, { method, path }: ReceivedRequest): ReplySource {
  if (method !== 'GET') return script.take()
  const next = script.peek()
  const isAnswer = typeof next === 'object' && next.type === 'answer'
  return isAnswer ? status(404, { error: { message: `This server has no reply for GET ${path}.` } }) : next
}

function closeWhenIdle({ exchanges }: House, socket: Socket, idleMs: number): void {
  if (idleMs === 0) return socket.destroySoon()
  const timer = setTimeout(() => exchanges.has(socket) || socket.destroySoon(), idleMs)
  socket.on('close', () => clearTimeout(timer))
}

function giveUp({ problems }: House, response: ServerResponse, problem: unknown): void {
  if (problem === gone) return
  problems.push(problem)
  if (response.headersSent) response.destroy()
  else response.writeHead(500).end('A reply of the test server threw; close() tells what.')
}
