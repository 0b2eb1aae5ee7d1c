import type { Clock } from '../contract.ts'
import type { TargetLimits } from '../contract-targets.ts'
import { availabilityOf } from './availability.ts'
import type { Availability, Cause, Guard, Moment, Probe } from './availability.ts'
import { createFleetProbe, createPublisher } from './fleet.ts'
import type { FleetNames, FleetProbe, Publisher } from './fleet.ts'
import type { KeyMember, KeyState } from './key.ts'
import type { Quantiles } from './latency.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import type { OriginNetwork } from './local-fault.ts'
import { createPermit } from './outcome.ts'
import type { Admission, AttemptContext, Permit } from './outcome.ts'
import type { Sized } from './request-size.ts'
import type { HealthSettings } from './settings.ts'
import type { HealthFact } from './store.ts'
import { conditionOf, createTargetState } from './target-state.ts'
import type { TargetState } from './target-state.ts'
import { createWaiters } from './waiters.ts'
import type { ArrivalRate, Outlook, Waiters } from './waiters.ts'

/** The health of one target, as a walk uses it. */
export type TargetHealth = {
  /** Returns why this call can never be sent: it alone is larger than a configured limit. Undefined: it can be sent. */
  refuse(call: Sized): Cause | undefined
  /** Returns the availability and changes nothing. `call`: a small call may pass where a large call was refused for long. */
  check(call?: Sized): Availability
  /** Lets one request in. Returns undefined if no request may start, because the availability has changed. */
  enter(kind: 'call' | 'probe' | 'hedge', call?: Sized): Permit | undefined
  /**
   * For a call that has no other target and cannot wait until this target opens (R96). One such call at a time passes a block that is only
   * our own guess (an open breaker, a refused key, an unknown model). It never passes a time that the server named, a full target, or a
   * configured limit.
   */
  enterAsLastResort(call?: Sized): Permit | undefined
  /**
   * Joins the queue of waiting calls. The listener is called once, when this call may try. Returns a function that leaves the queue.
   *
   * @param until when the waiter gives up, on the clock. A waiter that has less time left than an answer usually takes is not woken,
   * because it would waste a place that a later waiter could use
   * @param call the call that waits: a large request may have to wait longer
   */
  onOpening(listener: () => void, until?: number, call?: Sized): () => void
  /** Takes one token of the retry budget. Returns false if there is none. */
  takeRetry(): boolean
  /** Returns how long the first content takes, in milliseconds; undefined before the first sample. */
  firstChunk(): Quantiles | undefined
  /** Returns the number of requests in flight. */
  inFlight(): number
  /** Whether the target was blocked, for example while loading its model, and no attempt has succeeded since. Calls find out, not probes. */
  isUnsure(): boolean
}

/** The health of one target, with the methods that only `health/` uses. */
export type TrackedTarget = TargetHealth & {
  readonly state: TargetState
  waiting(): number
  readonly look: Publisher['look']
  readonly listen: Publisher['listen']
  readonly unlisten: Publisher['unlisten']
  /** Wakes waiters, because the target may have opened for a reason outside of it. */
  pump(): void
  /** Applies a fact that another process learned. */
  learn(fact: HealthFact): void
  /** Forgets the failures since that time, because the fault was on our side. */
  forgive(since: number, now: number): void
  /** Divides the configured limits among this number of processes. */
  divide(processes: number): void
  close(): void
}

export type TrackedTargetOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly settings: HealthSettings
  readonly key: KeyState
  readonly network: OriginNetwork
  readonly limits: TargetLimits | undefined
  readonly rate: ArrivalRate
  readonly fleet: FleetNames | undefined
}

type Target = AttemptContext & {
  readonly guards: readonly Guard[]
  readonly waiters: Waiters
  readonly lastResort: Lease
}

/** How long a last resort blocks other last resorts, in milliseconds, and how long they are blocked after it ends. */
const lastResortLeaseMs = 10_000
const lastResortRestMs = 1_000
/** A target that answered within this time, in milliseconds, can be reached. */
const reachedMs = 5_000

export function trackTarget(options: TrackedTargetOptions): TrackedTarget {
  const target = createTarget(options)
  const { state, publisher, waiters, onChange } = target
  const { clock } = options
  return {
    state,
    refuse: call => state.limits?.refuse(call),
    check: call => check(target, call),
    enter: (kind, call) => enter(target, kind, call),
    enterAsLastResort: call => enterAsLastResort(target, call),
    onOpening: waiters.add,
    takeRetry: state.budget.take,
    firstChunk: state.latency.quantiles,
    inFlight: state.limiter.inFlight,
    isUnsure: () => publisher.look(clock.now()).state === 'half-open' && !state.breaker.needsProbe(clock.now()),
    waiting: waiters.size,
    look: publisher.look,
    listen: publisher.listen,
    unlisten: publisher.unlisten,
    pump: onChange,
    learn: fact => learn(target, fact),
    forgive(since, now) {
      state.breaker.forgive(since, now)
      onChange()
    },
    divide(processes) {
      if (options.fleet === undefined || state.limits === undefined) return
      state.limits.divide(processes)
      onChange()
    },
    close() {
      waiters.clear()
      publisher.close()
      state.limits?.close()
    },
  }
}

function createTarget(options: TrackedTargetOptions): Target {
  const { clock, random, rate } = options
  const publisher = createPublisher(options, now => conditionOf(state, now))
  const onChange = () => waiters.pump()
  const onBreakerChange = publisher.breakerChanged
  const state: TargetState = createTargetState({ ...options, onBreakerChange, onLimitFree: onChange })
  const fleetProbe = fleetProbeOf(state, options, onChange)
  const guards = guardsOf(state, fleetProbe)
  const outlook = (now: number, call: Sized | undefined) => outlookOf(state, guards, { now, call })
  const waiters = createWaiters({ clock, random, outlook, rate, answerMs: state.limiter.answerMs })
  let answeredAt = Number.NEGATIVE_INFINITY
  const member: KeyMember = {
    answeredAt: () => answeredAt,
    onBlocked: ({ reason }, now) => publisher.blocked(reason, now),
    onLifted() {
      publisher.look(clock.now())
      onChange()
    },
  }
  options.key.join(member)
  return {
    clock,
    state,
    guards,
    publisher,
    waiters,
    rate,
    lastResort: createLease(lastResortLeaseMs),
    member,
    onSuccess: now => void (answeredAt = now),
    onChange,
    giveUpProbe: now => fleetProbe?.giveUp(now),
  }
}

/** Returns the guards in the order of their checks: a time that the server named, key, model, our own network, breaker, configured limits. */
function guardsOf(
  { gate, key, model, network, breaker, limits }: TargetState,
  fleetProbe: FleetProbe | undefined,
): readonly Guard[] {
  const guards: Guard[] = [gate, key.suspension, model, network, breaker]
  if (fleetProbe !== undefined) guards.push(fleetProbe)
  if (limits !== undefined) guards.push(limits)
  return guards
}

function fleetProbeOf(
  { gate, breaker }: TargetState,
  { clock, settings, fleet }: TrackedTargetOptions,
  onAnswer: () => void,
): FleetProbe | undefined {
  if (fleet === undefined) return undefined
  const mayProbe = (now: number) => (breaker.needsProbe(now) && breaker.blockedUntil(now) <= now) || gate.needsProbe(now)
  const leaseMs = settings.breaker === false ? lastResortLeaseMs : settings.breaker.probeLeaseMs
  return createFleetProbe({ clock, store: fleet.store, key: fleet.target, leaseMs, mayProbe, onAnswer })
}

function outlookOf({ limiter, limits }: TargetState, guards: readonly Guard[], moment: Moment): Outlook {
  const { now, call } = moment
  const availability = availabilityOf(guards, limiter, moment)
  if (availability.state === 'blocked') {
    const isOneByOne = limits !== undefined && limits.blockedUntil(now, call) >= availability.until
    return { room: 0, opensAt: availability.until, isProbe: false, isOneByOne }
  }
  if (availability.state === 'half-open') return { room: 1, opensAt: now, isProbe: true }
  const room = limiter.limit(now) - limiter.inFlight()
  return { room: limits === undefined ? room : Math.min(room, limits.room(now)), opensAt: now, isProbe: false }
}

function check({ clock, state, guards, waiters }: Target, call: Sized | undefined): Availability {
  const availability = availabilityOf(guards, state.limiter, { now: clock.now(), call })
  if (availability.state !== 'blocked') return availability
  return waiters.isFull() || (call !== undefined && state.limits?.refuse(call) !== undefined)
    ? { ...availability, isInVain: true }
    : availability
}

function enter(target: Target, kind: 'call' | 'probe' | 'hedge', call: Sized | undefined): Permit | undefined {
  const { clock, state, guards } = target
  const now = clock.now()
  const availability = availabilityOf(guards, state.limiter, { now, call }).state
  if (availability === 'blocked' || (availability === 'half-open' && kind === 'hedge')) return undefined
  const pass = state.breaker.enter(now)
  if (pass === undefined) return undefined
  return admit(target, { pass, probes: availability === 'half-open' ? probesOf(state, now) : none, startedAt: now, call })
}

/** A shared empty list, because nearly every attempt has no probes. */
const none: readonly Probe[] = []

function enterAsLastResort(target: Target, call: Sized | undefined): Permit | undefined {
  const { clock, state, guards, lastResort } = target
  const now = clock.now()
  const availability = availabilityOf(guards, state.limiter, { now, call })
  if (availability.state !== 'blocked') return enter(target, 'call', call)
  if (availability.until === Infinity || isNotOurGuess(state, { now, call })) return undefined
  const id = lastResort.take(now)
  if (id === undefined) return undefined
  const rest: Probe = { end: (_verdict, at) => lastResort.giveBack(id, at + lastResortRestMs) }
  return admit(target, { pass: state.breaker.enterOpen(now), probes: [rest, ...probesOf(state, now)], startedAt: now, call })
}

/** Whether the server named a time that is not over, our own network is down, or a configured limit is reached. */
function isNotOurGuess({ gate, key, model, network, limits }: TargetState, { now, call }: Moment): boolean {
  if (limits !== undefined && limits.blockedUntil(now, call) > now) return true
  return Math.max(gate.blockedUntil(now), key.suspension.namedUntil(), model.namedUntil(), network.blockedUntil(now)) > now
}

function probesOf({ gate, key, model, network }: TargetState, now: number): readonly Probe[] {
  const probes = [gate.takeProbe(now), key.suspension.takeProbe(now), model.takeProbe(now), network.takeProbe(now)]
  return probes.filter(probe => probe !== undefined)
}

function admit(target: Target, admission: Admission): Permit {
  const { state, waiters, rate } = target
  state.limiter.enter()
  // Probes are rare, however often the target is called, so they say nothing about the rate of calls.
  if (admission.pass.probe === 0) rate.mark(admission.startedAt)
  waiters.entered()
  const permit = createPermit(target, admission)
  // The need of the next waiter is only checked when this request has started.
  if (state.limits !== undefined) target.onChange()
  return permit
}

function learn(target: Target, fact: HealthFact): void {
  const { clock, publisher, onChange } = target
  const now = clock.now()
  // A process that has lost its own network must not block this target for processes that reach it.
  if (fact.kind === 'open' && fact.reason === 'network' && now - target.member.answeredAt() <= reachedMs) return
  publisher.withoutPublishing(() => {
    apply(target, fact, now)
    publisher.look(now)
  })
  onChange()
}

function apply({ state, publisher }: Target, { kind, reason, forMs, limit, tokens }: HealthFact, now: number): void {
  const { gate, model, breaker, limiter } = state
  const until = now + forMs
  const refusal = { reason, message: 'Another process reported it.', retryAfterMs: undefined }
  if (kind === 'open') breaker.openUntil(until, refusal, now)
  else if (kind === 'closed') breaker.close(now)
  else if (kind === 'limit') limiter.share(limit ?? Infinity, now)
  else if (kind === 'gate' && forMs === 0) gate.lift()
  else {
    if (kind === 'gate') gate.blockUntil(until, refusal, { now, tokens })
    else model.suspendUntil(until, refusal, { now })
    publisher.blocked(reason, now)
  }
}
