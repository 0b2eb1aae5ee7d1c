import type { Sink } from './answer/answer.ts'
import type { Continuation } from './answer/continuation.ts'
import type { Account } from './chain/account.ts'
import type { ChainPool } from './chain/pool.ts'
import type { CallSignal } from './chain/signal.ts'
import type { ChainTarget, Hedge, Leg } from './chain/state.ts'
import type { Call, Clock } from './contract.ts'
import type { EventListener } from './contract-events.ts'
import type { CallTimeoutSettings } from './contract-targets.ts'
import type { UnbusyError } from './errors.ts'
import type { ClientOptions, ContinuationSettings, GenerateInput } from './options.ts'
import type { AnswerForm } from './output/answer-form.ts'
import type { Repairs } from './output/repairs.ts'
import type { Activity } from './telemetry/activity.ts'

/** The state that all calls of one client share. */
export type ClientState = {
  readonly options: ClientOptions
  readonly clock: Clock
  readonly random: () => number
  /** Returns the listener of a call that begins now; undefined: there is none. */
  readonly teller: () => EventListener | undefined
  readonly activity: Activity
  /** Returns what to add to the clock's time to get the time in milliseconds since 1970. */
  readonly epochOffsetMs: () => number
  /** All targets, including each member of a pool. */
  readonly targets: readonly ChainTarget[]
  readonly steps: readonly (ChainPool | { readonly targets: readonly ChainTarget[] })[]
  /** The client's own budget. */
  readonly account: Account | undefined
  /** The client or one of its targets has a budget. */
  readonly hasBudgets: boolean
  /** Whether a client that joined the shared health later has brought a budget for a target of this one. Undefined: no health is shared. */
  readonly hasLaterBudgets: (() => boolean) | undefined
  /** At least one target has a `when`. */
  readonly hasConditions: boolean
  /** The client's limits and continuation settings, with every default filled in. A call may override them. */
  readonly limits: CallTimeoutSettings
  readonly continuation: ContinuationSettings
  readonly hedge: Hedge | undefined
  readonly probeMs: number
  readonly running: Set<CallSignal>
  readonly background: Set<Leg>
  calls: number
  closed: UnbusyError | undefined
}

/** One call, checked and with every default filled in. */
export type PreparedCall = {
  readonly callId: number
  readonly startedAt: number
  readonly given: GenerateInput
  readonly call: Call
  readonly limits: CallTimeoutSettings
  readonly settings: ContinuationSettings
  readonly continuation: Continuation
  readonly form: AnswerForm | undefined
  readonly repairs: Repairs | undefined
  readonly signal: CallSignal
  /** Reports an event in the async context of this call. */
  readonly tell: EventListener | undefined
}

/** Everything in which `generate()` and `stream()` differ. */
export type CommitOptions = {
  readonly sink: Sink
  /** True for `stream()`; events report it. */
  readonly stream: boolean
  /** Whether the default response may be the answer. It may not once the reader of a stream has text. */
  mayDefault(): boolean
}
