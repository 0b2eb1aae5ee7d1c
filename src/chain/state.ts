import type { Answer, Fold, Sink } from '../answer/answer.ts'
import type { Call, Clock, FinishReason, Provider, TimeoutSettings, Usage } from '../contract.ts'
import type { AttemptKind, AttemptRecord, EventListener } from '../contract-events.ts'
import type { Decision, Failure } from '../contract-failures.ts'
import type { Price, RetrySettings, Target, TargetLimits } from '../contract-targets.ts'
import type { ProviderError } from '../errors.ts'
import type { Permit, TargetHealth } from '../health/health.ts'
import type { Activity } from '../telemetry/activity.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Account, Hold } from './account.ts'
import type { Clocks } from './clocks.ts'
import type { CallSignal } from './signal.ts'
import type { Wait } from './wait.ts'

/** One step of the chain with every default filled in. */
export type ChainTarget = {
  readonly provider: Provider
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  /** The index of the step in the chain; a pool is one step. */
  readonly step: number
  readonly retry: RetrySettings
  readonly timeout: TimeoutSettings
  /** The limits of a target that reasons in silence; undefined: this target does not. */
  readonly thinking: ThinkingLimits | undefined
  readonly price: Price | undefined
  /** The target has no price and a loopback or private address, so its requests count as free. */
  readonly isPrivate: boolean
  /** The budget of the client. */
  readonly account: Account | undefined
  /** Returns what to add to the clock's time to get the time in milliseconds since 1970. */
  readonly epochOffsetMs: () => number
  readonly when: ((call: Call) => boolean) | undefined
  /** The target's `prepare`, checked: it returns only allowed changes, or throws. */
  readonly prepare: Target['prepare']
  readonly keepWarm: Target['keepWarm']
  readonly limits: TargetLimits | undefined
  readonly health: TargetHealth
  readonly observers: Observers
}

/** The observers of all attempts of a client. */
export type Observers = {
  /** Counts the attempts for `status()`. */
  readonly activity: Pick<Activity, 'attempted'>
  /** Undefined: the client has no telemetry. */
  readonly telemetry: Telemetry | undefined
}

/** How long a target that reasons in silence may be silent. */
export type ThinkingLimits = {
  /** Replaces `timeout.firstChunkMs`; undefined if the user has set that. */
  readonly firstChunkMs: number | undefined
  readonly probeMs: number
}

export type WalkOptions = {
  readonly callId: number
  readonly call: Call
  readonly targets: readonly ChainTarget[]
  readonly sink: Sink
  readonly clock: Clock
  readonly random: () => number
  readonly startedAt: number
  /** When the whole call must be over, on the clock. */
  readonly deadline: number
  /** The deadline of the first content, in the clock's time; Infinity: the caller set none. */
  readonly firstContentAt: number
  /** The call has a default response, which the caller prefers to a late answer. */
  readonly hasDefault: boolean
  readonly signal: CallSignal
  readonly decide: ((failure: Failure) => Decision | undefined) | undefined
  readonly hedge: Hedge | undefined
  /** False: the call asks only one target. */
  readonly hasFallback: boolean
  /** The budgets of the call and its client; undefined: neither they nor any target has one. */
  readonly accounts: readonly Account[] | undefined
  /** A probe must show its first token within this time. */
  readonly probeMs: number
  /** Probes that go on to their verdict after the call is over. */
  readonly background: Set<Leg>
  /** Undefined: there is no listener, so no events are created. */
  readonly tell: EventListener | undefined
}

/** The whole state of one call. Calls share none of it: there is no "current target" anywhere. */
export type Walk = WalkOptions & {
  /** The targets in the order in which they are asked, each with its state in this call. */
  readonly candidates: readonly Candidate[]
  legs: readonly Leg[]
  /** Attempts and skips in the order in which they began; a running attempt has no record yet. */
  trail: readonly { readonly record: AttemptRecord | undefined }[]
  readonly failures: ProviderError[]
  /** The leg whose content goes to the caller, while it runs. */
  winner: Leg | undefined
  /** Why the running attempt is late: a hedge may be started alongside it. */
  late: Lateness | undefined
  over: boolean
  committed: boolean
  /** An attempt has received content, so the clock of the first content is off. */
  hasContent: boolean
  /** The number of the current round through the chain, from 1. */
  round: number
  /** How long the call may still wait before requests. */
  waitLeftMs: number
  /** How long it has waited since its last request. */
  waitedMs: number
}

/** A target with its state in one call. */
export type Candidate = {
  readonly target: ChainTarget
  /** The call as this target gets it; created on demand. */
  call: Call | undefined
  /** The call from which health estimates the size of a request. Undefined: it is not known before `prepare` runs. */
  readonly sized: Call | undefined
  /** The number of requests to the target. */
  asked: number
  /** How often the target failed in this call. Only failures use up retries; a lost race does not. */
  failed: number
  /** This call does not ask the target again, at least in this round. */
  spent: boolean
  /** The target's last failure. */
  failure: ProviderError | undefined
  /** No other round asks the target again: the caller's `decide` returned `next`, or the retry budget is used up. */
  isFinal: boolean
  /** Another round asks the target again, which uses up one retry of its budget. */
  isAgain: boolean
  /** The target was asked again although it had been silent. */
  wasSilent: boolean
  /** The skip has been reported. */
  skipped: boolean
  /** The skip for lack of money has been reported. */
  isOverBudget: boolean
  /** The maximum cost of the target's next request; undefined: not computed yet. */
  worst: number | undefined
  /** Why the target cannot take this call; `null`: it can. Undefined: not determined yet. */
  refusal: Partial<Failure> | null | undefined
}

export type Walked = {
  readonly answer: Answer
  readonly target: ChainTarget
  readonly attempts: readonly AttemptRecord[]
}

/** How a leg ended. */
export type LegEnd =
  | { readonly type: 'answered'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly failure: ProviderError; readonly decision: Decision }
  /** Another leg won, the call is over, or the request was not made after all. */
  | { readonly type: 'abandoned' }
  /** Not a failure of the target but a bug in a provider or in the caller's code. */
  | { readonly type: 'bug'; readonly error: unknown }

/** One target's part in a walk: its attempts one after the other, with the waits between them. */
export type Leg = {
  readonly candidate: Candidate
  readonly kind: AttemptKind
  end: LegEnd | undefined
  running: RunningAttempt | undefined
  /** The number of the request that made the answer; 0: there is none yet. */
  answeredBy: number
  waiting: Wait | undefined
  permit: Permit | undefined
  /** How long the leg waited before its next attempt. */
  waitMs: number
  /** Retries made by this leg: the backoff grows with them. */
  retries: number
  /** What the last failure leads to. */
  decision: Decision
  /** The last error of an attempt, of `prepare` or of `decide`, unchanged: p-retry may wrap it. */
  thrown: unknown
  /** Its retry found the configured limit of the target reached by other calls. */
  isOvertaken: boolean
  /** Fires when this leg is late; see hedge.ts. */
  lateTimer: unknown
}

export type AttemptOptions = {
  readonly clock: Clock
  readonly target: ChainTarget
  readonly call: Call
  readonly callId: number
  readonly attempt: number
  readonly kind: AttemptKind
  readonly waitMs: number
  /** When the attempt must be over, on the clock: the deadline of the call, or `totalMs` of the target if that is sooner. */
  readonly deadline: number
  /** When the call must have its first content, and when it began, on the clock. */
  readonly firstContentAt: number
  readonly callStartedAt: number
  /** The target's clocks. */
  readonly timeout: TimeoutSettings
  /** The longest time without any content. */
  readonly shareMs: number
  /** The longest time until the first content. */
  readonly firstChunkMs: number
  /** The target reasons in silence, so a silence proves little. */
  readonly thinks: boolean
  readonly permit: Permit
  readonly fold: Fold
  /** The money reserved for the request. Undefined: no budget applies. */
  readonly hold: Hold | undefined
  /**
   * The provider wants to repeat the request with changes; `record` is the previous request. Returns the number of the new request;
   * undefined: it must not be sent, because the budget does not allow it.
   */
  admitRepeat(running: RunningAttempt, record: AttemptRecord): number | undefined
  /** At the first content: returns whether this attempt wins the race. A loser is abandoned. */
  claim(): boolean
  readonly tell: EventListener | undefined
}

/** The mutable state of one attempt. Each attempt has its own, so that none affects another (maximhq/bifrost#4911). */
export type RunningAttempt = {
  /** Not spread into this object: that would copy the options for each attempt and grow the object field by field. */
  readonly options: AttemptOptions
  /** The number of the request to this target in this call; it increases when the provider repeats the request with changes. */
  attempt: number
  /** The purpose of the request; one that the provider repeats with changes is a `retry`. */
  kind: AttemptKind
  startedAt: number
  readonly controller: AbortController
  /** Resolves with the answer; rejects with a `ProviderError`, with `abandoned`, or with an unexpected error of a provider. */
  readonly done: PromiseWithResolvers<Answer>
  readonly clocks: Clocks
  /** The attempt has ended, in whatever way. */
  over: boolean
  /** The request has not reached the server, because there is no connection yet; undefined: the provider does not report it. */
  isUnsent: boolean | undefined
  /** The provider has emitted `finish`: what follows cannot make the answer incomplete. */
  finished: boolean
  /** The server has reported that it holds the request. */
  wasQueued: boolean
  chunks: number
  /** How many of `chunks` came from previous requests of this attempt. */
  earlierChunks: number
  firstChunkMs: number | undefined
  status: number | undefined
  requestId: string | undefined
  responseId: string | undefined
  responseModel: string | undefined
  finishReason: FinishReason | undefined
  usage: Usage | undefined
  /** Undefined while the attempt runs. */
  record: AttemptRecord | undefined
  /** Set when the server has reported its end: finishes the answer with what was received. */
  conclude: (() => void) | undefined
  /** Resolves when the answer was checked, or found incomplete; undefined: that has not begun. */
  checking: Promise<void> | undefined
}

/** When and how often a call asks a second target because the first is late. */
export type HedgeSettings = {
  /** The maximum number of hedges per call, from 0 to 1: 0.02 is one hedge for fifty calls. Up to five are saved up. @default 0.02 */
  readonly budget: number
  /**
   * The maximum cost of the prompts of lost requests, as a share of the cost of answers, from 0 to 1: 0.05 is five cents per dollar.
   * @default 0.05
   */
  readonly spend: number
  /**
   * A queued request is late after this time, in milliseconds. The budget limits its hedge only if the price of the other target is not known.
   * @default 8000
   */
  readonly queuedMs: number
  /** No request is late before this time, in milliseconds; before twice this while the target has few samples. @default 2000 */
  readonly leastMs: number
  /** Whether hedges may go to targets without a price; `budget` always limits these. @default true */
  readonly unpriced: boolean
}

/** `queued`: the server holds the request. `first-chunk`: the first token is later than nearly all of the target's. */
export type Lateness = 'queued' | 'first-chunk'

/** The hedging of one client: when a request is late, and how often a hedge may be sent. */
export type Hedge = {
  readonly settings: HedgeSettings
  /** Counts a call that begins. */
  called(): void
  /** Counts the cost of an answer. */
  paid(cost: number): void
  /** Returns whether this target may get a hedge, and takes it from the budget. */
  take(target: ChainTarget, late: Lateness | undefined): boolean
  /** Counts the waste of a request that lost its race. */
  lost(call: Call, target: ChainTarget): void
  /** Returns after how long without content a request to this target is late. */
  lateAfterMs(health: TargetHealth): number
}
