import type { Answer } from '../reply.ts'
import type { ReceivedRequest } from '../received-request.ts'

/** A service whose wire format the server speaks. */
export type WireFormatName = 'deepseek' | 'openai' | 'llama' | 'vllm' | 'sglang' | 'ollama' | 'text-generation'

/**
 * How a service puts an answer into bytes. Bring your own for a service that is not in the list:
 * `startServer(replies, { format: myFormat })`.
 */
export type WireFormat = {
  readonly name: string
  /** What `server.baseURL` has after the origin, for example `/v1`. */
  readonly basePath: string
  /** Does this request want a stream? A format that cannot stream answers `false`. */
  wantsStream(request: ReceivedRequest): boolean
  stream(answer: Answer, request: ReceivedRequest): StreamBody
  /** The whole answer as one value, sent as JSON. */
  json(answer: Answer, request: ReceivedRequest): unknown
  /**
   * The body that this service sends with an error status: a value for JSON, a string as it is. `retryAfterMs` is the time that the reply
   * wants to be named; only a service with `retryAfterIn: 'body'` puts it here.
   */
  error(status: number, request: ReceivedRequest, retryAfterMs?: number): unknown
  /** Where this service names the time to come back: in the header `Retry-After`, or in the body that `error()` makes. @default 'header' */
  readonly retryAfterIn?: 'header' | 'body' | undefined
  /** An error inside a 200, as it stands on the wire; `undefined`: that of a busy server. `done`: does the stream's `[DONE]` follow? */
  inBandError(error: unknown, isStream: boolean, request: ReceivedRequest): { readonly text: string; readonly done: boolean }
  /** One sign of life while the request waits. */
  keepAlive(isStream: boolean, request: ReceivedRequest): string
  /** `content-type` and the headers that the service is known by. */
  headers(kind: 'stream' | 'json' | 'error', request: ReceivedRequest): { readonly [name: string]: string }
}

/** A stream in parts, each text as it stands on the wire with its blank line. */
export type StreamBody = {
  readonly opening: readonly string[]
  /** One for each delta. */
  readonly chunks: readonly string[]
  /** The frame with the finish reason, and one for the usage where the format has it. */
  readonly finish: readonly string[]
  readonly done: string | undefined
}
