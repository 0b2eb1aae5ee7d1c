import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Write } from '../pump.ts'
import { tooLarge } from './chat-fetch.ts'
import { RequestError } from './request-error.ts'
import type { Headers, Reply, Told } from './reply.ts'

/** Reads the body as text. Rejects as soon as the body is known to be too large, without reading the rest. */
export function readText(request: IncomingMessage, most: number): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > most) return Promise.reject(tooLarge(most))
  const pieces: Buffer[] = []
  let size = 0
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  // events instead of an async iterator, which creates many objects for a body that is nearly always a single piece
  request.on('data', (piece: Buffer) => {
    size += piece.byteLength
    if (size > most) return reject(tooLarge(most))
    pieces.push(piece)
  })
  request.on('end', () => resolve(textOf(pieces)))
  request.on('error', reject)
  // the client disconnected in the middle of the body
  request.on('close', () => {
    if (!request.complete) reject(new RequestError('The request broke off before its end.', { code: 'broken_request' }))
  })
  return promise
}

function textOf(pieces: readonly Buffer[]): string {
  const [first = Buffer.alloc(0)] = pieces
  return (pieces.length > 1 ? Buffer.concat(pieces) : first).toString('utf8')
}

/** Writes a reply. Resolves with its outcome when everything is written or the client has disconnected. */
export async function sendReply(response: ServerResponse, reply: Reply, more: Headers): Promise<Told> {
  const headers = { ...reply.headers, ...more }
  if ('body' in reply) {
    const length = String(Buffer.byteLength(reply.body))
    response.writeHead(reply.status, { ...headers, 'content-length': length }).end(reply.body)
    if (reply.status === 413) drop(response.req)
    return reply.told
  }
  response.writeHead(reply.status, headers)
  const told = await reply.write(writeTo(response))
  response.end()
  return told
}

/** Reads and discards the rest of a request for a moment, because resetting the connection would destroy the answer. */
function drop(request: IncomingMessage): void {
  request.resume()
  const timer = setTimeout(() => request.destroy(), 1_000)
  request.once('close', () => clearTimeout(timer))
}

/** Fires when the client disconnects before it has the whole answer, and only then, because aborting a signal is expensive. */
export function leavingOf(response: ServerResponse): AbortSignal {
  const leaving = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) leaving.abort(left)
  })
  return leaving.signal
}

const left = new RequestError('The client closed the connection.', { code: 'client_left' })

/** Waits for a slow client, but not for one that has disconnected. */
function writeTo(response: ServerResponse): Write {
  return text => {
    if (response.destroyed || response.write(text)) return undefined
    const { promise, resolve } = Promise.withResolvers<void>()
    const go = (): void => {
      response.off('drain', go)
      response.off('close', go)
      resolve()
    }
    response.on('drain', go)
    response.on('close', go)
    return promise
  }
}
