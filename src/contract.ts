/**
 * The shared vocabulary of calls and providers. Failures, targets and events have files of their own beside it; these four import
 * nothing but each other.
 */

import type { Failure } from './contract-failures.ts'

// ---- the call

/** A piece of text in a message. */
export type TextPart = { readonly type: 'text'; readonly text: string }
/** An image, as an https URL or a `data:` URI. */
export type ImagePart = { readonly type: 'image'; readonly image: string }

/** One turn of a conversation. Turns that one target answered may be sent to another: each provider encodes them in its own format. */
export type Message =
  | { readonly role: 'system' | 'developer'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly (TextPart | ImagePart)[] }
  | {
      readonly role: 'assistant'
      readonly content: string
      readonly reasoningText?: string | undefined
      readonly toolCalls?: readonly ToolCall[] | undefined
      /** What the services that made this turn require back with it: see {@link ProviderMetadata}. */
      readonly providerMetadata?: ProviderMetadata | undefined
      /** On the last message: the answer begins with this text. Only for targets that declare the capability `prefix`. */
      readonly prefix?: boolean | undefined
    }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly toolName?: string | undefined; readonly content: string }

/** JSON Schema as plain data. */
export type JsonSchema = { readonly [key: string]: unknown }

/** A tool that the model may call. Providers always receive `inputSchema` as JSON Schema. */
export type Tool = {
  readonly description?: string | undefined
  readonly inputSchema: JsonSchema
  readonly strict?: boolean | undefined
}

/** Whether the model may, must or must not call a tool, or which tool it must call. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly toolName: string }

/** One call of a tool by the model. `input` is parsed, and validated if the tool has a schema. */
export type ToolCall = {
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
  /** What the service that made this call requires back with it: see {@link ProviderMetadata}. */
  readonly providerMetadata?: ProviderMetadata | undefined
}

/**
 * What a service requires back with a later request, such as the signature of a reasoning block. Keys are the name and origin of a
 * service; each value is opaque to everyone but that service. It is plain JSON. Push `result.message` into your conversation to keep it:
 * each value is sent only to the service that made it. A provider emits and receives its own value alone, without the key around it.
 */
export type ProviderMetadata = { readonly [service: string]: unknown }

/** How much the model reasons before it answers; each provider translates the level. Undefined leaves the server's default. */
export type Reasoning = 'off' | 'low' | 'high' | 'max'

/** The required format of the answer: any JSON, or JSON that matches a schema. */
export type OutputFormat = { readonly type: 'json'; readonly name?: string | undefined; readonly schema?: JsonSchema | undefined }

/** One validation issue of an answer, and where it is. The message comes from the schema and may quote the answer. */
export type Issue = { readonly path: readonly (string | number)[]; readonly message: string }

/** The part of an interrupted answer that was already received, for a target that can continue from there. */
export type Prefix = { readonly text: string; readonly reasoningText: string }

/** One `generate()` or `stream()` as a provider sees it: every default is filled in, and the model is the target's. */
export type Call = {
  readonly model: string
  /** The whole conversation; `system` of the input is its first message. */
  readonly messages: readonly Message[]
  readonly tools?: { readonly [toolName: string]: Tool } | undefined
  readonly toolChoice?: ToolChoice | undefined
  /** 0 or more. */
  readonly temperature?: number | undefined
  /** From 0 to 1. */
  readonly topP?: number | undefined
  /** The maximum number of tokens in the answer, reasoning included. */
  readonly maxOutputTokens?: number | undefined
  /** Texts that end the answer. */
  readonly stopSequences?: readonly string[] | undefined
  /** A whole number, 0 or more. */
  readonly seed?: number | undefined
  /** How much the model reasons. Undefined leaves the server's default. */
  readonly reasoning?: Reasoning | undefined
  readonly output?: OutputFormat | undefined
  /** Continue from here and emit only what comes after it. Set only for providers that declare the capability `prefix`. */
  readonly prefix?: Prefix | undefined
  readonly metadata: { readonly [key: string]: unknown }
  /** The caller's tag for related calls, for example one conversation. It is not sent anywhere. */
  readonly tag?: string | undefined
  /** Fields that are copied into the request body unchanged; they override what the provider wrote. */
  readonly extraBody?: { readonly [key: string]: unknown } | undefined
}

// ---- the provider

/** Token counts. A count that the server did not report is undefined, never 0. */
export type Usage = {
  readonly inputTokens?: number | undefined
  /** The part of `inputTokens` that came from the service's cache. */
  readonly cachedInputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  /** The part of `outputTokens` that is reasoning. */
  readonly reasoningTokens?: number | undefined
  readonly totalTokens?: number | undefined
}

/**
 * Why an answer ended. `length`: it reached a token limit. `other`: the service named no reason, or one that only this service has.
 */
export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'content-filter' | 'other'

/** Something that a target could not do as requested, and what happened instead. */
export type Warning = {
  readonly provider: string
  /** The input option that the warning concerns, for example `topP`. */
  readonly setting: string
  readonly message: string
}

/**
 * What a provider emits, in order. Only `finish` is mandatory: once, as the last event. An attempt whose provider resolves without
 * `finish` fails as `truncated`. `reasoning-delta`, `text-delta`, `tool-call-delta` and `tool-call` are *content*: the first of them is
 * the first chunk. An empty delta is not content.
 */
export type ProviderEvent =
  /** The provider is establishing a connection: the connect clock starts. */
  | { readonly type: 'connecting' }
  /** The request is on a connection: the connect clock stops and the headers clock starts. */
  | { readonly type: 'sent' }
  | {
      readonly type: 'headers'
      readonly status: number
      readonly headers: ResponseHeaders
      /** The operator's id of the request. With it, a request that goes silent or breaks before its first content still has an id. */
      readonly requestId?: string | undefined
    }
  /** A sign of life without content: a keep-alive comment or a blank line while the request waits. */
  | { readonly type: 'queued' }
  | {
      readonly type: 'response-metadata'
      readonly id?: string | undefined
      /** The model that the server says it used. */
      readonly model?: string | undefined
      readonly requestId?: string | undefined
    }
  | { readonly type: 'warning'; readonly setting: string; readonly message: string }
  /** The request failed and is sent to the same target again, changed as the server asked. Not a retry. The next `warning` says how. */
  | { readonly type: 'asked-again'; readonly failure: Failure & { readonly usage?: Usage | undefined } }
  /** The answer will come in one piece after all: these clocks apply where they are longer than the target's. */
  | { readonly type: 'patience'; readonly timeout: Partial<TimeoutSettings> }
  /** The text may be empty: then the event only carries what the service requires back with this turn. */
  | { readonly type: 'reasoning-delta'; readonly text: string; readonly providerMetadata?: ProviderMetadata | undefined }
  | { readonly type: 'text-delta'; readonly text: string }
  /** A piece of the JSON text of a tool call's input. */
  | { readonly type: 'tool-call-delta'; readonly toolCallId: string; readonly toolName: string; readonly inputText: string }
  /** A complete tool call with its input parsed. Emitted only when the answer has ended properly. */
  | ({ readonly type: 'tool-call' } & ToolCall)
  | {
      readonly type: 'finish'
      readonly finishReason: FinishReason
      readonly usage?: Usage | undefined
      /** Fields that the server sent beyond the common ones, for example `logprobs`. */
      readonly providerMetadata?: { readonly [key: string]: unknown } | undefined
    }

export type ResponseHeaders = { readonly [name: string]: string | readonly string[] | undefined }

/** What a provider receives for one attempt. */
export type Attempt = {
  /** Fires when the attempt is over: a clock ran out, the caller aborted, another attempt won. Stop at once and close what is open. */
  readonly signal: AbortSignal
  /** Passes one event on. Returns `false` while the reader is behind: then stop reading until `onDrain` calls back. */
  emit(event: ProviderEvent): boolean
  /** Calls the listener once, when the reader has caught up. Never after the signal has fired. */
  onDrain(listener: () => void): void
  /** Headers that telemetry adds to the request, for example `traceparent`. The provider's own headers take precedence. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The client's clock, for a provider that waits by itself. Undefined when there is no client: then use the machine's clock. */
  readonly clock?: Clock | undefined
  /**
   * For a server that has reported the end of its answer but keeps the body open, because usage may still come. Calls the listener once
   * after `forMs` milliseconds, unless content was emitted before; the listener then emits `finish` or throws a `ProviderError`. A second
   * call replaces the first, and `undefined` cancels it. Without `linger`, wait for the end of the body.
   */
  readonly linger?: ((listener: (() => void) | undefined, forMs: number) => void) | undefined
}

/** What a provider can do. Every capability is optional: undefined means not known, and then the call tries it. */
export type Capabilities = {
  /** The service streams tokens as they are generated. @default true */
  readonly stream?: boolean | undefined
  /** `false`: calls with tools skip the target; `images` is the same for images. */
  readonly tools?: boolean | undefined
  readonly images?: boolean | undefined
  readonly reasoning?: boolean | undefined
  /**
   * The service sends neither its reasoning nor keep-alives: its first content is the answer itself. While `reasoning` is not `'off'`,
   * such a target has 120 s for its first content (a probe 60 s) unless `firstChunkMs` is set; the last target that can answer has all
   * the remaining time. @default false
   */
  readonly hidesReasoning?: boolean | undefined
  /** The strictest way in which the service can be held to a schema. */
  readonly output?: 'json-schema' | 'strict-tool' | 'json-object' | 'prompt' | undefined
  /** The service continues from `call.prefix` and emits only what comes after it. @default false */
  readonly prefix?: boolean | undefined
  /** The size of the context in tokens, input and output together. It is only informative: no call is skipped for it. */
  readonly contextTokens?: number | undefined
}

/** Targets of a chain, or of a whole fleet, that have the same identity and the same model share their health. */
export type Identity = {
  /** The scheme, host and port. In a fleet, a loopback address is shared only among the processes of one machine. */
  readonly origin: string
  /** The path of the service, if several services share one origin. A key that one of them refuses counts as refused by all. @default none */
  readonly path?: string | undefined
  /** A digest of the key and of the headers sent with it, never the key itself. */
  readonly credential: string
  /** Other processes compute the same digest for this credential, so its health can be shared with them. @default true */
  readonly inFleet?: boolean | undefined
}

/** Knows one service: how to write its requests and how to read its responses. */
export type Provider = {
  readonly name: string
  readonly capabilities?: Capabilities | undefined
  /** Targets with the same identity and model share their health. Without an identity, every target of the chain has its own. */
  readonly identity?: Identity | undefined
  /** Clocks for a service that the defaults do not suit. The user's settings take precedence. */
  readonly timeout?: Partial<TimeoutSettings> | undefined
  /** Returns, without a request, why the provider cannot take this call: a missing key, an image for a text-only model. */
  refuse?(call: Call): Failure | undefined
  /** Sends one request and emits the response as events, in order. Resolves after `finish`; rejects with a `ProviderError`. */
  stream(call: Call, attempt: Attempt): Promise<void>
  /** Returns the load that the server reports: requests running and waiting. A pool asks for it in the background. */
  load?(signal: AbortSignal): Promise<ServerLoad>
  /** Runs when a client is created. Throws a `TypeError` if something in the environment is malformed, for example a variable. */
  check?(): void
  /**
   * Keeps a model in the server's memory without generating a token. Resolves with `false` if the server needs a generated token for that.
   * `'always'`: the server never unloads its model, and only the first request after a start is slow.
   */
  readonly keepLoaded?: 'always' | ((model: string, signal: AbortSignal) => Promise<boolean>) | undefined
  /** Closes idle connections. The provider can be used again afterwards and then opens new connections. */
  close?(): Promise<void>
}

/** The load that a server reports. */
export type ServerLoad = {
  /** Requests that the server is answering now, and requests in its queue. */
  readonly running: number
  readonly waiting: number
  /** The share of the KV cache in use, from 0 to 1; undefined if the server does not report it. */
  readonly kvUsage?: number | undefined
  /** The server has unloaded its idle model; the next call waits until the model is loaded again. */
  readonly asleep?: boolean | undefined
}

/**
 * The clocks of one attempt, in milliseconds, 0 or more; `Infinity` turns a clock off. When a clock runs out, the attempt fails with
 * the reason `timeout`.
 */
export type TimeoutSettings = {
  /** The time to establish a connection. @default 5_000 */
  readonly connectMs: number
  /** From the request to the response's status and headers. @default 15_000; longer for servers of your own */
  readonly headersMs: number
  /**
   * From the request to the first content: text, reasoning or a tool call. Keep-alives do not count.
   * @default 20_000; longer for servers of your own
   */
  readonly firstChunkMs: number
  /** From the request to the first content while keep-alives come. @default 600_000 */
  readonly queuedMs: number
  /** The longest silence between two chunks; doubled while the model writes a tool call. @default 60_000 */
  readonly chunkMs: number
  /**
   * On a client or a call: the limit of the whole call, with all waits and attempts. On a target: the limit of each attempt there.
   * @default 120_000
   */
  readonly totalMs: number
}

/** A source of time that can be replaced: monotonic milliseconds and timers. */
export type Clock = {
  /** Milliseconds that never go back. */
  now(): number
  /** Milliseconds since 1970, for prices that change with the hour. @default the machine's time of day */
  date?(): number
  /** Calls the listener once, after `delayMs` milliseconds. Returns a handle. */
  setTimeout(listener: () => void, delayMs: number): unknown
  /** Cancels the timer of this handle. */
  clearTimeout(handle: unknown): void
}
