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

/** Options of `startServer()`. */
export type ServerOptions = {
  /** The service whose wire format the server uses, or a format of your own. @default 'deepseek' */
  readonly format?: WireFormatName | WireFormat | undefined
  /**
   * Replies for single endpoints, by method and path without the query. They take precedence over the list and do not use it up, so
   * that a health check cannot consume a reply meant for the model.
   *
   * @example
   * { 'GET /health': status(503), 'GET /v1/models': json({ data: [{ id: 'r1' }] }) }
   */
  readonly routes?: { readonly [endpoint: string]: ReplySource } | undefined
  /** The port; 0 picks any free port. @default 0 */
  readonly port?: number | undefined
  /** Closes a connection without announcement once it has been idle for this time, as many servers do. @default never */
  readonly closeIdleAfterMs?: number | undefined
}

/** A server that is listening. */
export type TestServer = {
  /** The origin: `http://127.0.0.1:` and the port. */
  readonly url: string
  /** The base URL for a client of this format: the origin, with `/v1` where the format has it. */
  readonly baseURL: string
  /** Every request that arrived completely, in order. */
  readonly requests: readonly ReceivedRequest[]
  /** The number of connections accepted so far, including those that were refused at once. */
  readonly connections: number
  /** The number of open connections. */
  openConnections(): number
  /** Resolves with request number `count`, counted from 1, once it has arrived; rejects if the server is closed first. */
  untilRequests(count: number): Promise<ReceivedRequest>
  /** Resolves when no connection is open. Clients keep idle connections: first close the client or call `closeIdleConnections()`. */
  untilAllClosed(): Promise<void>
  /** Sets the replies for all requests from now on. */
  replyWith(replies: ReplySource | readonly ReplySource[]): void
  /** Closes every idle connection without announcement. */
  closeIdleConnections(): void
  /** Simulates a crash: resets every connection and stops listening. */
  down(): Promise<void>
  /** Listens again on the same port. */
  up(): Promise<void>
  /** Ends all connections, timers and waits. Rejects if a reply function has thrown. */
  close(): Promise<void>
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a real HTTP server on 127.0.0.1 that answers like a model service and misbehaves on request. Each request uses the next
 * reply of the list; the last reply repeats.
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
  // Only the replies end an exchange, so the timeouts of node:http are disabled.
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (message, response) => {
    void serve(house, message, response).catch((problem: unknown) => giveUp(house, response, problem))
  })
  server.on('connection', socket => accept(house, socket))
  await listen(server, options.port ?? 0)
  return faceOf(house, server)
}

/** The state of a running server. */
type House = {
  readonly options: ServerOptions
  readonly format: WireFormat
  readonly script: ReplyScript
  readonly requests: ReceivedRequest[]
  /** All open connections and their numbers. */
  readonly sockets: Map<Socket, number>
  /** Connections with a request in progress. */
  readonly exchanges: Map<Socket, Exchange>
  accepted: number
  stopListening(): void
  /** The server does not listen, and sends nothing more on open connections. */
  isSilent: boolean
  readonly milestones: Milestones
  /** Everything that reply functions have thrown. */
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
      if (request === undefined)
        throw new TypeError(`untilRequests: ${count} is not a number of requests. Write a whole number, 1 or more.`)
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

/** The `close()` of an HTTP server would also end idle connections; that of its base class only stops listening. */
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

/** The list is for calls of the model. A request that only checks the server, such as `GET /models`, gets the next reply without using it up. */
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
  else response.writeHead(500).end('A reply of the test server threw. close() rejects with its error.')
}
