import type { Clock, Failure } from '../contract.ts'
import type { BreakerPermit } from './breaker.ts'
import { charge } from './charge.ts'
import { isDuration } from './gate.ts'
import type { Trial } from './guard.ts'
import type { Herald } from './herald.ts'
import type { KeyMember } from './key-memory.ts'
import type { Pace } from './pace.ts'
import { createPermit } from './permit.ts'
import type { Charged, Permit } from './permit.ts'
import type { Rooms } from './rooms.ts'

export type AttemptOptions = {
  readonly clock: Clock
  readonly rooms: Rooms
  readonly herald: Herald
  readonly member: KeyMember
  readonly pace: Pace
  readonly pass: BreakerPermit
  /** What it tries out for all, on top of the breaker's probe. */
  readonly trials: readonly Trial[]
  readonly startedAt: number
  /** A first content, or an answer without any. */
  readonly onSuccess: (now: number) => void
  /** A place is free, or the target has opened or shut. */
  readonly onChange: () => void
}

type Attempt = AttemptOptions & {
  hasBegun: boolean
  /** Its failure was counted when it was late. */
  isCounted: boolean
}

/** Turns what happens to one attempt into what is remembered of its target. */
export function createAttempt(options: AttemptOptions): Permit {
  const attempt: Attempt = { ...options, hasBegun: false, isCounted: false }
  const { rooms, clock, pass, startedAt } = options
  return createPermit({
    onFirstChunk(afterMs) {
      attempt.hasBegun = true
      rooms.latency.add(afterMs)
      rooms.budget.deposit()
      rooms.limiter.succeed(rooms.latency.isPrompt(afterMs), attempt.pace)
      succeed(attempt, clock.now())
      attempt.onChange()
    },
    onLate: () => beLate(attempt, clock.now()),
    onAnswered() {
      const now = clock.now()
      if (!attempt.hasBegun) succeed(attempt, now)
      rooms.breaker.finish(pass, now)
      leave(attempt, now, now - startedAt)
    },
    onAbandoned() {
      rooms.breaker.abandon(pass)
      leave(attempt, clock.now())
    },
    onFailure(failure, charged) {
      const now = clock.now()
      fail(attempt, { failure, charged, now })
      leave(attempt, now)
    },
  })
}

function succeed({ rooms, herald, pass, trials, isCounted, onSuccess }: Attempt, now: number): void {
  onSuccess(now)
  rooms.watch.reach()
  if (!isCounted) rooms.breaker.succeed(pass, now)
  if (trials.length === 0) return
  const wasRefused = rooms.key.suspension.onTrial(now)
  for (const trial of trials) trial.end('good', now)
  if (!wasRefused) return
  rooms.key.lift()
  // Another process must not leave alone for an hour what has been paid for.
  if (!rooms.key.suspension.onTrial(now)) herald.publish({ kind: 'closed', reason: 'quota', forMs: 0 }, 'credential')
}

function beLate(attempt: Attempt, now: number): void {
  const { breaker, limiter } = attempt.rooms
  attempt.isCounted = true
  breaker.fail(attempt.pass, { reason: 'timeout', message: 'It keeps requests in its queue.' }, now)
  limiter.refuse(now)
  attempt.onChange()
}

function fail(attempt: Attempt, { failure, charged, now }: { failure: Failure; charged: Charged; now: number }): void {
  const { rooms, herald, member, pass: permit, hasBegun, isCounted } = attempt
  const heldMs = now - attempt.startedAt
  const shut = charge(rooms, { failure, charged, permit, hasBegun, isCounted, heldMs, member, now })
  const { reason, retryAfterMs, concurrencyLimit } = failure
  if (concurrencyLimit !== undefined) herald.publish({ kind: 'limit', reason, forMs: 0, limit: concurrencyLimit })
  if (shut === undefined) return
  if (shut.what !== 'key') herald.gated(reason, shut.until, now)
  const about = shut.what === 'key' ? 'credential' : 'target'
  if (shut.what !== 'gate') herald.publish({ kind: 'refused', reason, forMs: shut.until - now }, about)
  if (shut.what === 'gate') herald.publish({ kind: 'gate', reason, forMs: shut.until - now }, about)
  // A key that works again is no reason to come before the time that the server named.
  else if (isDuration(retryAfterMs)) herald.publish({ kind: 'gate', reason, forMs: retryAfterMs }, about)
}

function leave({ rooms, trials, hasBegun, onChange }: Attempt, now: number, answeredMs?: number): void {
  rooms.limiter.leave(hasBegun, answeredMs)
  for (const trial of trials) trial.end('none', now)
  onChange()
}
