import type { Answer, Fold } from '../../src/answer/answer.ts'
import { startAttempt } from '../../src/chain/attempt.ts'
import type { AttemptOptions, ChainTarget, RunningAttempt } from '../../src/chain/state.ts'
import type { Attempt, Clock, Provider, ProviderEvent } from '../../src/contract.ts'
import type { AttemptRecord, ClientEvent } from '../../src/contract-events.ts'
import type { Outcome, Permit } from '../../src/health/outcome.ts'
import { defaults } from '../../src/options.ts'

export type OneAttempt = {
  readonly run: RunningAttempt
  /** What the permit was given back with. */
  readonly outcomes: readonly Outcome[]
  /** For each request that ended with a permit for limits: whether the server may still be at work on it. */
  readonly finished: readonly boolean[]
  /** The times of the first contents that health was told. */
  readonly firstChunks: readonly number[]
  readonly told: readonly ClientEvent[]
  readonly records: readonly AttemptRecord[]
  /** What came to the fold. */
  readonly folded: readonly ProviderEvent[]
  /** How often the fold was dropped. */
  drops(): number
  /** The answer, or the error. */
  readonly over: Promise<unknown>
}

export type Given = Partial<Omit<AttemptOptions, 'target' | 'fold' | 'permit'>> & {
  readonly target?: Partial<ChainTarget>
  readonly fold?: Partial<Fold>
  readonly permit?: Partial<Permit>
  /** When a request may be sent again under the configured limits, on the clock. */
  readonly againAt?: number
  /** Nearly all first chunks of the target come within this time. */
  readonly usualMs?: number
}

const answer = { text: 'answer' } as Answer

/** Starts one attempt as a leg does, without a chain around it, and keeps what comes out of it. */
export function attemptAt(clock: Clock, provider: Provider | Provider['stream'], given: Given = {}): OneAttempt {
  const { target, fold, permit, usualMs, againAt = 0, ...options } = given
  const [outcomes, finished, firstChunks]: [Outcome[], boolean[], number[]] = [[], [], []]
  const [told, records, folded]: [ClientEvent[], AttemptRecord[], ProviderEvent[]] = [[], [], []]
  let drops = 0
  const usual = usualMs === undefined ? undefined : { p50: usualMs, p98: usualMs }
  const run = startAttempt({
    clock,
    callId: 7,
    call: { model: 'm', messages: [{ role: 'user', content: 'Why?' }], metadata: {} },
    attempt: 1,
    kind: 'first',
    waitMs: 0,
    deadline: Infinity,
    firstContentAt: Infinity,
    callStartedAt: 0,
    timeout: defaults.timeout,
    shareMs: Infinity,
    firstChunkMs: defaults.timeout.firstChunkMs,
    thinks: false,
    hold: undefined,
    admitRepeat: () => 2,
    claim: () => true,
    tell: event => void told.push(event),
    ...options,
    target: {
      provider: typeof provider === 'function' ? { name: 'own', stream: provider } : provider,
      model: 'm',
      name: 'first',
      targetIndex: 3,
      step: 2,
      epochOffsetMs: () => 0,
      observers: { activity: { attempted: record => void records.push(record) }, telemetry: undefined },
      ...target,
      health: { firstChunk: () => usual } as ChainTarget['health'],
    } as ChainTarget,
    permit: {
      firstChunk: afterMs => void firstChunks.push(afterMs),
      late: () => {},
      end: outcome => void outcomes.push(outcome),
      usage: { again: () => againAt, finished: isAtWork => void finished.push(isAtWork), used: () => {}, resize: () => {} },
      ...permit,
    } as Permit,
    fold: {
      overrides: undefined,
      emit(event) {
        folded.push(event)
        return true
      },
      onDrain: () => {},
      finish: () => answer,
      drop: () => void (drops += 1),
      ...fold,
    },
  })
  const over = run.done.promise.catch((error: unknown) => error)
  return { run, outcomes, finished, firstChunks, told, records, folded, drops: () => drops, over }
}

/** An attempt whose provider does nothing of its own: the test emits for it, and lets it end. */
export function openAttempt(clock: Clock, given: Given = {}) {
  const done = Promise.withResolvers<void>()
  let attempt: Attempt | undefined
  const stream: Provider['stream'] = (_call, context) => {
    attempt = context
    return done.promise
  }
  const one = attemptAt(clock, stream, given)
  if (attempt === undefined) throw new Error('The provider was not asked.')
  return { ...one, ...attempt, done, linger: attempt.linger! }
}
