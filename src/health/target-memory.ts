import type { Clock } from '../contract.ts'
import { createAttempt } from './attempt.ts'
import type { Admission, AttemptContext } from './attempt.ts'
import { conditionOf } from './condition.ts'
import type { TargetNames } from './condition.ts'
import { createFleetProbe } from './fleet-probe.ts'
import type { FleetProbe } from './fleet-probe.ts'
import type { Guard, Trial } from './guard.ts'
import { createHerald } from './herald.ts'
import type { FleetNames, HealthEvent, Herald } from './herald.ts'
import type { KeyMember, KeyMemory } from './key-memory.ts'
import type { Quantiles } from './latency.ts'
import { createLease } from './lease.ts'
import type { Lease } from './lease.ts'
import type { OriginWatch } from './local-fault.ts'
import type { Pace } from './pace.ts'
import type { Permit } from './permit.ts'
import { createRooms } from './rooms.ts'
import type { Rooms } from './rooms.ts'
import type { HealthSettings } from './settings.ts'
import type { Sized } from './size.ts'
import { standingOf } from './standing.ts'
import type { Standing } from './standing.ts'
import type { HealthFact } from './store.ts'
import { createWaiters } from './waiters.ts'
import type { Outlook, Waiters } from './waiters.ts'

/** What a walk asks and tells about one target. */
export type TargetHealth = {
  /** Looks only, takes nothing. `call`: a small one may pass where a large one was refused for long. */
  check(call?: Sized): Standing
  /** Takes the permit of the breaker and a place of the limiter; undefined when it may not start (the standing has changed). */
  enter(kind: 'call' | 'probe' | 'hedge', call?: Sized): Permit | undefined
  /**
   * For a call that can ask nobody else and cannot wait until this target opens (R96): one such call at a time passes what is only
   * our own guess (an open breaker, a refused key, an unknown model). Never a time that the server named, and never a full target.
   */
  enterLast(call?: Sized): Permit | undefined
  /**
   * A waiter: calls back once, when this waiter may try. Answers how to leave.
   *
   * @param until when it gives up, on the clock: one that has less time left than an answer usually takes is not woken, because
   * a place given to it is lost for those who come after it
   */
  onOpening(listener: () => void, until?: number): () => void
  /** Takes one token of the retry budget. */
  takeRetry(): boolean
  /** How long the first content takes, in milliseconds; undefined until there is a sample. */
  firstChunk(): Quantiles | undefined
  /** Requests of this client that are under way. */
  inFlight(): number
  /** It was shut, for example while it loaded its model, and no attempt has been good since. No probe finds out: calls do. */
  isUnsure(): boolean
}

export type TargetMemory = TargetHealth & {
  readonly rooms: Rooms
  waiting(): number
  readonly look: Herald['look']
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
  readonly names: TargetNames
  readonly key: KeyMemory
  readonly watch: OriginWatch
  readonly pace: Pace
  readonly fleet: FleetNames | undefined
  /** Undefined: nobody listens. */
  readonly emit: ((event: HealthEvent) => void) | undefined
}

type Memory = AttemptContext & {
  readonly guards: readonly Guard[]
  readonly waiters: Waiters
  readonly lastResort: Lease
}

/** How long a last resort keeps others away, in milliseconds, and how long it rests. */
const lastResortLeaseMs = 10_000
const lastResortRestMs = 1_000
/** A target that answered so recently is reached. */
const reachedMs = 5_000

export function createTargetMemory(options: TargetMemoryOptions): TargetMemory {
  const memory = furnish(options)
  const { rooms, waiters, onChange } = memory
  return {
    rooms,
    check: call => check(memory, call),
    enter: (kind, call) => enter(memory, kind, call),
    enterLast: call => enterLast(memory, call),
    onOpening: waiters.add,
    takeRetry: rooms.budget.take,
    firstChunk: rooms.latency.quantiles,
    inFlight: rooms.limiter.inFlight,
    isUnsure: () => memory.herald.look(options.clock.now()).state === 'half-open' && !rooms.breaker.onTrial(options.clock.now()),
    waiting: waiters.size,
    look: memory.herald.look,
    pump: onChange,
    learn: fact => learn(memory, fact),
    pardon(since, now) {
      rooms.breaker.pardon(since, now)
      onChange()
    },
    close() {
      waiters.clear()
      memory.herald.close()
    },
  }
}

function furnish(options: TargetMemoryOptions): Memory {
  const { clock, random, settings, key, watch, pace } = options
  const herald = createHerald(options, now => conditionOf(rooms, now))
  const rooms: Rooms = createRooms({ settings, random, key, watch, onBreakerChange: herald.breakerChanged })
  const onChange = () => {
    if (waiters.size() > 0) waiters.pump()
  }
  const fleetProbe = fleetProbeOf(rooms, options, onChange)
  const guards = guardsOf(rooms, fleetProbe)
  const waiters = createWaiters({
    clock,
    random,
    settings: settings.waiting,
    outlook: now => outlookOf(standingOf(guards, rooms.limiter, { now }), rooms, now),
    pace,
    answerMs: rooms.limiter.answerMs,
  })
  let answeredAt = Number.NEGATIVE_INFINITY
  const member: KeyMember = {
    answeredAt: () => answeredAt,
    onGated: ({ reason }, _until, now) => herald.gated(reason, now),
    onLifted() {
      herald.look(clock.now())
      onChange()
    },
  }
  key.join(member)
  const onSuccess = (now: number) => void (answeredAt = now)
  const { recentMs } = settings.gate
  return {
    clock,
    rooms,
    guards,
    herald,
    waiters,
    pace,
    recentMs,
    lastResort: createLease(lastResortLeaseMs),
    member,
    onSuccess,
    onChange,
    giveUpProbe: now => fleetProbe?.giveUp(now),
  }
}

/** In the order in which a call is asked: what the server said, the key, the model, our own network, then the breaker. */
function guardsOf({ gate, key, model, watch, breaker }: Rooms, fleetProbe: FleetProbe | undefined): readonly Guard[] {
  const guards: Guard[] = [gate, key.suspension, model, watch, breaker]
  return fleetProbe === undefined ? guards : [...guards, fleetProbe]
}

function fleetProbeOf(
  { gate, breaker }: Rooms,
  { clock, settings, fleet }: TargetMemoryOptions,
  onAnswer: () => void,
): FleetProbe | undefined {
  if (fleet === undefined) return undefined
  const mayProbe = (now: number) => (breaker.onTrial(now) && breaker.openAt(now) <= now) || gate.onTrial(now)
  const leaseMs = settings.breaker === false ? lastResortLeaseMs : settings.breaker.probeLeaseMs
  return createFleetProbe({ clock, store: fleet.store, key: fleet.target, leaseMs, mayProbe, onAnswer })
}

function outlookOf(standing: Standing, { limiter }: Rooms, now: number): Outlook {
  if (standing.state === 'shut') return { room: 0, openAt: standing.openAt, isTrial: false }
  if (standing.state === 'probation') return { room: 1, openAt: now, isTrial: true }
  return { room: limiter.limit(now) - limiter.inFlight(), openAt: now, isTrial: false }
}

function check({ clock, rooms, guards, waiters }: Memory, call: Sized | undefined): Standing {
  const standing = standingOf(guards, rooms.limiter, { now: clock.now(), call })
  return standing.state === 'shut' && !waiters.hasRoom() ? { ...standing, crowded: true } : standing
}

function enter(memory: Memory, kind: 'call' | 'probe' | 'hedge', call: Sized | undefined): Permit | undefined {
  const { clock, rooms, guards } = memory
  const now = clock.now()
  const { state } = standingOf(guards, rooms.limiter, { now, call })
  if (state === 'shut' || (state === 'probation' && kind === 'hedge')) return undefined
  const pass = rooms.breaker.enter(now)
  if (pass === undefined) return undefined
  return admit(memory, { pass, trials: state === 'probation' ? trialsOf(rooms, now) : none, startedAt: now, call })
}

/** Nearly every attempt tries nothing out. */
const none: readonly Trial[] = []

function enterLast(memory: Memory, call: Sized | undefined): Permit | undefined {
  const { clock, rooms, guards, lastResort } = memory
  const now = clock.now()
  const standing = standingOf(guards, rooms.limiter, { now, call })
  if (standing.state !== 'shut') return enter(memory, 'call', call)
  if (standing.openAt === Infinity || isNamed(rooms, now)) return undefined
  const id = lastResort.take(now)
  if (id === undefined) return undefined
  const rest: Trial = { end: (_verdict, at) => lastResort.giveBack(id, at + lastResortRestMs) }
  return admit(memory, { pass: rooms.breaker.enterOpen(now), trials: [rest, ...trialsOf(rooms, now)], startedAt: now, call })
}

/** Whether it was the server that told when to come back, or our own network that is down: no guesses of ours. */
function isNamed({ gate, key, model, watch }: Rooms, now: number): boolean {
  return Math.max(gate.openAt(now), key.suspension.namedUntil(), model.namedUntil(), watch.openAt(now)) > now
}

function trialsOf({ gate, key, model, watch }: Rooms, now: number): readonly Trial[] {
  return [gate.take(now), key.suspension.take(now), model.take(now), watch.take(now)].filter(trial => trial !== undefined)
}

function admit(memory: Memory, admission: Admission): Permit {
  const { rooms, waiters, pace } = memory
  rooms.limiter.enter()
  // Probes come rarely, however often it is called.
  if (admission.pass.probe === 0) pace.mark(admission.startedAt)
  waiters.entered()
  return createAttempt(memory, admission)
}

function learn(memory: Memory, fact: HealthFact): void {
  const { clock, rooms, herald, onChange } = memory
  const { gate, model, breaker, limiter } = rooms
  const { reason, kind } = fact
  const now = clock.now()
  const until = now + fact.forMs
  const refusal = { reason, message: 'Another process learned it.', retryAfterMs: undefined }
  // A process that has lost its own network must not take this target away from those that reach it.
  if (kind === 'open' && reason === 'network' && now - memory.member.answeredAt() <= reachedMs) return
  herald.quietly(() => {
    if (kind === 'open') breaker.openUntil(until, refusal, now)
    else if (kind === 'closed') breaker.close(now)
    else if (kind === 'limit') limiter.share(fact.limit ?? Infinity, now)
    else if (kind === 'gate' && fact.forMs === 0) gate.lift()
    else {
      if (kind === 'gate') gate.shutUntil(until, refusal, { now, tokens: fact.tokens })
      else model.suspendUntil(until, refusal, { now })
      herald.gated(reason, now)
    }
    herald.look(now)
  })
  onChange()
}
