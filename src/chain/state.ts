import type {
  AttemptRecord,
  Call,
  ClientEvent,
  Clock,
  Decision,
  Failure,
  Price,
  Provider,
  RetrySettings,
  Sink,
  TimeoutSettings,
} from '../contract.ts'
import type { ProviderError } from '../errors.ts'
import type { Permit, TargetHealth } from '../health/health.ts'
import type { Wait } from './delay.ts'

/** One step of the chain with every default filled in. */
export type ChainTarget = {
  readonly provider: Provider
  readonly model: string
  readonly targetIndex: number
  readonly retry: RetrySettings
  readonly timeout: TimeoutSettings
  readonly price: Price | undefined
  readonly when: ((call: Call) => boolean) | undefined
  readonly health: TargetHealth
}

export type WalkOptions<Answer> = {
  readonly callId: number
  readonly call: Call
  readonly targets: readonly ChainTarget[]
  readonly sink: Sink<Answer>
  readonly clock: Clock
  readonly random: () => number
  readonly startedAt: number
  /** When the whole call must be over, on the clock. */
  readonly deadline: number
  readonly signal: AbortSignal
  readonly decide: ((failure: Failure) => Decision | undefined) | undefined
  readonly hedge: Hedge | undefined
  /** A target on probation must show its first token within this time. */
  readonly probeMs: number
  /** Probes that go on to their verdict after their call is over. */
  readonly background: Set<Leg<Answer>>
  tell(event: ClientEvent): void
}

/** Everything that one call remembers. Nothing of it is shared with another call: there is no "current target" anywhere. */
export type Walk<Answer> = WalkOptions<Answer> & {
  readonly legs: Set<Leg<Answer>>
  /** Attempts and skips in the order in which they began. */
  readonly trail: { record(): AttemptRecord | undefined }[]
  readonly failures: ProviderError[]
  /** Requests made to each target, by its index. */
  readonly asked: number[]
  /** How often each target failed this call: only that uses up retries, a lost race does not. */
  readonly failed: number[]
  /** Targets that this call has done with, by index. */
  readonly spent: boolean[]
  /** Why a target cannot have this call, by index; undefined once it is known that it can. */
  readonly refusals: (Partial<Failure> | undefined)[]
  readonly skipped: boolean[]
  winner: Leg<Answer> | undefined
  /** The one who is asked is late, and why: somebody may be asked beside it. */
  late: Lateness | undefined
  over: boolean
  committed: boolean
  /** The call as this target gets it. */
  callTo(target: ChainTarget): Call
  shareMs(target: ChainTarget): number
  claim(leg: Leg<Answer>): boolean
  /** What this leg has received becomes the caller's. Told once a call. */
  commit(leg: Leg<Answer>): void
  nudge(): void
}

export type Walked<Answer> = {
  readonly answer: Answer
  readonly target: ChainTarget
  readonly attempts: readonly AttemptRecord[]
}

/** How a leg came to its end. */
export type LegEnd<Answer> =
  | { readonly type: 'answered'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly decision: Decision }
  | { readonly type: 'abandoned' }
  /** Not a failure of the target but a fault in somebody's code. */
  | { readonly type: 'bug'; readonly error: unknown }

/** One target's part in a walk: its attempts one after the other, with the waits between them. */
export type Leg<Answer> = {
  readonly target: ChainTarget
  readonly kind: AttemptKind
  end: LegEnd<Answer> | undefined
  running: RunningAttempt<Answer> | undefined
  waiting: Wait | undefined
  permit: Permit | undefined
  waitMs: number
  decision: Decision
  failure: ProviderError | undefined
  /** What the last attempt ended with: p-retry hands on what it has made of it. */
  thrown: unknown
  /** Rings when this leg is late; see hedge.ts. */
  lateTimer: unknown
}

export type AttemptKind = 'first' | 'retry' | 'hedge' | 'probe'

export type RunningAttempt<Answer> = {
  /** The answer; or rejects with a `ProviderError`, with {@link abandoned}, or with whatever bug a provider threw. */
  readonly done: Promise<Answer>
  /** Undefined while it runs. */
  record(): AttemptRecord | undefined
  /** The server said that it holds the request, and no content came yet. */
  isQueued(): boolean
  /** It has waited in a queue for too long: that counts against the target, though the attempt goes on. */
  late(): void
  /** Ends it at once and charges nobody. */
  abandon(reason: unknown): void
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
  /** Also ask targets whose price is not known. @default false, or true where `hedge` was given */
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
