import type { Charged, Clock, Failure } from '../contract.ts'
import type { BreakerPermit } from './breaker.ts'
import { charge } from './charge.ts'
import { isDuration } from './gate.ts'
import type { Trial } from './guard.ts'
import type { Herald } from './herald.ts'
import type { KeyMember } from './key-memory.ts'
import { isOwnNetwork } from './own-network.ts'
import type { Pace } from './pace.ts'
import type { Outcome, Permit } from './permit.ts'
import type { Rooms } from './rooms.ts'
import type { Sized } from './size.ts'

/** What the attempts at one target have in common. */
export type AttemptContext = {
  readonly clock: Clock
  readonly rooms: Rooms
  readonly herald: Herald
  readonly member: KeyMember
  readonly pace: Pace
  /** What answered not longer ago than this may be refused by mistake. */
  readonly recentMs: number
  /** A first content, or an answer without any. */
  readonly onSuccess: (now: number) => void
  /** A place is free, or the target has opened or shut. */
  readonly onChange: () => void
  /** This process cannot try the target: another one of the fleet may. */
  readonly giveUpProbe: (now: number) => void
}

export type Admission = {
  readonly pass: BreakerPermit
  /** What it tries out for all, on top of the breaker's probe. */
  readonly trials: readonly Trial[]
  readonly startedAt: number
  /** The request, as far as its size goes. */
  readonly call: Sized | undefined
}

type Attempt = {
  readonly context: AttemptContext
  readonly admission: Admission
  hasBegun: boolean
  /** Its failure was counted when it was late. */
  isCounted: boolean
  hasEnded: boolean
}

/** Turns what happens to one attempt into what is remembered of its target. Each thing counts once, whoever tells it again. */
export function createAttempt(context: AttemptContext, admission: Admission): Permit {
  const attempt: Attempt = { context, admission, hasBegun: false, isCounted: false, hasEnded: false }
  return {
    firstChunk: afterMs => begin(attempt, afterMs),
    late: () => beLate(attempt),
    end: outcome => end(attempt, outcome),
  }
}

function begin(attempt: Attempt, afterMs: number): void {
  if (attempt.hasBegun || attempt.hasEnded) return
  attempt.hasBegun = true
  const { rooms, clock, pace, onChange } = attempt.context
  rooms.latency.add(afterMs)
  rooms.budget.deposit()
  rooms.limiter.succeed(rooms.latency.isPrompt(afterMs), pace)
  succeed(attempt, clock.now())
  onChange()
}

function beLate(attempt: Attempt): void {
  const { hasBegun, isCounted, hasEnded, context, admission } = attempt
  if (hasBegun || isCounted || hasEnded) return
  attempt.isCounted = true
  const { rooms, clock, onChange } = context
  const now = clock.now()
  rooms.breaker.fail(admission.pass, { reason: 'timeout', message: 'It keeps requests in its queue.' }, now)
  rooms.limiter.refuse(now)
  onChange()
}

function end(attempt: Attempt, outcome: Outcome): void {
  if (attempt.hasEnded) return
  attempt.hasEnded = true
  const { rooms, clock } = attempt.context
  const { pass, startedAt } = attempt.admission
  const now = clock.now()
  if (outcome === 'answered') {
    if (!attempt.hasBegun) succeed(attempt, now)
    rooms.breaker.finish(pass, now)
    leave(attempt, now, now - startedAt)
    return
  }
  if (outcome === 'abandoned') rooms.breaker.abandon(pass)
  else fail(attempt, { ...outcome, now })
  leave(attempt, now)
}

function succeed({ context, admission, isCounted }: Attempt, now: number): void {
  const { rooms, herald, onSuccess } = context
  const { pass, trials } = admission
  onSuccess(now)
  rooms.watch.reach()
  rooms.gate.answered()
  if (!isCounted) rooms.breaker.succeed(pass, now)
  if (trials.length > 0) endWell(rooms, herald, { trials, now })
  herald.succeeded(now)
}

function endWell(rooms: Rooms, herald: Herald, { trials, now }: { trials: readonly Trial[]; now: number }): void {
  const wasRefused = rooms.key.suspension.onTrial(now)
  const wasLong = rooms.gate.isLong(now)
  for (const trial of trials) trial.end('good', now)
  // the fleet need not stay away from what answers: a gate of no time is one that was lifted
  if (wasLong && !rooms.gate.isLong(now)) herald.publish({ kind: 'gate', reason: 'rate-limit', forMs: 0 })
  if (!wasRefused) return
  rooms.key.lift()
  // Another process must not leave alone for an hour what has been paid for.
  if (!rooms.key.suspension.onTrial(now)) herald.publish({ kind: 'closed', reason: 'quota', forMs: 0 }, 'credential')
}

function fail(attempt: Attempt, { failure, charged, now }: { failure: Failure; charged: Charged; now: number }): void {
  const { context, admission, hasBegun, isCounted } = attempt
  const { rooms, herald, member } = context
  const { pass: permit, startedAt, call, trials } = admission
  const heldMs = now - startedAt
  const wasGood = now - member.answeredAt() <= context.recentMs
  const onOwnNetwork = () => context.giveUpProbe(now)
  const about = { failure, charged, permit, hasBegun, isCounted, heldMs, member, call, wasGood, now }
  const count = () => charge(rooms, { ...about, onOwnNetwork })
  // A process without a name or a route knows nothing that the others should believe (F93).
  const shut = isOwnNetwork(failure) ? herald.quietly(count) : count()
  for (const trial of trials) trial.end('bad', now)
  const { reason, retryAfterMs, concurrencyLimit } = failure
  if (concurrencyLimit !== undefined) herald.publish({ kind: 'limit', reason, forMs: 0, limit: concurrencyLimit })
  if (shut === undefined) return
  if (shut.what !== 'key') herald.gated(reason, now)
  if (shut.isBrief) return
  const whose = shut.what === 'key' ? 'credential' : 'target'
  if (shut.what !== 'gate') herald.publish({ kind: 'refused', reason, forMs: shut.until - now }, whose)
  if (shut.what === 'gate') herald.publish({ kind: 'gate', reason, forMs: shut.until - now, tokens: shut.tokens }, whose)
  // A key that works again is no reason to come before the time that the server named.
  else if (isDuration(retryAfterMs)) herald.publish({ kind: 'gate', reason, forMs: retryAfterMs }, whose)
}

function leave({ context, admission, hasBegun }: Attempt, now: number, answeredMs?: number): void {
  const { rooms, onChange } = context
  rooms.limiter.leave(hasBegun, answeredMs)
  for (const trial of admission.trials) trial.end('none', now)
  onChange()
}
