import type { Clock, Failure } from '../contract.ts'
import type { BreakerPermit } from './breaker.ts'
import { charge } from './charge.ts'
import { createFleetProbe } from './fleet-probe.ts'
import type { Refusal } from './gate.ts'
import type { Guard, Trial } from './guard.ts'
import { createHerald } from './herald.ts'
import type { FleetNames, HealthEvent } from './herald.ts'
import type { KeyMember, KeyMemory } from './key-memory.ts'
import type { Quantiles } from './latency.ts'
import { createLease } from './lease.ts'
import type { OriginWatch } from './local-fault.ts'
import { createPermit } from './permit.ts'
import type { Charged, Permit } from './permit.ts'
import { createRooms } from './rooms.ts'
import type { Rooms } from './rooms.ts'
import type { HealthSettings } from './settings.ts'
import { standingOf } from './standing.ts'
import type { Standing } from './standing.ts'
import type { HealthFact } from './store.ts'
import { createWaiters } from './waiters.ts'
import type { Outlook } from './waiters.ts'

/** What a walk asks and tells about one target. */
export type TargetHealth = {
  /** Looks only, takes nothing. */
  check(): Standing
  /** Takes the permit of the breaker and a place of the limiter; undefined when it may not start (the standing has changed). */
  enter(kind: 'call' | 'probe' | 'hedge'): Permit | undefined
  /**
   * For a call that can ask nobody else and cannot wait until this target opens (R96): one such call at a time passes what is only
   * our own guess (an open breaker, a refused key, an unknown model). Never a time that the server named, and never a full target.
   */
  enterLast(): Permit | undefined
  /** A waiter: calls back once, when this waiter may try. Answers how to leave. */
  onOpening(listener: () => void): () => void
  /** Takes one token of the retry budget. */
  takeRetry(): boolean
  /** How long the first content takes, in milliseconds; undefined until there is a sample. */
  firstChunk(): Quantiles | undefined
}

export type TargetMemory = TargetHealth & {
  readonly rooms: Rooms
  waiting(): number
  /** The target may have opened for a reason that lies outside of it. */
  pump(): void
  /** What another process learned. */
  learn(fact: HealthFact): void
  /** The failures since then were our own fault. */
  pardon(since: number, now: number): void
  close(): void
}

export type TargetMemoryOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly settings: HealthSettings
  readonly provider: string
  readonly model: string
  readonly key: KeyMemory
  readonly watch: OriginWatch
  readonly fleet: FleetNames | undefined
  readonly emit: (event: HealthEvent) => void
}

/** How long a last resort keeps others away, in milliseconds. */
const lastResortLeaseMs = 10_000
const lastResortRestMs = 1_000

export function createTargetMemory(options: TargetMemoryOptions): TargetMemory {
  const { clock, random, settings, key, watch } = options
  const herald = createHerald(options)
  const rooms = createRooms({ settings, random, key, watch, onBreakerChange: herald.breakerChanged })
  const { gate, model, breaker, limiter } = rooms
  const guards = guardsOf(rooms, options, pump)
  const lastResort = createLease(lastResortLeaseMs)
  let answeredAt = Number.NEGATIVE_INFINITY

  const member: KeyMember = {
    answeredAt: () => answeredAt,
    onGated: ({ reason }, until, now) => herald.gated(reason, until, now),
    onLifted: pump,
  }
  key.join(member)

  const look = (now: number) => standingOf(guards, limiter, now)
  const waiters = createWaiters({
    clock,
    random,
    settings: settings.waiting,
    outlook: now => outlookOf(look(now), limiter.limit(now) - limiter.inFlight()),
    perSecond: rooms.rate.perSecond,
  })

  function pump(): void {
    if (waiters.size() > 0) waiters.pump()
  }

  function check(): Standing {
    const standing = look(clock.now())
    return standing.state === 'shut' && !waiters.hasRoom() ? { ...standing, crowded: true } : standing
  }

  function enter(kind: 'call' | 'probe' | 'hedge'): Permit | undefined {
    const now = clock.now()
    const standing = look(now)
    if (standing.state === 'shut' || (standing.state === 'probation' && kind === 'hedge')) return undefined
    const pass = breaker.enter(now)
    if (pass === undefined) return undefined
    herald.passable(now)
    return admit(pass, standing.state === 'probation' ? trialsOf(now) : [], now)
  }

  function enterLast(): Permit | undefined {
    const now = clock.now()
    const standing = look(now)
    if (standing.state !== 'shut') return enter('call')
    const isNamed = Math.max(gate.openAt(now), model.namedUntil(), key.suspension.namedUntil(), watch.openAt(now)) > now
    if (isNamed || standing.openAt === Infinity) return undefined
    const id = lastResort.take(now)
    if (id === undefined) return undefined
    const rest: Trial = { end: (_verdict, at) => lastResort.giveBack(id, at + lastResortRestMs) }
    return admit(breaker.enterOpen(now), [rest, ...trialsOf(now)], now)
  }

  function trialsOf(now: number): Trial[] {
    return [key.suspension.take(now), model.take(now), watch.take(now)].filter(trial => trial !== undefined)
  }

  function admit(pass: BreakerPermit, trials: readonly Trial[], startedAt: number): Permit {
    let isCounted = false
    limiter.enter()
    rooms.rate.mark(startedAt)
    waiters.entered()

    function succeed(now: number): void {
      answeredAt = now
      watch.reach()
      if (!isCounted) breaker.succeed(pass, now)
      const wasRefused = trials.length > 0 && key.suspension.onTrial(now)
      for (const trial of trials) trial.end('good', now)
      if (wasRefused) key.lift()
    }

    function leave(answeredMs: number | undefined, now: number): void {
      limiter.leave(answeredMs)
      for (const trial of trials) trial.end('none', now)
      pump()
    }

    return createPermit({
      onFirstChunk(afterMs) {
        rooms.latency.add(afterMs)
        rooms.budget.deposit()
        limiter.succeed()
        succeed(clock.now())
        pump()
      },
      onLate() {
        const now = clock.now()
        isCounted = true
        breaker.fail(pass, { reason: 'timeout', message: 'It keeps requests in its queue.' }, now)
        limiter.refuse(now)
      },
      onAnswered() {
        const now = clock.now()
        if (pass.success === undefined) succeed(now)
        leave(now - startedAt, now)
      },
      onAbandoned() {
        breaker.abandon(pass)
        leave(undefined, clock.now())
      },
      onFailure(failure, charged) {
        const now = clock.now()
        settle(failure, charged, { pass, isCounted, now })
        leave(undefined, now)
      },
    })
  }

  function settle(failure: Failure, charged: Charged, at: { pass: BreakerPermit; isCounted: boolean; now: number }): void {
    const { pass: permit, isCounted, now } = at
    const shut = charge(rooms, { failure, charged, permit, isCounted, member, now })
    if (failure.concurrencyLimit !== undefined) {
      herald.publish({ kind: 'limit', reason: failure.reason, forMs: 0, limit: failure.concurrencyLimit })
    }
    if (shut === undefined) return
    if (shut.what !== 'key') herald.gated(failure.reason, shut.until, now)
    const kind = shut.what === 'gate' ? 'gate' : 'refused'
    herald.publish({ kind, reason: failure.reason, forMs: shut.until - now }, shut.what === 'key' ? 'credential' : 'target')
  }

  function learn(fact: HealthFact): void {
    const now = clock.now()
    const until = now + fact.forMs
    const refusal: Refusal = { reason: fact.reason, message: 'Learned by another process.', retryAfterMs: fact.forMs }
    herald.quietly(() => {
      if (fact.kind === 'open') breaker.openUntil(until, refusal, now)
      else if (fact.kind === 'closed') breaker.close(now)
      else if (fact.kind === 'limit') limiter.share(fact.limit ?? Infinity, now)
      else
        herald.gated(fact.reason, fact.kind === 'gate' ? gate.shutUntil(until, refusal) : model.suspendUntil(until, refusal), now)
    })
    pump()
  }

  return {
    rooms,
    check,
    enter,
    enterLast,
    onOpening: waiters.add,
    takeRetry: rooms.budget.take,
    firstChunk: rooms.latency.quantiles,
    waiting: waiters.size,
    pump,
    learn,
    pardon(since, now) {
      breaker.pardon(since, now)
      pump()
    },
    close: waiters.clear,
  }
}

/** In the order in which a call is asked: what the server said, the key, the model, our own network, then the breaker. */
function guardsOf({ gate, key, model, watch, breaker }: Rooms, options: TargetMemoryOptions, pump: () => void): Guard[] {
  const { clock, settings, fleet } = options
  const guards: Guard[] = [gate, key.suspension, model, watch, breaker]
  if (fleet === undefined || settings.breaker === false) return guards
  const mayProbe = (now: number) => breaker.onTrial(now) && breaker.openAt(now) <= now
  const leaseMs = settings.breaker.probeLeaseMs
  guards.push(createFleetProbe({ clock, store: fleet.store, key: fleet.target, leaseMs, mayProbe, onAnswer: pump }))
  return guards
}

function outlookOf(standing: Standing, room: number): Outlook {
  if (standing.state === 'shut') return { room: 0, openAt: standing.openAt, isTrial: false }
  if (standing.state === 'probation') return { room: 1, openAt: 0, isTrial: true }
  return { room, openAt: 0, isTrial: false }
}
