/**
 * The shared words, as types and the few names that go with them. Imports nothing.
 */

// ---- how an attempt ends badly

/** Why an attempt failed. The list is closed: a reason without a rule in `chain/policy.ts` does not compile. */
export type FailureReason =
  | 'network'
  | 'overloaded'
  | 'server-error'
  | 'truncated'
  | 'malformed-response'
  | 'timeout'
  | 'loading'
  | 'rate-limit'
  | 'quota'
  | 'authentication'
  | 'permission'
  | 'not-found'
  | 'context-length'
  | 'invalid-request'
  | 'empty'
  | 'invalid-output'
  | 'content-filter'
  | 'excluded'
  | 'budget'

/** What a failure leads to: ask the same target again, ask the next one, or give up. */
export type Decision = 'retry' | 'next' | 'stop'

/**
 * Whom a failure is charged to. `target`: its breaker counts it. `gate`: the target is left alone for a while, and is not down. `key`,
 * `model`: everything that uses the key, or the model at this key, is left alone for long. `request`: it is about this request alone,
 * so a time that comes with it keeps no other request away. `nobody`: nothing is remembered, but a named time is obeyed.
 */
export type Charged = 'target' | 'gate' | 'key' | 'model' | 'request' | 'nobody'

/** The clock that ended an attempt: the option of the same name without its `Ms`. */
export type ClockName = 'connect' | 'headers' | 'firstChunk' | 'queued' | 'chunk' | 'total' | 'firstContent'

/** One failed attempt as data: what {@link ProviderError} carries, and what hooks are given. */
export type Failure = {
  readonly reason: FailureReason
  readonly message: string
  readonly provider: string
  readonly model: string
  /** The HTTP status, where an answer came. An error inside a 200 has status 200. */
  readonly status: number | undefined
  /** How long the server asked us to stay away, in milliseconds from the receipt of its answer. */
  readonly retryAfterMs: number | undefined
  readonly requestId: string | undefined
  readonly clock: ClockName | undefined
  /** `context-length`: how many tokens the model takes, where the server said it. */
  readonly contextTokens: number | undefined
  /** `context-length`: how many tokens were asked for, where the server said it. */
  readonly requestedTokens: number | undefined
  /** `rate-limit`: how many requests may be in flight at once, where the server said it. */
  readonly concurrencyLimit: number | undefined
  /** Whom it is charged to, where that is known better than by its reason. @default what the policy's table says of the reason */
  readonly charged?: Charged | undefined
  /**
   * The longest that it can last, in milliseconds, where no time was named and the kind of limit tells: a limit per minute is over
   * after a minute. @default not known
   */
  readonly atMostMs?: number | undefined
}

// ---- what a caller asks

export type TextPart = { readonly type: 'text'; readonly text: string }
/** An image by https URL or as a `data:` URI. */
export type ImagePart = { readonly type: 'image'; readonly image: string }

/** One turn of a conversation. Turns answered by one target may be sent to another: each gets the form it wants. */
export type Message =
  | { readonly role: 'system' | 'developer'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly (TextPart | ImagePart)[] }
  | {
      readonly role: 'assistant'
      readonly content: string
      readonly reasoningText?: string | undefined
      readonly toolCalls?: readonly ToolCall[] | undefined
      /** As the last message: the answer begins with this text. Only for targets whose capability `prefix` is declared. */
      readonly prefix?: boolean | undefined
    }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly toolName?: string | undefined; readonly content: string }

export type JsonSchema = { readonly [key: string]: unknown }

/** A tool the model may call. `inputSchema` is JSON Schema when it reaches a provider. */
export type Tool = {
  readonly description?: string | undefined
  readonly inputSchema: JsonSchema
  readonly strict?: boolean | undefined
}

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly toolName: string }

export type ToolCall = { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }

/** How much the model thinks before it answers; each provider translates it. Undefined leaves the server's default. */
export type Reasoning = 'off' | 'low' | 'high' | 'max'

/** The form that the answer must have: any JSON, or JSON of a schema. */
export type OutputFormat = { readonly type: 'json'; readonly name?: string | undefined; readonly schema?: JsonSchema | undefined }

/** One thing that is wrong with an answer, and where. The message is the schema's and may quote the answer. */
export type Issue = { readonly path: readonly (string | number)[]; readonly message: string }

/** What an interrupted answer already held, for a target that can truly go on from there. */
export type Prefix = { readonly text: string; readonly reasoningText: string }

/** One `generate()` or `stream()` as one provider sees it: every default is filled in, the model is the target's. */
export type Call = {
  readonly model: string
  /** The whole conversation; `system` of the input is its first message. */
  readonly messages: readonly Message[]
  readonly tools?: { readonly [toolName: string]: Tool } | undefined
  readonly toolChoice?: ToolChoice | undefined
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  readonly maxOutputTokens?: number | undefined
  readonly stopSequences?: readonly string[] | undefined
  readonly seed?: number | undefined
  readonly reasoning?: Reasoning | undefined
  readonly output?: OutputFormat | undefined
  /** Go on from here: emit only what comes after it. Set only for providers whose capability `prefix` is declared. */
  readonly prefix?: Prefix | undefined
  readonly metadata: { readonly [key: string]: unknown }
  /** Fields for the request body as they are, over what the provider wrote. */
  readonly extraBody?: { readonly [key: string]: unknown } | undefined
}

// ---- what a provider is

/** Undefined = not reported, never 0. */
export type Usage = {
  readonly inputTokens?: number | undefined
  readonly cachedInputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly reasoningTokens?: number | undefined
  readonly totalTokens?: number | undefined
}

export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'content-filter' | 'other'

/** Something a target could not do as asked, and what was done instead. */
export type Warning = {
  readonly provider: string
  /** The option of the input that it is about, for example `topP`. */
  readonly setting: string
  readonly message: string
}

/**
 * What a provider emits, in order. Only `finish` must come, once and last; a provider that resolves without it counts as
 * `truncated`. `reasoning-delta`, `text-delta`, `tool-call-delta` and `tool-call` are *content*: the first of them is the first
 * chunk. An empty delta is not content.
 */
export type ProviderEvent =
  /** A connection is being looked for: the connect clock starts. */
  | { readonly type: 'connecting' }
  /** The request is on a connection: the connect clock ends, the headers clock starts. */
  | { readonly type: 'sent' }
  | {
      readonly type: 'headers'
      readonly status: number
      readonly headers: ResponseHeaders
      /** The operator's id of the request: also for one that goes silent, or breaks before it says anything. */
      readonly requestId?: string | undefined
    }
  /** A sign of life that is not an answer: a keep-alive comment or a blank line while the request waits. */
  | { readonly type: 'queued' }
  | {
      readonly type: 'response-metadata'
      readonly id?: string | undefined
      /** The model that the server says it used. */
      readonly model?: string | undefined
      readonly requestId?: string | undefined
    }
  | { readonly type: 'warning'; readonly setting: string; readonly message: string }
  /** The request failed and goes to the same target once more, changed as the server asked: no retry. The `warning` behind it says how. */
  | { readonly type: 'asked-again'; readonly failure: Failure & { readonly usage?: Usage | undefined } }
  /** The answer comes in one piece after all: these clocks hold, where they are longer than the target's. */
  | { readonly type: 'patience'; readonly timeout: Partial<TimeoutSettings> }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  | { readonly type: 'text-delta'; readonly text: string }
  /** A piece of the JSON text of a tool call's input. */
  | { readonly type: 'tool-call-delta'; readonly toolCallId: string; readonly toolName: string; readonly inputText: string }
  /** A whole tool call: its input parsed. Emitted only when the answer has ended as it should. */
  | { readonly type: 'tool-call'; readonly toolCallId: string; readonly toolName: string; readonly input: unknown }
  | {
      readonly type: 'finish'
      readonly finishReason: FinishReason
      readonly usage?: Usage | undefined
      /** What the server sent beyond the common fields, for example `logprobs`. */
      readonly providerMetadata?: { readonly [key: string]: unknown } | undefined
    }

export type ResponseHeaders = { readonly [name: string]: string | readonly string[] | undefined }

/** What a provider is given for one attempt. */
export type Attempt = {
  /** Fires when the attempt is over: a clock, the caller's abort, a lost race. Stop at once and close what is open. */
  readonly signal: AbortSignal
  /** Hands one event on. Answers `false` while the reader is behind: stop reading until `onDrain` calls back. */
  emit(event: ProviderEvent): boolean
  /** Calls back once, when the reader has caught up. Never after the signal has fired. */
  onDrain(listener: () => void): void
  /** The client's time: a provider that waits by itself takes it from here. Where there is no client there is none: use the machine's. */
  readonly clock?: Clock | undefined
  /**
   * The server has said that its answer is over, but has not ended it: usage may still come. Calls back once after so many
   * milliseconds, unless content was emitted before: then emit `finish`, or throw a `ProviderError`. A second call replaces the
   * first, `undefined` calls it off. Where nobody keeps time there is no `linger`: wait for the end of the body.
   */
  readonly linger?: ((listener: (() => void) | undefined, forMs: number) => void) | undefined
}

/** What a provider can do. Every capability is optional: undefined means not known, and then it is tried. */
export type Capabilities = {
  /** Sends tokens as they are made. @default true */
  readonly stream?: boolean | undefined
  readonly tools?: boolean | undefined
  readonly images?: boolean | undefined
  readonly reasoning?: boolean | undefined
  /**
   * Nothing of its reasoning comes, and no sign of life: the first content is the answer's. While `reasoning` is not `'off'` such a
   * target gets 120 s for its first content (a probe 60 s) where nobody has chosen `firstChunkMs`, and the last one that may answer
   * all the time that is left. @default false
   */
  readonly hidesReasoning?: boolean | undefined
  /** The strongest form in which it can be held to a schema. */
  readonly output?: 'json-schema' | 'strict-tool' | 'json-object' | 'prompt' | undefined
  /** Goes on from `call.prefix` and emits only what comes after it. @default false */
  readonly prefix?: boolean | undefined
  /** Tokens of input and output together. */
  readonly contextTokens?: number | undefined
}

/** What targets of one chain, or of a whole fleet, have in common: with the model it names one memory of health. */
export type Identity = {
  readonly origin: string
  /** Below which path it answers, where several services stand behind one origin. A refused key is refused below all of them. @default none */
  readonly path?: string | undefined
  /** A digest of the key and of the headers that come with it, never the key. */
  readonly credential: string
  /** Other processes know the same credential by the same name, so that what is learned of it may be shared. @default true */
  readonly inFleet?: boolean | undefined
}

/** Knows one service: how to write a request for it and how to read what comes back. */
export type Provider = {
  readonly name: string
  readonly capabilities?: Capabilities | undefined
  /** Whom the health of its targets belongs to. Without it, every target of the chain has a health of its own. */
  readonly identity?: Identity | undefined
  /** Clocks that this service needs, where the defaults do not fit it. What a user sets wins over them. */
  readonly timeout?: Partial<TimeoutSettings> | undefined
  /** Says, before an attempt and without a request, that this call cannot be taken: a missing key, an image for a model without eyes. */
  refuse?(call: Call): Failure | undefined
  /** Sends one request and emits what comes back, in order. Resolves after `finish`; rejects with a `ProviderError`. */
  stream(call: Call, attempt: Attempt): Promise<void>
  /** How busy the server says it is: requests running and waiting. Asked in the background by a pool. */
  load?(signal: AbortSignal): Promise<{ readonly running: number; readonly waiting: number }>
  /** Is asked when a client is made: throws a `TypeError` when what it needs from its surroundings is written wrong. */
  check?(): void
  /** Ends idle connections. The provider may be used again afterwards and then opens new ones. */
  close?(): Promise<void>
}

export type TimeoutSettings = {
  readonly connectMs: number
  readonly headersMs: number
  readonly firstChunkMs: number
  readonly queuedMs: number
  readonly chunkMs: number
  readonly totalMs: number
}

/** The clocks of a call: those of its attempts, and one that no single attempt has. */
export type CallTimeoutSettings = TimeoutSettings & {
  /**
   * From the call to the first content that any attempt receives, waits included, in milliseconds; then it is over, also for
   * `generate()`.
   * @default Infinity. With a `defaultResponse`, waits before requests last 10 s in all; a request that runs is not shortened
   */
  readonly firstContentMs: number
}

export type RetrySettings = {
  /** Requests to the same target in addition to the first. */
  readonly maxRetries: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  /**
   * The longest wait for a target that is shut, in milliseconds; 0 = never.
   * @default a Retry-After of up to 2,500 ms while another target could answer, any time within the deadline when none could
   */
  readonly waitForMs?: number | undefined
  /**
   * How often the chain is walked, when every target that could answer failed for a passing reason. `Infinity` suits batches.
   * @default 3, with waits of ten seconds in all; 1 with `retry: 0` or a `defaultResponse`
   */
  readonly rounds?: number | undefined
}

/** One step of the chain: a provider, a model, and limits of its own. */
export type Target = {
  readonly provider: Provider
  readonly model: string
  /** What you call it: told in attempts, health and events, where provider and model are those of other targets too. @default none */
  readonly name?: string | undefined
  /** A number is short for `{ maxRetries }`. 0 means exactly one attempt. */
  readonly retry?: number | Partial<RetrySettings> | undefined
  readonly timeout?: Partial<TimeoutSettings> | undefined
  /** US dollars per million tokens. Undefined = not known, and then no hedge goes there unless hedging was asked for. */
  readonly price?: Price | undefined
  /**
   * Nothing is sent to this target unless it returns true: no attempt, no hedge, no probe. It is asked once a call, before anything is
   * sent. Anything but a boolean, a promise too, rejects the call with a TypeError, and nothing is sent to anybody.
   */
  readonly when?: ((call: Call) => boolean) | undefined
}

/** US dollars per million tokens. */
export type Price = { readonly input: number; readonly cachedInput?: number | undefined; readonly output: number }

// ---- what is told

/** One entry of `attempts`: everything that is known of one request, or of one that was not sent. */
export type AttemptRecord = {
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  /** The place of the target among all targets, from 0; members of pools are counted one by one. */
  readonly targetIndex: number
  /** The place in the chain, from 0; a pool is one step. */
  readonly step: number
  /** Which request to this target in this call, from 1. 0: none was sent. */
  readonly attempt: number
  /** `abandoned`: it lost a race or the caller left; it is neither a success nor a failure. */
  readonly outcome: 'answered' | 'failed' | 'abandoned' | 'skipped'
  readonly reason: FailureReason | undefined
  readonly message: string | undefined
  readonly status: number | undefined
  readonly clock: ClockName | undefined
  readonly requestId: string | undefined
  /** What was waited before it, in milliseconds. */
  readonly waitMs: number
  readonly durationMs: number
  /** From the request to the first content; undefined when none came. */
  readonly firstChunkMs: number | undefined
  /** Deltas received: what was seen of an answer, also of one that failed. */
  readonly chunks: number
  /** It went on from this many characters of a broken answer; undefined when it began anew. */
  readonly continuedFrom: number | undefined
  readonly usage: Usage | undefined
}

/** A source of time that can be replaced: monotonic milliseconds and timers. */
export type Clock = {
  now(): number
  setTimeout(listener: () => void, delayMs: number): unknown
  clearTimeout(handle: unknown): void
}

/**
 * What is thought of a target. `closed`: it is used. `gated`: the server, or a refused key or model, keeps calls away. `open`: it was
 * down and is left alone. `half-open`: a gate or an opening is over, and no attempt has been good since.
 */
export type TargetState = 'closed' | 'half-open' | 'gated' | 'open'

type OfTarget = {
  readonly provider: string
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
}

type OfAttempt = OfTarget & {
  readonly callId: number
  readonly attempt: number
}

/**
 * What a client tells whoever listens. Every `call-start` is followed by exactly one `call-end`, every `attempt-start` by exactly
 * one `attempt-end`, also under aborts and errors. `at` is the monotonic time of the client's clock in milliseconds.
 */
export type ClientEvent = { readonly at: number } & (
  | { readonly type: 'call-start'; readonly callId: number; readonly targets: number; readonly metadata: Call['metadata'] }
  /** `hedge`: started because another attempt is late. `probe`: asks a target that was down, beside the real attempt. */
  | (OfAttempt & { readonly type: 'attempt-start'; readonly kind: 'first' | 'retry' | 'hedge' | 'probe' })
  /** The server holds the request and sends keep-alives. Told once an attempt. */
  | (OfAttempt & { readonly type: 'attempt-queued' })
  | (OfAttempt & { readonly type: 'attempt-end'; readonly record: AttemptRecord })
  /** A target that was not asked, and why. */
  | (Omit<OfAttempt, 'attempt'> & {
      readonly type: 'target-skip'
      readonly reason: FailureReason | undefined
      readonly message: string
    })
  /** Told before the wait begins. */
  | (OfAttempt & { readonly type: 'wait'; readonly waitMs: number; readonly reason: FailureReason })
  /** From now on what is received belongs to the caller. */
  | (OfAttempt & { readonly type: 'commit'; readonly durationMs: number })
  | {
      readonly type: 'call-end'
      readonly callId: number
      readonly outcome: 'answered' | 'degraded' | 'failed' | 'aborted'
      readonly durationMs: number
      readonly provider: string | undefined
      readonly model: string | undefined
      readonly attempts: readonly AttemptRecord[]
      readonly usage: Usage | undefined
      readonly error: unknown
    }
  /** Told when it happens, also when nobody calls. */
  | (OfTarget & {
      readonly type: 'health-change'
      readonly state: TargetState
      readonly reason: FailureReason | undefined
      /** How long it stays so from now, undefined = not known; and how long it was in the state before. */
      readonly untilMs: number | undefined
      readonly sinceMs: number
    })
  /** Two or more services failed to be reached at once: most likely the fault is on our side, so nobody is charged. */
  | { readonly type: 'local-network-suspected'; readonly providers: readonly string[] }
  /** The shared memory of the fleet does not answer; this process goes on with its own. */
  | { readonly type: 'health-store'; readonly state: 'lost' | 'back'; readonly message: string }
)

export type EventListener = (event: ClientEvent) => void

/** Who an attempt's events come from. */
export type Source = {
  readonly provider: Provider
  readonly model: string
  readonly targetIndex: number
  readonly attempt: number
}
