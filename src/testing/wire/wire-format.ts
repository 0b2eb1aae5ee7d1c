import type { Answer } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'

/** The name of a service whose wire format is built in. */
export type WireFormatName = 'deepseek' | 'openai' | 'llama' | 'vllm' | 'sglang' | 'ollama' | 'text-generation'

/**
 * How a service encodes an answer. Write your own for a service that is not built in: `startServer(replies, { format: myFormat })`.
 */
export type WireFormat = {
  readonly name: string
  /** The part of `server.baseURL` after the origin, for example `/v1`. */
  readonly basePath: string
  /** Returns whether this request asks for a stream. A format that cannot stream returns `false`. */
  wantsStream(request: ReceivedRequest): boolean
  /** Returns the body of a streamed answer. */
  stream(answer: Answer, request: ReceivedRequest): StreamBody
  /** Returns the whole answer as one value, which is sent as JSON. */
  json(answer: Answer, request: ReceivedRequest): unknown
  /**
   * Returns the body for an error status. A string is sent unchanged, any other value as JSON. `retryAfterMs` is the retry delay of
   * the reply; only a service with `retryAfterIn: 'body'` puts it into the body.
   */
  error(status: number, request: ReceivedRequest, retryAfterMs?: number): unknown
  /** Where this service announces the retry delay: in the header `Retry-After` or in the body that `error()` returns. @default 'header' */
  readonly retryAfterIn?: 'header' | 'body' | undefined
  /**
   * Returns an error inside a response with status 200, as it is sent. If `error` is `undefined`, it is the error of an overloaded
   * server. `done` says whether `[DONE]` follows in a stream.
   */
  inBandError(error: unknown, isStream: boolean, request: ReceivedRequest): { readonly text: string; readonly done: boolean }
  /** Returns one keep-alive for a request that waits. */
  keepAlive(isStream: boolean, request: ReceivedRequest): string
  /** Returns `content-type` and the typical headers of the service. */
  headers(kind: 'stream' | 'json' | 'error', request: ReceivedRequest): { readonly [name: string]: string }
}

/** The parts of a stream. Each string is sent unchanged and includes its blank line. */
export type StreamBody = {
  readonly opening: readonly string[]
  /** One string for each delta. */
  readonly chunks: readonly string[]
  /** The frame with the finish reason, and the usage frame if the format has one. */
  readonly finish: readonly string[]
  readonly done: string | undefined
}
