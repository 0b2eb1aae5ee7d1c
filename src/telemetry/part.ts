import type { Call } from '../contract.ts'
import type { AttemptKind, ClientEvent } from '../contract-events.ts'
import type { TargetSnapshot } from '../health/health.ts'
import type { ClientStatus } from './activity.ts'

/** One request to a target, as a telemetry part sees it. */
export type TelemetryAttempt = {
  /** Counted from 1 in each client. */
  readonly callId: number
  readonly provider: string
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
  /** The number of this request among the call's requests to this target, counted from 1. */
  readonly attempt: number
  readonly kind: AttemptKind
  /** The host and port of the service; undefined if the provider does not declare them. */
  readonly address: string | undefined
  readonly port: number | undefined
  /** Whether the request asks for a stream. */
  readonly stream: boolean
  /** The call. Without `content`, it has no messages, tools, schemas, `prefix` and `extraBody`. */
  readonly call: Partial<Call>
}

/** The answer of an attempt. Only a part with `content` receives it. */
export type TelemetryAnswer = {
  readonly text: string
  readonly reasoningText: string
  readonly toolCalls: readonly { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }[]
  readonly finishReason: string
}

/** One step of `runTools()`: a call and the tools that its answer requests. */
export type TelemetryStep = {
  /** Counted from 1. */
  readonly step: number
}

/** One tool that `runTools()` executes. */
export type TelemetryTool = {
  readonly step: number
  readonly toolName: string
  readonly toolCallId: string
  /** Only set for a part with `content`. */
  readonly input?: unknown
}

/** How a step or a tool ended. */
export type TelemetryEnd = {
  /** The name of the error, for example `TypeError`; undefined if it succeeded. */
  readonly errorType: string | undefined
  /** The result of the tool. Only set for a part with `content`. */
  readonly result?: unknown
}

/**
 * The hooks of a telemetry part. They cannot harm a call: errors that they throw are ignored, and exactly one request is made even if a
 * hook calls `run` twice or never.
 */
export type TelemetryHooks = {
  /** Receives every event, like the client's `onEvent`. */
  onEvent?(event: ClientEvent): unknown
  /**
   * Wraps one request: `run` sends it and returns a promise that settles when the request has ended. A promise that the hook returns is not
   * awaited, and its rejection is ignored.
   */
  around?(attempt: TelemetryAttempt, run: () => Promise<void>): unknown
  /**
   * Wraps the delivery of an `attempt-end` or `call-end` to all listeners; `tell` delivers it. With this hook, a log line is written while
   * the span of its attempt is active.
   */
  aroundEvent?(event: ClientEvent, tell: () => void): unknown
  /** Returns headers for one request, for example `traceparent`. The provider's own headers take precedence. */
  headers?(attempt: TelemetryAttempt): Readonly<Record<string, string>> | undefined
  /** Receives the whole answer of an attempt right before its `attempt-end`. Only called if `content` is true. */
  onAnswer?(attempt: TelemetryAttempt, answer: TelemetryAnswer): unknown
  /** Wraps one step of `runTools()`; the promise of `run` never rejects. */
  aroundStep?(step: TelemetryStep, run: () => Promise<TelemetryEnd>): unknown
  /** Wraps one tool that `runTools()` executes; the promise of `run` never rejects. */
  aroundTool?(tool: TelemetryTool, run: () => Promise<TelemetryEnd>): unknown
  /** Called when the client is closed. */
  close?(): unknown
  /** Whether the hooks receive messages, tools and answers. @default false */
  readonly content?: boolean | undefined
}

/** The part of a client that `attach` receives. */
export type TelemetryClient = {
  /** What `client.health()` returns. */
  health(): readonly TargetSnapshot[]
  /** What `client.status()` returns. */
  status(): ClientStatus
}

/** One entry of the option `telemetry`. */
export type TelemetryPart = TelemetryHooks & {
  /**
   * Returns the hooks for one client. A part that remembers calls needs this, because call ids count per client. Errors that `attach`
   * throws are thrown by `createClient`.
   */
  attach?(client: TelemetryClient): TelemetryHooks
}
