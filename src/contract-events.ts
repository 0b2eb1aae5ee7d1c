/** What is reported: a record for each attempt, and events. */

import type { Call, FinishReason, Provider, Usage } from './contract.ts'
import type { ClockName, FailureReason } from './contract-failures.ts'

/** One entry of `attempts`: everything known about one request, or about a target that was skipped. */
export type AttemptRecord = {
  readonly provider: string
  readonly model: string
  /** The target's own `name`. */
  readonly name: string | undefined
  /** The index of the target among all targets, from 0; each member of a pool counts. */
  readonly targetIndex: number
  /** The index of the step in the chain, from 0; a pool is one step. */
  readonly step: number
  /** The number of the request to this target in this call, from 1; 0 if none was sent. */
  readonly attempt: number
  /** `abandoned`: another attempt won or the caller left; this is neither a success nor a failure. */
  readonly outcome: 'answered' | 'failed' | 'abandoned' | 'skipped'
  /** Why it failed or was skipped; undefined for other outcomes. */
  readonly reason: FailureReason | undefined
  /** The same in our own words, without a prompt, an answer or a key. */
  readonly message: string | undefined
  /** The HTTP status, if the server responded. */
  readonly status: number | undefined
  /** `timeout`: the clock that ran out. */
  readonly clock: ClockName | undefined
  /** The service's own id of the request. */
  readonly requestId: string | undefined
  /** How long the call waited before this attempt, in milliseconds. */
  readonly waitMs: number
  /** From the request to its end, in milliseconds; 0 if none was sent. */
  readonly durationMs: number
  /** From the request to the first content, in milliseconds; undefined when no content came. */
  readonly firstChunkMs: number | undefined
  /** The number of deltas received, also from an answer that failed. */
  readonly chunks: number
  /** The attempt continued a broken answer after this many characters; undefined when it started a new answer. */
  readonly continuedFrom: number | undefined
  /** The tokens of this request; undefined if the server did not report them. */
  readonly usage: Usage | undefined
  /** The purpose of the request; undefined when none was sent. */
  readonly kind: AttemptKind | undefined
  /** US dollars; 0 if nothing was sent or the server refused the request; undefined if the price or the usage is not known. */
  readonly cost: number | undefined
  /** `cost` may be too high: the price changed during the request, is uncertain on that day, or has no `cachedInput`. */
  readonly costIsUpperBound: boolean
  /** If the price is known but `cost` is not: the maximum cost, from the length of the prompt and `maxOutputTokens`. */
  readonly worstCost: number | undefined
  /** The server's own id of the answer; undefined if it is not like an id: up to 128 ASCII characters without a blank. */
  readonly responseId: string | undefined
  /** The model that the server says it used; undefined if it is not like a name, in the same sense. */
  readonly responseModel: string | undefined
  /** Why the model stopped; undefined if the answer did not reach its end. */
  readonly finishReason: FinishReason | undefined
}

/** `hedge`: started because another attempt is late. `probe`: tests a target that was down, alongside the real attempt. */
export type AttemptKind = 'first' | 'retry' | 'hedge' | 'probe'

/**
 * The health of a target. `closed`: calls use it. `gated`: a rate limit, a refused key or an unknown model blocks calls. `open`: the
 * target is down and calls skip it. `half-open`: the block is over, but no attempt has succeeded since.
 */
export type TargetState = 'closed' | 'half-open' | 'gated' | 'open'

type OfTarget = {
  readonly provider: string
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
}

/** The settings of a request, without its prompt. */
export type RequestSettings = Pick<Call, 'temperature' | 'topP' | 'maxOutputTokens' | 'stopSequences' | 'seed' | 'reasoning'> & {
  /** `json`: the call has an `output`. */
  readonly outputType: 'text' | 'json'
}

type OfAttempt = OfTarget & {
  readonly callId: number
  readonly attempt: number
}

/**
 * What a client reports to its listeners. Every `call-start` is followed by exactly one `call-end`, and every `attempt-start` by exactly
 * one `attempt-end`, also after aborts and errors. `at` is the monotonic time of the client's clock in milliseconds.
 */
export type ClientEvent = { readonly at: number } & (
  | {
      readonly type: 'call-start'
      readonly callId: number
      readonly targets: number
      readonly metadata: Call['metadata']
      /** True for `stream()`, false for `generate()`. */
      readonly stream: boolean
      /** Add this to the `at` of any event of this call to get the time in milliseconds since 1970. */
      readonly epochOffsetMs: number
    }
  | (OfAttempt & {
      readonly type: 'attempt-start'
      readonly kind: AttemptKind
      /** The host and the port of the service; undefined if the provider does not declare them. */
      readonly address: string | undefined
      readonly port: number | undefined
      /** The request asks the service to stream its tokens. */
      readonly stream: boolean
      readonly settings: RequestSettings
    })
  /** The server holds the request and sends keep-alives. Reported once per attempt. */
  | (OfAttempt & { readonly type: 'attempt-queued' })
  | (OfAttempt & { readonly type: 'attempt-end'; readonly record: AttemptRecord })
  /** The call skipped a target, and why. */
  | (Omit<OfAttempt, 'attempt'> & {
      readonly type: 'target-skip'
      readonly reason: FailureReason | undefined
      readonly message: string
    })
  /** Reported before the wait begins. */
  | (OfAttempt & { readonly type: 'wait'; readonly waitMs: number; readonly reason: FailureReason })
  /** From now on, received content goes to the caller. */
  | (OfAttempt & { readonly type: 'commit'; readonly durationMs: number })
  | {
      readonly type: 'call-end'
      readonly callId: number
      /** True for `stream()`, false for `generate()`. */
      readonly stream: boolean
      readonly outcome: 'answered' | 'degraded' | 'failed' | 'aborted'
      readonly durationMs: number
      readonly provider: string | undefined
      readonly model: string | undefined
      /** The target that answered; -1 for the default response; undefined if there is no answer. */
      readonly targetIndex: number | undefined
      readonly step: number | undefined
      readonly attempts: readonly AttemptRecord[]
      readonly usage: Usage | undefined
      /** US dollars for all `attempts`, as far as known; undefined if the cost of the answer is not known. */
      readonly cost: number | undefined
      readonly metadata: Call['metadata']
      readonly error: unknown
    }
  /** Reported as soon as the state changes, also while no call is running. */
  | (OfTarget & {
      readonly type: 'health-change'
      readonly state: TargetState
      readonly reason: FailureReason | undefined
      /** How long the new state will last (undefined = not known), and how long the previous state lasted. */
      readonly untilMs: number | undefined
      readonly sinceMs: number
    })
  /** Two or more services became unreachable at once: most likely the fault is on our side, so no target is charged. */
  | { readonly type: 'local-network-suspected'; readonly providers: readonly string[] }
  /** A ping of `keepWarm` or `warmUp()` has ended. It does not belong to any call. */
  | (OfTarget & {
      readonly type: 'keep-warm'
      /** What the ping kept warm: the model in memory, or the prompt in the cache. */
      readonly job: 'model' | 'prompt'
      readonly ok: boolean
      readonly durationMs: number
      readonly reason: FailureReason | undefined
    })
  /** The fleet's health store stopped responding (`lost`) or responds again (`back`). Meanwhile this process uses its own health. */
  | { readonly type: 'health-store'; readonly state: 'lost' | 'back'; readonly message: string }
)

/** Receives every event of a client, synchronously and in order. Exceptions that it throws are ignored. */
export type EventListener = (event: ClientEvent) => void

/** The origin of an attempt's events. */
export type Source = {
  readonly provider: Provider
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  readonly step: number
  /** Increases when the provider repeats the request with changes. */
  attempt: number
  /** How many requests the call has made, this one included; counted when it begins, and again at its first content. */
  requests?: number | undefined
}
