import type { FinishReason, Usage } from '../contract.ts'
import { halvesOf } from './server/halves.ts'
import type { ReceivedRequest } from './received-request.ts'

/**
 * A place in an answer: so many content chunks were sent, or the finish frame was. A chunk is one delta of reasoning, text or a
 * tool call; roles, usage and `[DONE]` are none. A body that is no stream has two: its halves. A number beyond the last chunk
 * means after the last.
 */
export type Position = number | 'finish'

/**
 * How a reply is slow or wrong. All of it can be combined and put on any reply; the order on the wire is: headers, keep-alives,
 * role, first chunk, chunks, finish, usage, `[DONE]`. At one position a stall comes before an error and an error before a cut.
 *
 * Milliseconds run on real timers; `Infinity` is for ever, and everything ends when the client leaves or the server is closed.
 */
export type Conduct = {
  /** The HTTP status. @default 200 */
  readonly status?: number | undefined
  /** Headers of the response, over those that the wire format sends. `undefined` removes one. */
  readonly headers?: { readonly [name: string]: string | readonly string[] | undefined } | undefined
  /** An error of the wire format's own names this time to come back, where that service names it: in `Retry-After`, or in its body. @default none */
  readonly retryAfterMs?: number | undefined
  /** Short for the header `content-type`. `''` sends none. */
  readonly contentType?: string | undefined
  /** Compresses the body, whatever the client asked for, as some proxies do. Flushed after every write. */
  readonly contentEncoding?: 'gzip' | 'br' | 'deflate' | undefined
  /** Silence before status and headers. @default 0 */
  readonly headersAfterMs?: number | undefined
  /** Status and headers wait for this promise, see {@link hold}. */
  readonly headersUntil?: Promise<unknown> | undefined
  /** So many keep-alives after the headers: comments in a stream, blank lines otherwise. @default 0 */
  readonly keepAlives?: number | undefined
  /** Keep-alives for this time. `Infinity`: the queue never ends. @default 0 */
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
  /** Goes silent at this position. Without `stallForMs` and `stallUntil`: for ever. */
  readonly stallAfterChunks?: Position | undefined
  readonly stallForMs?: number | undefined
  readonly stallUntil?: Promise<unknown> | undefined
  /** The answer breaks off at this position. */
  readonly cutAfterChunks?: Position | undefined
  /**
   * `fin`: the connection is closed in the middle of the body. `rst`: it is reset. `end`: the body ends as HTTP wants it, so
   * that only what is missing from the answer tells. @default 'fin'
   */
  readonly cutBy?: 'fin' | 'rst' | 'end' | undefined
  /** An error object takes the place of the rest, although the status was 200. A body that is no stream is the error alone. */
  readonly errorAfterChunks?: Position | undefined
  /** The error object, as it stands on the wire. @default the overload error of the wire format */
  readonly error?: unknown
  /** What follows the error: `[DONE]` and the end, or only the end. @default what the wire format does */
  readonly errorThen?: 'done' | 'end' | undefined
  /** This chunk, counted from 0, carries half a JSON; the rest goes on as if nothing were wrong. */
  readonly malformedChunk?: number | undefined
  /** The last chunk is half a JSON, and then the body ends as HTTP wants it. */
  readonly truncatedJson?: boolean | undefined
  /** Leaves out the frame with the finish reason, and the usage with it. */
  readonly noFinish?: boolean | undefined
  /** Leaves out the `[DONE]` of formats that have one. */
  readonly noDone?: boolean | undefined
  /** Status and headers, and not one byte of body. */
  readonly emptyBody?: boolean | undefined
  /** A body of blank lines only. */
  readonly blankBody?: boolean | undefined
  /**
   * How the bytes are written: one write for each event, for each byte, for so many bytes wherever an event ends, or one for
   * as much as is there. Characters of several bytes are torn apart. @default 'event', for a body that is no stream 'whole'
   */
  readonly split?: 'event' | 'byte' | 'whole' | number | undefined
  /**
   * After this reply the connection is closed when it was idle for so long, without an announcement. 0: at once.
   * @default that of the server; undefined: never
   */
  readonly closeIdleAfterMs?: number | undefined
}

/** What a model says, before a wire format gives it its form. */
export type Answer = {
  readonly text: readonly string[]
  readonly reasoning: readonly string[]
  readonly toolCalls: readonly AnswerToolCall[]
  /** `null`: none is reported. */
  readonly usage: Usage | null
  /** As on the wire. `null`: the finish frame names none. */
  readonly finishReason: string | null
  /** @default the model that was asked for */
  readonly model: string | undefined
  readonly id: string | undefined
}

export type AnswerToolCall = {
  readonly toolName: string
  /** A string is sent as it is, so that arguments can be broken; anything else as JSON. */
  readonly input: unknown
  /** @default an id as the wire format makes them */
  readonly toolCallId?: string | undefined
}

export type AnswerOptions = Conduct & {
  /** What the model thinks first. A list is one chunk for each item, a text is one for each word. */
  readonly reasoning?: string | readonly string[] | undefined
  readonly toolCalls?: readonly AnswerToolCall[] | undefined
  /** Figures for the frame where the format has them; `null` reports none. @default counts chunks as tokens */
  readonly usage?: Usage | null | undefined
  /** Ours, or any string as on the wire. @default 'stop', with tool calls 'tool-calls' */
  readonly finishReason?: FinishReason | (string & {}) | null | undefined
  readonly model?: string | undefined
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

/** A reply, or what makes one of the request. */
export type ReplySource = Reply | ((request: ReceivedRequest) => Reply | Promise<Reply>)

/**
 * A model's answer in the server's wire format: a stream when the request asks for one, else JSON.
 * A list is one chunk for each item, a text is one chunk for each word.
 *
 * @example
 * answer('Hello there.', { reasoning: 'A greeting.', keepAlives: 3, cutAfterChunks: 1, cutBy: 'rst' })
 */
export function answer(text: string | readonly string[], options: AnswerOptions = {}): Reply {
  const { reasoning = [], toolCalls = [], usage, finishReason, model, id, ...conduct } = options
  const content = { text: chunksOf(text), reasoning: chunksOf(reasoning), toolCalls }
  const wireFinish = finishReason === undefined ? (toolCalls.length > 0 ? 'tool_calls' : 'stop') : wireNameOf(finishReason)
  const reported = usage === undefined ? countedUsage(content) : usage
  return { ...conduct, type: 'answer', answer: { ...content, usage: reported, finishReason: wireFinish, model, id } }
}

/**
 * A status and a body: text and bytes as they are, anything else as JSON. Without a body: the error that the wire format sends
 * with this status; `''` sends none.
 *
 * @example
 * status(429, undefined, { 'retry-after': '2' })
 * ({ ...status(429), retryAfterMs: 2_000 })   // named where the wire format names times: in that header, or in the body
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
 * A body as it is. Of a list, or of anything that can be iterated, each item is one chunk and one write, so that recorded bytes
 * can be torn where a bug needs it; a generator without end is an answer without end.
 *
 * @example
 * raw(['data: {"choices":[{"del', 'ta":{"content":"Hi"}}]}\n\n'], { contentType: 'text/event-stream' })
 */
export function raw(body: string | Uint8Array | Iterable<string | Uint8Array>, conduct: Conduct = {}): Reply {
  if (typeof body === 'string') return { ...conduct, type: 'body', body: halvesOf(body), isStream: false }
  if (body instanceof Uint8Array) return { ...conduct, type: 'body', body: [body], isStream: false }
  return { ...conduct, type: 'body', body, isStream: true }
}

/** Takes the request and never answers; not even a status. */
export function hang(): Reply {
  return { type: 'hang' }
}

/**
 * From this request on nobody listens any more, and what is open stays open in silence: this request, those under way, and what comes
 * over connections that were kept. llama.cpp does so from SIGTERM to its end. `server.down()` or `close()` ends it, `up()` after `down()`
 * listens again.
 */
export function linger(): Reply {
  return { type: 'linger' }
}

/**
 * Ends the connection instead of answering: a new one right after it was accepted, a kept one when its next request comes.
 * For a port that nobody listens on see `server.down()`.
 */
export function refuse(by: 'fin' | 'rst' = 'rst'): Reply {
  return { type: 'refuse', by }
}

/** Bytes that need not be HTTP, straight to the socket, which is then closed. */
export function garbage(bytes: string | Uint8Array): Reply {
  return { type: 'garbage', bytes }
}

/** About what a tokenizer does: a word and the space after it. */
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
