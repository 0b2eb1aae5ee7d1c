import type {
  Call,
  CallTimeoutSettings,
  Clock,
  Decision,
  EventListener,
  Failure,
  Message,
  Reasoning,
  RetrySettings,
  Target,
  TimeoutSettings,
  ToolChoice,
} from './contract.ts'
import type { Pool } from './chain/pool.ts'
import type { HedgeSettings, ThinkingLimits } from './chain/state.ts'
import { type BreakerSettings, costFirst, type HealthSettings, loadFirst } from './health/settings.ts'
import type { HealthStore } from './health/store.ts'
import type { AnswerForm } from './output/answer-form.ts'
import type { InferOutput, StandardSchema } from './output/standard-schema.ts'
import type { ToolSet } from './output/tool-set.ts'
import type { AfterFirstToken } from './answer/continuation.ts'
import type { Logger } from './telemetry/log.ts'

/** What a client is made of. Only `chain` is needed. */
export type ClientOptions = {
  /** Whom to ask, in order. The first that may be asked is asked first. A step may be a `pool()` of targets. */
  readonly chain: readonly (Target | Pool)[]
  /** Limits in milliseconds. A target's own and a call's own come before these. `Infinity` turns one off. */
  readonly timeout?: Partial<CallTimeoutSettings> | undefined
  /** Requests to the same target after a failure that a retry may help. A number is short for `{ maxRetries }`; 0 means one attempt. */
  readonly retry?: number | Partial<RetrySettings> | undefined
  /**
   * A second request to the next target when the first is late; whoever sends content first wins. `false` turns it off.
   * @default on, for about one call in fifty
   */
  readonly hedge?: false | Partial<HedgeSettings> | undefined
  /** When a target counts as down and is left alone for a while. `false` turns it off. */
  readonly breaker?: false | Partial<BreakerSettings> | undefined
  /**
   * Whom to protect in a brownout: the first target (`loadFirst`: few retries, so more calls go to the next, dearer one) or the bill
   * (`costFirst`: more retries). @default 'loadFirst'
   */
  readonly profile?: 'loadFirst' | 'costFirst' | undefined
  /**
   * One memory for many processes: what one learns of a target, all know. `redisHealth(redis)` of `unbusy/redis`. No call waits for it.
   * @default the memory of this client alone
   */
  readonly health?: HealthStore | undefined
  /**
   * What is answered when no target answers: a text, a value, or a function of the failures that returns one. Not used when the caller
   * aborts. Without it, a call rejects with a `ChainExhaustedError`. For a call with `output` it counts only if it fits that schema.
   */
  readonly defaultResponse?: DefaultResponse | undefined
  /**
   * What happens when an answer breaks off after its first token: `'fail'` throws a `StreamInterruptedError`, `'restart'` begins anew
   * and says so by an event, `'continue'` goes on where it broke off, on targets that truly can. `generate()` uses only `'continue'`.
   * With any of them an answer of which only reasoning has come begins anew, after a `restart` event with `lost: 'reasoning'`.
   * @default 'fail'
   */
  readonly afterFirstToken?: AfterFirstToken | undefined
  /**
   * A stream keeps its first content to itself for so long, in milliseconds, so that an early break is healed unseen. It delays the
   * first token by as much. @default 0
   */
  readonly holdBackMs?: number | undefined
  /** The same by length: until so many characters are there, or the answer is whole. @default 0 */
  readonly holdBackChars?: number | undefined
  /**
   * How often a target that stopped at its own output limit is asked to go on, where it can. Never beyond `maxOutputTokens`.
   * @default 0
   */
  readonly continueOnLength?: number | undefined
  /**
   * How often a target whose answer misses the schema is asked once more, with what was wrong with it, before the next target is asked.
   * @default 0
   */
  readonly repair?: number | undefined
  /** Overrules the table for a failure; `undefined` leaves it to the table. */
  readonly decide?: ((failure: Failure) => Decision | undefined) | undefined
  /**
   * Hears of everything that happens, each event in the async context (`AsyncLocalStorage`) in which its call began; what belongs to no call,
   * in that of the client. One that throws harms nothing.
   */
  readonly onEvent?: EventListener | undefined
  /** Any logger with pino's methods, or winston's: a line for each failed attempt and one for each call, without prompts and keys. @default silent */
  readonly logger?: Logger | undefined
  /** Monotonic time and timers, for tests and simulations. @default performance.now and the global timers */
  readonly clock?: Clock | undefined
  /** Random numbers from 0 (included) to 1 (not included), for tests and simulations. @default Math.random */
  readonly random?: (() => number) | undefined
}

export type DefaultResponse = string | object | ((failures: readonly Failure[]) => unknown)

type MaybeSchema = StandardSchema | undefined
type MaybeTools = ToolSet | undefined

/** A call's own default is of the type that the call asks for. */
type DefaultFor<Schema extends MaybeSchema> =
  | ValueFor<Schema>
  | ((failures: readonly Failure[]) => ValueFor<Schema> | Promise<ValueFor<Schema>>)
type ValueFor<Schema extends MaybeSchema> = Schema extends StandardSchema ? InferOutput<Schema> : string

type ToolChoiceFor<Tools extends MaybeTools> =
  | Exclude<ToolChoice, object>
  | { readonly toolName: keyof NonNullable<Tools> & string }

/** What `generate()` and `stream()` are asked. A string is short for `{ prompt }`. */
export type GenerateInput<Schema extends MaybeSchema = MaybeSchema, Tools extends MaybeTools = MaybeTools> = {
  /** The user's question. Either this or `messages`. */
  readonly prompt?: string | undefined
  /** A conversation, oldest turn first. Either this or `prompt`. */
  readonly messages?: readonly Message[] | undefined
  /** Instructions that come before everything else. */
  readonly system?: string | undefined
  /**
   * The form of the answer: a schema that offers a JSON Schema (zod 4, arktype, valibot with `@valibot/to-json-schema`), `choice()` or
   * `array()`. Every target is held to it as strongly as it can be; an answer that misses it is a failed attempt.
   */
  readonly output?: Schema | undefined
  /** See the client's option of the same name. */
  readonly repair?: number | undefined
  /** Comes before the client's, and is of the type of `output`. */
  readonly defaultResponse?: DefaultFor<NoInfer<Schema>> | undefined
  /** What the model may call. Calls come back with their inputs validated; nothing is executed, see `runTools()`. */
  readonly tools?: Tools | undefined
  readonly toolChoice?: ToolChoiceFor<NoInfer<Tools>> | undefined
  readonly temperature?: number | undefined
  readonly topP?: number | undefined
  /** The most tokens an answer may have, thinking included where a model thinks. */
  readonly maxOutputTokens?: number | undefined
  readonly stopSequences?: readonly string[] | undefined
  readonly seed?: number | undefined
  /** How much the model thinks before it answers. @default the server's own */
  readonly reasoning?: Reasoning | undefined
  /** See the client's option of the same name; so for the next three. */
  readonly afterFirstToken?: AfterFirstToken | undefined
  readonly holdBackMs?: number | undefined
  readonly holdBackChars?: number | undefined
  readonly continueOnLength?: number | undefined
  /** Limits of this call in milliseconds; they come before a target's and the client's. */
  readonly timeout?: Partial<CallTimeoutSettings> | undefined
  /** Ends the call at once, in whatever phase; it rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined
  /** What conditions (`when`) and listeners may want to know. It is not sent anywhere. */
  readonly metadata?: Call['metadata'] | undefined
  /** Fields for the request body as they are, over what the provider wrote. */
  readonly extraBody?: Call['extraBody'] | undefined
}

/** What becomes of an answer that breaks off. */
export type ContinuationSettings = {
  readonly afterFirstToken: AfterFirstToken
  readonly holdBackMs: number
  readonly holdBackChars: number
  readonly continueOnLength: number
}

/** Every default number in one place. Where each comes from stands in docs/policy.md. */
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

/** The call that every target is asked, before each gets its own model. */
export function resolveCall(input: GenerateInput, form?: AnswerForm): Call {
  const { prompt, messages = [{ role: 'user', content: prompt ?? '' }], system, metadata = nothing } = input
  const { toolChoice, temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, extraBody } = input
  return {
    model: '',
    messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages],
    ...{ tools: form?.tools?.tools, output: form?.output?.format },
    ...{ toolChoice, temperature, topP, maxOutputTokens, stopSequences, seed, reasoning, metadata, extraBody },
  }
}

const nothing: Call['metadata'] = Object.freeze({})

/** The limits of a target: its own, else the client's, else what its service needs, else the defaults. */
export function targetTimeout(target: Target, client: Partial<TimeoutSettings> | undefined): TimeoutSettings {
  return merge(defaults.timeout, target.provider.timeout, client, target.timeout)
}

/** Where nothing is retried, nothing is walked again either, unless somebody said so. */
/** Of a target that thinks in silence (F9); docs/timeouts.md says why. */
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

/** A service that hides its reasoning is silent for as long as the model thinks: half a minute is usual. */
const thinking = { firstChunkMs: 120_000, probeMs: 60_000 }

export function targetRetry(target: Target, client: ClientOptions['retry']): RetrySettings {
  const retry = merge<RetrySettings>(defaults.retry, asRetry(client), asRetry(target.retry))
  return retry.maxRetries === 0 && retry.rounds === undefined ? { ...retry, rounds: 1 } : retry
}

export function hedgeSettings(hedge: ClientOptions['hedge']): HedgeSettings | undefined {
  if (hedge === false) return undefined
  return merge<HedgeSettings>(defaults.hedge, hedge)
}

type ContinuationChoice = Pick<ClientOptions, keyof ContinuationSettings>

/** A call's own come before the client's. */
export function continuationSettings(client: ContinuationChoice, call: ContinuationChoice): ContinuationSettings {
  const { continuation } = defaults
  return {
    afterFirstToken: call.afterFirstToken ?? client.afterFirstToken ?? continuation.afterFirstToken,
    holdBackMs: call.holdBackMs ?? client.holdBackMs ?? continuation.holdBackMs,
    holdBackChars: call.holdBackChars ?? client.holdBackChars ?? continuation.holdBackChars,
    continueOnLength: call.continueOnLength ?? client.continueOnLength ?? continuation.continueOnLength,
  }
}

export function healthSettings({ profile, breaker }: ClientOptions): HealthSettings {
  const settings = profile === 'costFirst' ? costFirst : loadFirst
  return { ...settings, breaker: breaker === false ? false : merge<BreakerSettings>(settings.breaker, breaker) }
}

function asRetry(retry: ClientOptions['retry']): Partial<RetrySettings> | undefined {
  return typeof retry === 'number' ? { maxRetries: retry } : retry
}

/** Later ones win; a field that is `undefined` says nothing. */
export function merge<Settings extends object>(base: Settings, ...over: readonly (Partial<Settings> | undefined)[]): Settings {
  const merged: Settings = { ...base }
  for (const one of over) {
    for (const [name, value] of Object.entries(one ?? {})) if (value !== undefined) Object.assign(merged, { [name]: value })
  }
  return merged
}
