import type { IncomingMessage, ServerResponse } from 'node:http'
import { isRecord } from '../../check.ts'
import { checkEndpointOptions, defaultMaxBodyBytes } from './check-endpoint-options.ts'
import { createEndpoint, type EndpointOptions, type Routes } from './endpoint.ts'
import { leavingOf, readText, sendReply } from './node-http.ts'
import { requestIdOf } from './reply.ts'

/** Options of `chatHandler()`. */
export type ChatHandlerOptions = EndpointOptions & {
  /** The largest accepted request body, in bytes; a larger one is rejected with 413. @default 20 MiB */
  readonly maxBodyBytes?: number | undefined
}

/** The properties that frameworks on node:http add to a request. */
type Incoming = IncomingMessage & { readonly body?: unknown; readonly originalUrl?: string }

/**
 * An OpenAI-compatible endpoint for node:http, Express and everything else that takes their handlers. It serves `/chat/completions` and
 * `/models` under any path prefix. A body that the framework has already parsed is used. Other paths go to `next`, if there is one.
 *
 * @param routes a client that answers for every `model`, or `{ [model]: client }`
 * @throws {TypeError} A route is not a client, or an option is wrong.
 *
 * @example
 * createServer(chatHandler(client)).listen(4000)
 */
export function chatHandler(
  routes: Routes,
  options: ChatHandlerOptions = {},
): (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void {
  checkEndpointOptions(options, 'chatHandler')
  const endpoint = createEndpoint(routes, options, 'chatHandler')
  const { maxBodyBytes = defaultMaxBodyBytes } = options
  return (request: Incoming, response, next) => {
    const path = pathOf(request.originalUrl ?? request.url)
    if (next !== undefined && !endpoint.knows(path)) return next()
    const asked = {
      ...{ method: request.method ?? 'GET', path, signal: leavingOf(response) },
      body: async () => bodyOf(request, maxBodyBytes),
    }
    const more = { 'x-request-id': requestIdOf(idOf(request)) }
    endpoint.answer(asked).then(
      reply => sendReply(response, reply, more),
      // the client has disconnected, so the error cannot be reported
      () => {},
    )
  }
}

/** Returns the body that a framework has left, as an object, text or bytes; otherwise reads it. */
function bodyOf(request: Incoming, most: number): unknown {
  const { body } = request
  // Express 4 leaves {} where none of its parsers was responsible for the content type
  const isRead = body !== undefined && !(isRecord(body) && Object.keys(body).length === 0 && !request.readableDidRead)
  if (isRead) return body instanceof Uint8Array ? new TextDecoder().decode(body) : body
  // it would never end again
  if (request.readableEnded) throw new TypeError('chatHandler: the body was read before, and request.body does not have it.')
  return readText(request, most)
}

export function pathOf(url: string | undefined): string {
  return (url ?? '/').split(/[?#]/, 1)[0] ?? '/'
}

export function idOf({ headers }: IncomingMessage): string | undefined {
  const id = headers['x-request-id']
  return Array.isArray(id) ? id[0] : id
}
