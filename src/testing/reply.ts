import type { FinishReason, Usage } from '../contract.ts'
import type { ReceivedRequest } from './received-request.ts'

/**
 * A position in an answer: after this number of content chunks, or after the finish frame. A chunk is one delta of reasoning, text
 * or a tool call; roles, usage and `[DONE]` do not count. A body that is not a stream has two chunks: its halves. A number beyond
 * the last chunk means after the last chunk.
 */
export type Position = number | 'finish'

/**
 * How a reply is slow or broken. All options can be combined and added to any reply. The order on the wire is: headers, keep-alives,
 * role, first chunk, chunks, finish, usage, `[DONE]`. At the same position, a stall comes before an error and an error before a cut.
 *
 * Milliseconds are real time; `Infinity` means for ever. Every wait ends when the client disconnects or the server is closed.
 */
export type Conduct = {
  /** The HTTP status. @default 200 */
  readonly status?: number | undefined
  /** Response headers that override those of the wire format. The value `undefined` removes a header. */
  readonly headers?: { readonly [name: string]: string | readonly string[] | undefined } | undefined
  /**
   * The retry delay that an error of the wire format announces, in the place that the service uses: `Retry-After` or the body.
   * @default none
   */
  readonly retryAfterMs?: number | undefined
  /** Short for the header `content-type`. `''` omits the header. */
  readonly contentType?: string | undefined
  /** Compresses the body even if the client did not ask for compression, as some proxies do. Every write is flushed. */
  readonly contentEncoding?: 'gzip' | 'br' | 'deflate' | undefined
  /** Silence before status and headers. @default 0 */
  readonly headersAfterMs?: number | undefined
  /** Status and headers wait for this promise, see {@link hold}. */
  readonly headersUntil?: Promise<unknown> | undefined
  /** The number of keep-alives after the headers: comments in a stream, blank lines in any other body. @default 0 */
  readonly keepAlives?: number | undefined
  /** How long keep-alives are sent. `Infinity`: the queue never ends. @default 0 */
  readonly keepAliveForMs?: number | undefined
  /** Keep-alives until this promise settles. */
  readonly keepAliveUntil?: Promise<unknown> | undefined
  /** Time between two keep-alives. @default 10 */
  readonly keepAliveEveryMs?: number | undefined
  /** The bytes of one keep-alive. @default what the wire format sends */
  readonly keepAlive?: string | undefined
  /** Silence before the first content, after headers, keep-alives and role. @default 0 */
  readonly firstChunkAfterMs?: number | undefined
  /** The first content waits for this promise. */
  readonly firstChunkUntil?: Promise<unknown> | undefined
  /** Silence between two chunks. @default 0 */
  readonly chunkEveryMs?: number | undefined
  /** Stalls at this position. Without `stallForMs` and `stallUntil` the stall lasts for ever. */
  readonly stallAfterChunks?: Position | undefined
  /** How long the stall lasts, in milliseconds. @default for ever */
  readonly stallForMs?: number | undefined
  /** The stall lasts until this promise settles. */
  readonly stallUntil?: Promise<unknown> | undefined
  /** The answer breaks off at this position. */
  readonly cutAfterChunks?: Position | undefined
  /**
   * `fin`: the connection is closed in the middle of the body. `rst`: the connection is reset. `end`: the body ends correctly for
   * HTTP, so that only the missing part of the answer reveals the cut. @default 'fin'
   */
  readonly cutBy?: 'fin' | 'rst' | 'end' | undefined
  /** An error object replaces the rest of the answer, although the status was 200. A body that is not a stream contains only the error. */
  readonly errorAfterChunks?: Position | undefined
  /** The error object, exactly as it is sent. @default the overload error of the wire format */
  readonly error?: unknown
  /** What follows the error: `[DONE]` and the end, or only the end. @default what the wire format does */
  readonly errorThen?: 'done' | 'end' | undefined
  /** This chunk, counted from 0, contains truncated JSON. The rest of the answer follows unchanged. */
  readonly malformedChunk?: number | undefined
  /** The last chunk contains truncated JSON, and then the body ends correctly for HTTP. */
  readonly truncatedJson?: boolean | undefined
  /** Omits the frame with the finish reason, and the usage too. */
  readonly noFinish?: boolean | undefined
  /** Omits `[DONE]` in formats that have it. */
  readonly noDone?: boolean | undefined
  /** Sends status and headers, but no body. */
  readonly emptyBody?: boolean | undefined
  /** Sends a body of blank lines only. */
  readonly blankBody?: boolean | undefined
  /**
   * How the bytes are written: one write per event, per byte, or per given number of bytes regardless of where events end; or as
   * much as there is in one write. Multi-byte characters may be split. @default 'event', for a body that is not a stream 'whole'
   */
  readonly split?: 'event' | 'byte' | 'whole' | number | undefined
  /**
   * After this reply, the server closes the connection without announcement once it has been idle for this time. 0: at once.
   * @default the option of the server; undefined: never
   */
  readonly closeIdleAfterMs?: number | undefined
}

/** The content of an answer, before a wire format encodes it. */
export type Answer = {
  readonly text: readonly string[]
  readonly reasoning: readonly string[]
  readonly toolCalls: readonly AnswerToolCall[]
  /** `null`: no usage is reported. */
  readonly usage: Usage | null
  /** The finish reason as it is sent. `null`: the finish frame has none. */
  readonly finishReason: string | null
  /** @default the model that was requested */
  readonly model: string | undefined
  readonly id: string | undefined
  /** Additional fields of the message. */
  readonly extra?: { readonly [field: string]: unknown } | undefined
}

/** A tool call in an `answer()`. */
export type AnswerToolCall = {
  readonly toolName: string
  /** A string is sent unchanged, so that a test can send invalid JSON; any other value is sent as JSON. */
  readonly input: unknown
  /** @default an id in the style of the wire format */
  readonly toolCallId?: string | undefined
  /** Additional fields of the tool call, such as a signature that the service expects back. @default none */
  readonly extra?: { readonly [field: string]: unknown } | undefined
}

/** Options of `answer()`: what the answer contains besides its text, and how it is sent. */
export type AnswerOptions = Conduct & {
  /** The reasoning before the text. A list becomes one chunk per item, a string one chunk per word. */
  readonly reasoning?: string | readonly string[] | undefined
  /** Tool calls after the text. @default none */
  readonly toolCalls?: readonly AnswerToolCall[] | undefined
  /** The usage, sent where the format reports it; `null` reports none. @default counts chunks as tokens */
  readonly usage?: Usage | null | undefined
  /** Additional fields of the message; in a stream they form a chunk of their own after all others. @default none */
  readonly extra?: { readonly [field: string]: unknown } | undefined
  /** A finish reason of unbusy, or any string, which is sent unchanged. @default 'stop', with tool calls 'tool-calls' */
  readonly finishReason?: FinishReason | (string & {}) | null | undefined
  /** The model name in the answer. @default the model that was requested */
  readonly model?: string | undefined
  /** The id of the answer. @default an id in the style of the format */
  readonly id?: string | undefined
}

/** What the server does with one request. Plain data: `{ ...status(503), headersAfterMs: 50 }` is a reply too. */
export type Reply = Conduct &
  (
    | { readonly type: 'answer'; readonly answer: Answer }
    /** The error body that the wire format sends with this status. */
    | { readonly type: 'error' }
    | {
        readonly type: 'body'
        readonly body: readonly (string | Uint8Array)[] | Iterable<string | Uint8Array>
        readonly isStream: boolean
      }
    | { readonly type: 'hang' }
    | { readonly type: 'linger' }
    | { readonly type: 'refuse'; readonly by: 'fin' | 'rst' }
    | { readonly type: 'garbage'; readonly bytes: string | Uint8Array }
  )

/** A reply, or a function that makes one from the request. */
export type ReplySource = Reply | ((request: ReceivedRequest) => Reply | Promise<Reply>)

/**
 * A model's answer in the server's wire format: a stream when the request asks for one, else JSON.
 * A list becomes one chunk per item, a string one chunk per word.
 *
 * @example
 * answer('Hello there.', { reasoning: 'A greeting.', keepAlives: 3, cutAfterChunks: 1, cutBy: 'rst' })
 */
export function answer(text: string | readonly string[], options: AnswerOptions = {}): Reply {
  const { reasoning = [], toolCalls = [], usage, finishReason, model, id, extra, ...conduct } = options
  const content = { text: chunksOf(text), reasoning: chunksOf(reasoning), toolCalls }
  const wireFinish = finishReason === undefined ? (toolCalls.length > 0 ? 'tool_calls' : 'stop') : wireNameOf(finishReason)
  const reported = usage === undefined ? countedUsage(content) : usage
  return { ...conduct, type: 'answer', answer: { ...content, usage: reported, finishReason: wireFinish, model, id, extra } }
}

/**
 * A status and a body: strings and bytes are sent unchanged, any other value as JSON. Without a body, the wire format's error for
 * this status is sent; `''` sends no body.
 *
 * @example
 * status(429, undefined, { 'retry-after': '2' })
 * ({ ...status(429), retryAfterMs: 2_000 })   // sent where the wire format puts it: in that header or in the body
 */
export function status(code: number, body?: unknown, headers: Conduct['headers'] = {}): Reply {
  if (body === undefined && code >= 400) return { type: 'error', status: code, headers }
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array)
    return { ...raw(body ?? ''), status: code, headers }
  return json(body, { status: code, headers })
}

/** Any value as a JSON body. */
export function json(value: unknown, conduct: Conduct = {}): Reply {
  return { contentType: 'application/json', ...conduct, type: 'body', body: halvesOf(JSON.stringify(value)), isStream: false }
}

/**
 * A body that is sent unchanged. Each item of a list, or of any iterable, is one chunk and one write, so that a test can split
 * recorded bytes at the position that triggers a bug. An endless generator makes an endless answer.
 *
 * @example
 * raw(['data: {"choices":[{"del', 'ta":{"content":"Hi"}}]}\n\n'], { contentType: 'text/event-stream' })
 */
export function raw(body: string | Uint8Array | Iterable<string | Uint8Array>, conduct: Conduct = {}): Reply {
  if (typeof body === 'string') return { ...conduct, type: 'body', body: halvesOf(body), isStream: false }
  if (body instanceof Uint8Array) return { ...conduct, type: 'body', body: [body], isStream: false }
  return { ...conduct, type: 'body', body, isStream: true }
}

/** Accepts the request and never answers, not even with a status. */
export function hang(): Reply {
  return { type: 'hang' }
}

/**
 * From this request on, the server stops listening, and open connections stay open without an answer: this request, requests in
 * progress, and new requests on kept-alive connections. llama.cpp behaves like this between SIGTERM and its exit. `server.down()` or
 * `close()` ends this state; `up()` after `down()` listens again.
 */
export function linger(): Reply {
  return { type: 'linger' }
}

/**
 * Ends the connection instead of answering: a new connection right after it was accepted, a kept-alive one at its next request.
 * For a port without a listener, see `server.down()`.
 */
export function refuse(by: 'fin' | 'rst' = 'rst'): Reply {
  return { type: 'refuse', by }
}

/** Writes bytes, which need not be HTTP, directly to the socket and then closes it. */
export function garbage(bytes: string | Uint8Array): Reply {
  return { type: 'garbage', bytes }
}

/** Splits roughly like a tokenizer: each chunk is a word and the space after it. */
function chunksOf(text: string | readonly string[]): readonly string[] {
  return typeof text === 'string' ? (text.match(/\S+\s*|\s+/g) ?? []) : text
}

function wireNameOf(finishReason: string | null): string | null {
  if (finishReason === 'tool-calls') return 'tool_calls'
  return finishReason === 'content-filter' ? 'content_filter' : finishReason
}

function countedUsage(content: Pick<Answer, 'text' | 'reasoning' | 'toolCalls'>): Usage {
  const reasoningTokens = content.reasoning.length
  const outputTokens = reasoningTokens + content.text.length + content.toolCalls.length
  return { inputTokens: 12, cachedInputTokens: 0, outputTokens, reasoningTokens, totalTokens: 12 + outputTokens }
}

/** Splits the bytes, not the string: a surrogate pair split as a string would be encoded as two replacement characters. */
export function halvesOf(body: string): readonly Uint8Array[] {
  const bytes = Buffer.from(body)
  const middle = Math.ceil(bytes.length / 2)
  return [bytes.subarray(0, middle), bytes.subarray(middle)].filter(half => half.length > 0)
}
