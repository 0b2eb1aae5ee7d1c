import type { Answer, Fold, Sink } from '../answer/answer.ts'
import type {
  AttemptRecord,
  Call,
  Clock,
  Decision,
  EventListener,
  Failure,
  Price,
  Provider,
  RetrySettings,
  TimeoutSettings,
  Usage,
} from '../contract.ts'
import type { ProviderError } from '../errors.ts'
import type { Permit, TargetHealth } from '../health/health.ts'
import type { Clocks } from './clocks.ts'
import type { CallSignal } from './signal.ts'
import type { Wait } from './wait.ts'

/** One step of the chain with every default filled in. */
export type ChainTarget = {
  readonly provider: Provider
  readonly model: string
  readonly name: string | undefined
  readonly targetIndex: number
  /** Its place in the chain; a pool is one step. */
  readonly step: number
  readonly retry: RetrySettings
  readonly timeout: TimeoutSettings
  /** Undefined: it does not think in silence. */
  readonly thinking: ThinkingLimits | undefined
  readonly price: Price | undefined
  readonly when: ((call: Call) => boolean) | undefined
  readonly health: TargetHealth
}

/** How long a target may be silent that thinks and shows nothing of it. */
export type ThinkingLimits = {
  /** In place of `timeout.firstChunkMs`; undefined where somebody has chosen that. */
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
  /** When the first content must be here; Infinity: the caller set no such clock. */
  readonly firstContentAt: number
  /** There is a default response: the caller would rather have it soon than an answer late. */
  readonly hasDefault: boolean
  readonly signal: CallSignal
  readonly decide: ((failure: Failure) => Decision | undefined) | undefined
  readonly hedge: Hedge | undefined
  /** A target on probation must show its first token within this time. */
  readonly probeMs: number
  /** Probes that go on to their verdict after their call is over. */
  readonly background: Set<Leg>
  /** Undefined: nobody listens, and no event need be made. */
  readonly tell: EventListener | undefined
}

/** Everything that one call remembers. Nothing of it is shared with another call: there is no "current target" anywhere. */
export type Walk = WalkOptions & {
  /** The targets in the order in which they are asked, each with what this call has to do with it. */
  readonly candidates: readonly Candidate[]
  legs: readonly Leg[]
  /** Attempts and skips in the order in which they began; one that runs has no record yet. */
  trail: readonly { readonly record: AttemptRecord | undefined }[]
  readonly failures: ProviderError[]
  winner: Leg | undefined
  /** The one who is asked is late, and why: somebody may be asked beside it. */
  late: Lateness | undefined
  over: boolean
  committed: boolean
  /** An attempt has received content: the clock of the first content is over. */
  hasContent: boolean
  /** How often the chain is walked, this time included. */
  round: number
  /** How long the call may still wait before requests. */
  waitLeftMs: number
  /** How long it has waited since its last request. */
  waitedMs: number
}

/** A target, and what one call has to do with it. Made once for each call. */
export type Candidate = {
  readonly target: ChainTarget
  /** The call as this target gets it; made when it is needed. */
  call: Call | undefined
  /** Requests made to it. */
  asked: number
  /** How often it failed this call: only that uses up retries, a lost race does not. */
  failed: number
  /** This call has done with it, at least for this round. */
  spent: boolean
  /** How it failed last. */
  failure: ProviderError | undefined
  /** The caller's `decide` sent the call on: another round does not come back to it. */
  isFinal: boolean
  /** It is asked again in another round, and that costs one of its retry budget. */
  isAgain: boolean
  /** It was asked again although it had been silent. */
  wasSilent: boolean
  /** The skip has been reported. */
  skipped: boolean
  /** Why it cannot have this call; `null`: it can. Undefined: nobody has looked yet. */
  refusal: Partial<Failure> | null | undefined
}

export type Walked = {
  readonly answer: Answer
  readonly target: ChainTarget
  readonly attempts: readonly AttemptRecord[]
}

/** How a leg came to its end. */
export type LegEnd =
  | { readonly type: 'answered'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly failure: ProviderError; readonly decision: Decision }
  | { readonly type: 'abandoned' }
  /** Not a failure of the target but a fault in somebody's code. */
  | { readonly type: 'bug'; readonly error: unknown }

/** One target's part in a walk: its attempts one after the other, with the waits between them. */
export type Leg = {
  readonly candidate: Candidate
  readonly kind: AttemptKind
  end: LegEnd | undefined
  running: RunningAttempt | undefined
  waiting: Wait | undefined
  permit: Permit | undefined
  /** What was waited before the next attempt. */
  waitMs: number
  /** Retries made by this leg: the backoff grows with them. */
  retries: number
  decision: Decision
  /** What the last attempt ended with: p-retry hands on what it has made of it. */
  thrown: unknown
  /** Fires when this leg is late; see hedge.ts. */
  lateTimer: unknown
}

export type AttemptKind = 'first' | 'retry' | 'hedge' | 'probe'

export type AttemptOptions = {
  readonly clock: Clock
  readonly target: ChainTarget
  readonly call: Call
  readonly callId: number
  readonly attempt: number
  readonly kind: AttemptKind
  readonly waitMs: number
  /** When the whole call must be over, on the clock. */
  readonly deadline: number
  /** When the call must have its first content, and when it began, on the clock. */
  readonly firstContentAt: number
  readonly callStartedAt: number
  /** Of the target. */
  readonly timeout: TimeoutSettings
  /** The longest that may pass without any content. */
  readonly shareMs: number
  /** The longest until its first content. */
  readonly firstChunkMs: number
  /** It thinks and shows nothing of it: its silence says little. */
  readonly thinks: boolean
  readonly permit: Permit
  readonly fold: Fold
  /** The provider asks the same target again, changed: `record` is the request before. Returns the number of the next. */
  askedAgain(record: AttemptRecord): number
  /** The first content is here: does this attempt win the race? A loser is abandoned. */
  claim(): boolean
  readonly tell: EventListener | undefined
}

/** Everything that changes while an attempt runs. Made anew for each, so that nothing of one reaches another (maximhq/bifrost#4911). */
export type RunningAttempt = {
  /** Not spread into it: a copy would be made for each attempt, and grown field by field. */
  readonly options: AttemptOptions
  /** Which request to this target in this call; grows when the provider asks again, changed. */
  attempt: number
  startedAt: number
  readonly controller: AbortController
  /** The answer; or rejects with a `ProviderError`, with `abandoned`, or with whatever bug a provider threw. */
  readonly done: PromiseWithResolvers<Answer>
  readonly clocks: Clocks
  over: boolean
  finished: boolean
  /** The server said that it holds the request. */
  wasQueued: boolean
  chunks: number
  /** Of them, those of requests before this one. */
  earlierChunks: number
  firstChunkMs: number | undefined
  status: number | undefined
  requestId: string | undefined
  usage: Usage | undefined
  /** Undefined while it runs. */
  record: AttemptRecord | undefined
  /** The server has said that it is done: makes an answer of what there is. */
  conclude: (() => void) | undefined
  settling: Promise<void> | undefined
}

export type HedgeSettings = {
  /** Hedges per call, at most: 0.02 is one second request for fifty calls. @default 0.02 */
  readonly budget: number
  /** What hedges may waste, as a share of what answers cost: 0.05 is five cents for a dollar. @default 0.05 */
  readonly spend: number
  /** A request that is only queued is late after this, in milliseconds; the budget does not limit it. @default 8000 */
  readonly queuedMs: number
  /** No request is late before this, in milliseconds, and before twice this while the target is not known well. @default 2000 */
  readonly leastMs: number
  /** Also ask targets whose price is not known; only the number of hedges is limited there. @default true */
  readonly unpriced: boolean
}

/** `queued`: the server holds the request. `first-chunk`: its first token is later than nearly all of that target's. */
export type Lateness = 'queued' | 'first-chunk'

/** The hedging of one client: when a request is late, and how often a second one may be sent. */
export type Hedge = {
  readonly settings: HedgeSettings
  /** A call has begun. */
  called(): void
  /** An answer was paid for. */
  paid(cost: number): void
  /** May this target be asked beside a late one? Takes from the budget. */
  take(target: ChainTarget, late: Lateness | undefined): boolean
  /** This target was asked in vain: another one was quicker. */
  lost(call: Call, target: ChainTarget): void
  /** After how long without content a request to this target is late. */
  lateAfterMs(health: TargetHealth): number
}
