import type { Call, Clock, Message, Reasoning, TimeoutSettings, ToolChoice } from './contract.ts'
import type { EventListener } from './contract-events.ts'
import type { Decision, Failure } from './contract-failures.ts'
import type { Budget, CallTimeoutSettings, RetrySettings, Target } from './contract-targets.ts'
import type { Pool } from './chain/pool.ts'
import type { HedgeSettings, ThinkingLimits } from './chain/state.ts'
import { type BreakerSettings, costFirst, type HealthSettings, loadFirst } from './health/settings.ts'
import type { SharedHealth } from './health/shared-health.ts'
import type { HealthStore } from './health/store.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolSet } from './output/tool-set.ts'
import type { AfterFirstToken } from './answer/continuation.ts'
import type { Logger } from './telemetry/log.ts'
import type { TelemetryPart } from './telemetry/part.ts'

/** The options of `createClient()`. Only `chain` is required. */
export type ClientOptions = {
  /** The targets, in order. Each call starts with the first available one. A step may be a `pool()` of targets. */
  readonly chain: readonly (Target | Pool)[]
  /** Limits in milliseconds. A target's and a call's own limits override these. `Infinity` turns a limit off. @default see TimeoutSettings */
  readonly timeout?: Partial<CallTimeoutSettings> | undefined
  /** How to retry the same target after a failure that may pass. A number is short for `{ maxRetries }`; 0 means one attempt. @default 1 */
  readonly retry?: number | Partial<RetrySettings> | undefined
  /**
   * Sends a second request to the next target when the first is late; the first one to send content wins. `false` turns it off.
   * @default on, for about one call in fifty
   */
  readonly hedge?: false | Partial<HedgeSettings> | undefined
  /** When a target counts as down and is skipped for a while. `false` turns the breaker off. @default on, see BreakerSettings */
  readonly breaker?: false | Partial<BreakerSettings> | undefined
  /**
   * What to protect in a brownout: the first target (`loadFirst`: few retries, so more calls go to the next target, which may cost more)
   * or the bill (`costFirst`: more retries). @default 'loadFirst'
   */
  readonly profile?: 'loadFirst' | 'costFirst' | undefined
  /**
   * Where the health of the targets is shared: `sharedHealth()` shares it among clients of this process, `redisHealth(redis)` of
   * `unbusy/redis` among processes. No call waits for a store.
   * @default each client keeps its own
   */
  readonly health?: HealthStore | SharedHealth | undefined
  /**
   * The answer when no target answers: a text, a value, or a function of the failures that returns one. Not used when the caller aborts.
   * Without it, the call rejects with a `ChainExhaustedError`. For a call with `output` it is used only if it matches that schema.
   */
  readonly defaultResponse?: DefaultResponse | undefined
  /** The spending limit for all calls of this client together. In a fleet each process counts its own. @default no limit */
  readonly budget?: Budget | undefined
  /**
   * What happens when an answer breaks off after its first token. `'fail'` throws a `StreamInterruptedError`. `'restart'` starts a new
   * answer and reports it by a `restart` event. `'continue'` resumes where the answer broke off, on targets that support it; only this
   * value affects `generate()`. If only reasoning was received, all three restart, after a `restart` event with `lost: 'reasoning'`.
   * @default 'fail'
   */
  readonly afterFirstToken?: AfterFirstToken | undefined
  /**
   * How long a stream holds its first content back, in milliseconds. The reader does not notice an answer that breaks off within this
   * time. It delays the first token by the same time. @default 0
   */
  readonly holdBackMs?: number | undefined
  /**
   * Like `holdBackMs`, by length: the stream holds its content back until it has this many characters or the answer is complete.
   * `Infinity`: until the answer is complete; a slow reader pauses nothing until then. @default 0
   */
  readonly holdBackChars?: number | undefined
  /**
   * How often a call asks a target that stopped at its own output limit to continue, if it can. Never beyond `maxOutputTokens`.
   * @default 0
   */
  readonly continueOnLength?: number | undefined
  /**
   * How often a call asks a target to correct an answer that does not match the schema, quoting the issues, before it asks the next target.
   * @default 0
   */
  readonly repair?: number | undefined
  /** Overrides the policy table for a failure; `undefined` leaves the decision to the table. */
  readonly decide?: ((failure: Failure) => Decision | undefined) | undefined
  /**
   * Receives every event, in the async context (`AsyncLocalStorage`) in which its call began; events that belong to no call have the
   * context of the client. Exceptions that it throws are ignored.
   */
  readonly onEvent?: EventListener | undefined
  /** Any logger with pino's or winston's methods: one line per failed attempt and one per call, without prompts and keys. @default silent */
  readonly logger?: Logger | undefined
  /**
   * Traces, metrics and other observers of calls: `openTelemetry()` of `unbusy/opentelemetry`, `prometheus()` of `unbusy/prometheus`, or
   * a part of your own. An error in a part never harms a call. @default none
   */
  readonly telemetry?: readonly TelemetryPart[] | undefined
  /** Monotonic time and timers, for tests and simulations. @default performance.now and the global timers */
  readonly clock?: Clock | undefined
  /** Random numbers from 0 (included) to 1 (not included), for tests and simulations. @default Math.random */
  readonly random?: (() => number) | undefined
}

/**
 * The answer when no target answers: a text, a value, or a function of the failures that returns one of these or a promise of it.
 */
export type DefaultResponse = string | object | ((failures: readonly Failure[]) => unknown)

type MaybeSchema = StandardSchema | undefined
type MaybeTools = ToolSet | undefined

/** A call's own default response has the type of the call's `output`. */
type DefaultFor<Schema extends MaybeSchema> =
  | ValueFor<Schema>
  | ((failures: readonly Failure[]) => ValueFor<Schema> | Promise<ValueFor<Schema>>)
type ValueFor<Schema extends MaybeSchema> = Schema extends StandardSchema ? InferOutput<Schema> : string

type ToolChoiceFor<Tools extends MaybeTools> =
  | Exclude<ToolChoice, object>
  | { readonly toolName: keyof NonNullable<Tools> & string }

/** The input of `generate()` and `stream()`. A string is short for `{ prompt }`. */
export type GenerateInput<Schema extends MaybeSchema = MaybeSchema, Tools extends MaybeTools = MaybeTools> = {
  /** The user's question. Either this or `messages`. */
  readonly prompt?: string | undefined
  /** A conversation, oldest turn first. Either this or `prompt`. */
  readonly messages?: readonly Message[] | undefined
  /** Instructions that come before everything else. */
  readonly system?: string | undefined
  /**
   * The schema of the answer: one that offers a JSON Schema (zod 4, arktype, valibot with `@valibot/to-json-schema`), `choice()` or
   * `array()`. Each target is held to it as strictly as it supports; an answer that does not match is a failed attempt.
   */
  readonly output?: Schema | undefined
  /** See the client's option of the same name. */
  readonly repair?: number | undefined
  /** Overrides the client's, and has the type of `output`. */
  readonly defaultResponse?: DefaultFor<NoInfer<Schema>> | undefined
  /** The tools that the model may call. The result has the calls with validated inputs; to execute them, see `runTools()`. */
  readonly tools?: Tools | undefined
  /** Whether the model may, must or must not call a tool, or which tool it must call. @default the server's, usually 'auto' */
  readonly toolChoice?: ToolChoiceFor<NoInfer<Tools>> | undefined
  /** How varied the answers are, 0 or more; most services accept up to 2. @default the server's */
  readonly temperature?: number | undefined
  /** Only the likeliest tokens up to this share of probability, from 0 to 1. @default the server's */
  readonly topP?: number | undefined
  /** The maximum number of tokens in the answer, reasoning included. */
  readonly maxOutputTokens?: number | undefined
  /** Texts that end the answer; they are not part of it. @default none */
  readonly stopSequences?: readonly string[] | undefined
  /** A whole number, 0 or more: the same seed makes answers similar, on servers that support it. @default the server's */
  readonly seed?: number | undefined
  /** How much the model reasons before it answers. @default the server's own */
  readonly reasoning?: Reasoning | undefined
  /** See the client's option of the same name. @default the client's */
  readonly afterFirstToken?: AfterFirstToken | undefined
  /** See the client's option of the same name. @default the client's */
  readonly holdBackMs?: number | undefined
  /** See the client's option of the same name. @default the client's */
  readonly holdBackChars?: number | undefined
  /** See the client's option of the same name. @default the client's */
  readonly continueOnLength?: number | undefined
  /** Limits of this call in milliseconds; they override a target's and the client's. */
  readonly timeout?: Partial<CallTimeoutSettings> | undefined
  /** Ends the call at once, in any phase; the call rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined
  /**
   * The maximum cost of this call in US dollars, all its requests included. A target whose worst case would exceed it is skipped with the
   * reason `budget`. With `runTools()` it covers all steps together. @default no limit
   */
  readonly maxCost?: number | undefined
  /** Data for conditions (`when`) and listeners. It is not sent anywhere. @default {} */
  readonly metadata?: Call['metadata'] | undefined
  /**
   * Marks related calls, for example one conversation: calls with the same tag go to the same replica of a `pool()` that has no `affinity`
   * of its own. It is not sent anywhere.
   */
  readonly tag?: string | undefined
  /** Asks only these targets, by their `name` (or their provider's name, if they have none), in the order of the chain. @default all */
  readonly targets?: readonly string[] | undefined
  /** `false`: the call asks only the first available target, and fails when that target fails. @default true */
  readonly fallback?: boolean | undefined
  /** Fields that are copied into the request body unchanged; they override what the provider wrote. */
  readonly extraBody?: Call['extraBody'] | undefined
}

/** What happens to an answer that breaks off. */
export type ContinuationSettings = {
  readonly afterFirstToken: AfterFirstToken
  readonly holdBackMs: number
  readonly holdBackChars: number
  readonly continueOnLength: number
}

/** All default numbers in one place. docs/policy.md gives the source of each. */
export const defaults = {
  timeout: {
    connectMs: 5_000,
    headersMs: 15_000,
    firstChunkMs: 20_000,
    queuedMs: 600_000,
    chunkMs: 60_000,
    totalMs: 120_000,
    firstContentMs: Infinity,
  },
  retry: { maxRetries: 1, baseDelayMs: 250, maxDelayMs: 10_000, waitForMs: undefined, rounds: undefined },
  continuation: { afterFirstToken: 'fail', holdBackMs: 0, holdBackChars: 0, continueOnLength: 0 },
  hedge: { budget: 0.02, spend: 0.05, queuedMs: 8_000, leastMs: 2_000, unpriced: true },
} as const satisfies {
  timeout: CallTimeoutSettings
  retry: RetrySettings
  hedge: HedgeSettings
  continuation: ContinuationSettings
}

/** Returns the limits of a target: its own, else the client's, else those of its service, else the defaults. */
export function targetTimeout(target: Target, client: Partial<TimeoutSettings> | undefined): TimeoutSettings {
  return merge(defaults.timeout, target.provider.timeout, client, target.timeout)
}

/** Returns the limits of a target that reasons in silence (F9); docs/timeouts.md says why. Undefined: the target does not. */
export function thinkingLimits(
  { provider, timeout }: Target,
  client: Pick<ClientOptions, 'timeout' | 'breaker'>,
): ThinkingLimits | undefined {
  if (provider.capabilities?.hidesReasoning !== true) return undefined
  const { breaker } = client
  const chosen = timeout?.firstChunkMs ?? client.timeout?.firstChunkMs
  return {
    firstChunkMs: chosen === undefined ? Math.max(thinking.firstChunkMs, provider.timeout?.firstChunkMs ?? 0) : undefined,
    probeMs: breaker === false ? Infinity : (breaker?.probeFirstChunkMs ?? thinking.probeMs),
  }
}

/** A service that hides its reasoning is silent while the model reasons, usually for half a minute. */
const thinking = { firstChunkMs: 120_000, probeMs: 60_000 }

/** Without retries there is no second round either, unless the options set one. */
export function targetRetry(target: Target, client: ClientOptions['retry']): RetrySettings {
  const retry = merge<RetrySettings>(defaults.retry, asRetry(client), asRetry(target.retry))
  return retry.maxRetries === 0 && retry.rounds === undefined ? { ...retry, rounds: 1 } : retry
}

export function hedgeSettings(hedge: ClientOptions['hedge']): HedgeSettings | undefined {
  if (hedge === false) return undefined
  return merge<HedgeSettings>(defaults.hedge, hedge)
}

export function continuationSettings(client: ClientOptions): ContinuationSettings {
  const { continuation } = defaults
  return {
    afterFirstToken: client.afterFirstToken ?? continuation.afterFirstToken,
    holdBackMs: client.holdBackMs ?? continuation.holdBackMs,
    holdBackChars: client.holdBackChars ?? continuation.holdBackChars,
    continueOnLength: client.continueOnLength ?? continuation.continueOnLength,
  }
}

export function clientLimits({ timeout }: ClientOptions): CallTimeoutSettings {
  return merge<CallTimeoutSettings>(defaults.timeout, timeout)
}

export function healthSettings({ profile, breaker }: ClientOptions): HealthSettings {
  const settings = profile === 'costFirst' ? costFirst : loadFirst
  return { ...settings, breaker: breaker === false ? false : merge<BreakerSettings>(settings.breaker, breaker) }
}

function asRetry(retry: ClientOptions['retry']): Partial<RetrySettings> | undefined {
  return typeof retry === 'number' ? { maxRetries: retry } : retry
}

/** Later settings override earlier ones; a field that is `undefined` overrides nothing. */
export function merge<Settings extends object>(base: Settings, ...over: readonly (Partial<Settings> | undefined)[]): Settings {
  const merged: Settings = { ...base }
  for (const one of over) {
    for (const [name, value] of Object.entries(one ?? {})) if (value !== undefined) Object.assign(merged, { [name]: value })
  }
  return merged
}
