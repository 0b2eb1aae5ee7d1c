import type { Write } from '../pump.ts'
import { checkEndpointOptions, defaultMaxBodyBytes } from './check-endpoint-options.ts'
import { createEndpoint, type EndpointOptions, type Routes } from './endpoint.ts'
import { type Headers, type Reply, requestIdOf } from './reply.ts'
import { RequestError } from './request-error.ts'

/** Options of `chatFetch()`. */
export type ChatFetchOptions = EndpointOptions & {
  /** The largest accepted request body, in bytes; a larger one is rejected with 413. @default 20 MiB */
  readonly maxBodyBytes?: number | undefined
}

/**
 * An OpenAI-compatible endpoint as one function from `Request` to `Response`, for Hono, Next.js, Bun and Deno. It serves `/chat/completions`
 * and `/models` under any path prefix. Authentication is up to the application.
 *
 * @param routes a client that answers for every `model`, or `{ [model]: client }`
 * @throws {TypeError} A route is not a client, or an option is wrong.
 *
 * @example
 * app.all('/v1/*', context => chat(context.req.raw)) // const chat = chatFetch(client)
 */
export function chatFetch(routes: Routes, options: ChatFetchOptions = {}): (request: Request) => Promise<Response> {
  checkEndpointOptions(options, 'chatFetch')
  const endpoint = createEndpoint(routes, options, 'chatFetch')
  const { maxBodyBytes = defaultMaxBodyBytes } = options
  return async request => {
    const leaving = new AbortController()
    const signal = AbortSignal.any([request.signal, leaving.signal])
    const reply = await endpoint.answer({
      ...{ method: request.method, path: new URL(request.url).pathname, signal },
      body: () => readText(request, maxBodyBytes),
    })
    const more = { 'x-request-id': requestIdOf(request.headers.get('x-request-id')) }
    return responseOf(reply, more, { leaving, signal })
  }
}

/** Counts the bytes as they arrive, because `content-length` is only a hint. */
async function readText(request: Request, most: number): Promise<string> {
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > most) throw tooLarge(most)
  if (request.body === null) return ''
  const decoder = new TextDecoder()
  let [text, size] = ['', 0]
  for await (const bytes of request.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
    size += bytes.byteLength
    if (size > most) throw tooLarge(most)
    text += decoder.decode(bytes, { stream: true })
  }
  return text + decoder.decode()
}

export function tooLarge(most: number): RequestError {
  return new RequestError(`The body is larger than ${most} bytes.`, {
    status: 413,
    code: 'request_too_large',
    headers: { connection: 'close' },
  })
}

export type Reader = {
  /** Aborted when the reader cancels. */
  readonly leaving: AbortController
  /** Fires when the reader cancels, and when the sender aborts the request. */
  readonly signal: AbortSignal
}

export function responseOf(reply: Reply, more: Headers, reader: Reader): Response {
  const headers = { ...reply.headers, ...more }
  if ('body' in reply) return new Response(reply.body, { status: reply.status, headers })
  return new Response(bodyOf(reply, reader), { status: reply.status, headers })
}

type Streamed = Extract<Reply, { write: unknown }>

/**
 * Not `ReadableStream.from()`, which would wait for the next token before a cancellation takes effect, and that token would be billed. The
 * writer waits until the reader has taken the previous text.
 */
function bodyOf(reply: Streamed, { leaving, signal }: Reader): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let wanted = Promise.withResolvers<void>()
  // a reader that has left never pulls again, so release the writer
  signal.addEventListener('abort', () => wanted.resolve(), { once: true })
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const write: Write = text => {
          if (signal.aborted) return undefined
          controller.enqueue(encoder.encode(text))
          if ((controller.desiredSize ?? 1) > 0) return undefined
          wanted = Promise.withResolvers()
          return wanted.promise
        }
        void reply
          .write(write)
          .then(
            told => (told.outcome === 'aborted' ? controller.error(signal.reason) : controller.close()),
            (error: unknown) => controller.error(error),
          )
          .catch(() => {})
      },
      pull: () => wanted.resolve(),
      cancel(reason) {
        leaving.abort(reason)
        wanted.resolve()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 64 * 1024 }),
  )
}
