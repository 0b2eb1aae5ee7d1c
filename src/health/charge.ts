import type { Charged, Failure } from '../contract.ts'
import type { BreakerPermit } from './breaker.ts'
import { isDuration } from './gate.ts'
import type { Refusal } from './gate.ts'
import type { KeyMember } from './key-memory.ts'
import { isOwnNetwork } from './own-network.ts'
import type { Rooms } from './rooms.ts'
import { tokensOf } from './size.ts'
import type { Sized } from './size.ts'

export type ChargeOptions = {
  readonly failure: Failure
  readonly charged: Charged
  readonly permit: BreakerPermit
  /** It was counted as a failure already, when it was late. */
  readonly isCounted: boolean
  /** Its first content came before. */
  readonly hasBegun: boolean
  readonly heldMs: number
  readonly member: KeyMember
  /** This target answered seconds ago. */
  readonly wasGood: boolean
  /** The request, as far as its size goes. */
  readonly call: Sized | undefined
  readonly now: number
  /** It failed on the network of this process: whatever it tried out, another process may try. */
  readonly onOwnNetwork: () => void
}

/** From so many samples on the time to the first content is known; before, and at least, these milliseconds count as usual. */
const knownFrom = 20
const unknownMs = 4_000
const leastMs = 2_000

/** What a failure shut, for those who are told of it. */
export type Shut = {
  readonly what: 'gate' | 'model' | 'key'
  readonly refusal: Refusal
  readonly until: number
  readonly isBrief: boolean
  readonly tokens?: number | undefined
}

/** Charges one failure to whom it belongs, and to nobody else. */
export function charge(rooms: Rooms, options: ChargeOptions): Shut | undefined {
  const { failure, now } = options
  if (failure.status !== undefined) rooms.watch.reach()
  countForBreaker(rooms, options)
  countForLimiter(rooms, options)
  // about this request alone: its time keeps no other request away
  if (options.charged === 'request') return undefined
  if (options.charged === 'key') return refuseKey(rooms, options)
  if (options.charged === 'model') return refuseModel(rooms, options)
  // Whoever it is charged to: what the server says about time is obeyed (R92).
  if (options.charged !== 'gate' && !isDuration(failure.retryAfterMs)) return undefined
  const tokens = options.call === undefined || !isDuration(failure.retryAfterMs) ? undefined : tokensOf(options.call)
  return { what: 'gate', refusal: failure, until: rooms.gate.shut(failure, now, tokens), tokens, isBrief: false }
}

function countForBreaker(rooms: Rooms, options: ChargeOptions): void {
  const { breaker, watch } = rooms
  const { failure, charged, permit, isCounted, now } = options
  if (isCounted) return
  const isOurFault = failure.reason === 'network' && charged === 'target' && watch.fail(now)
  // nothing reached it: a trial of it has no verdict
  const isNobodys = failure.reason === 'network' && charged !== 'target'
  if (isOurFault || isNobodys || isOwnNetwork(failure)) options.onOwnNetwork()
  if (isOurFault || isNobodys || isOurHaste(rooms, options)) breaker.abandon(permit)
  else if (charged === 'target') breaker.fail(permit, { reason: failure.reason, message: failure.message }, now)
  else breaker.pass(permit, now)
}

/** The call had no time left. That says nothing of a target that had begun to answer, or was given less time than it usually takes. */
function isOurHaste({ latency }: Rooms, { failure, hasBegun, heldMs }: ChargeOptions): boolean {
  if (failure.clock !== 'total' && failure.clock !== 'firstContent') return false
  const known = latency.quantiles()
  const usualMs = known === undefined || known.samples < knownFrom ? unknownMs : Math.max(leastMs, known.p98)
  return hasBegun || heldMs < usualMs
}

function countForLimiter({ limiter }: Rooms, { failure, charged, isCounted, now }: ChargeOptions): void {
  if (failure.concurrencyLimit !== undefined) limiter.obey(failure.concurrencyLimit, now)
  else if (charged === 'gate') limiter.refuse(now)
  else if (isOverload(failure) && charged === 'target' && !isCounted) limiter.overload(now)
}

function isOverload(failure: Failure): boolean {
  return failure.reason === 'overloaded' || failure.reason === 'rate-limit' || failure.status === 503 || failure.status === 529
}

function refuseKey(rooms: Rooms, options: ChargeOptions): Shut {
  const { failure, member, now } = options
  // It may be about the model alone: one outside the plan, or with a quota of its own, must not darken all others (R103, F94).
  if (failure.reason !== 'authentication' && rooms.key.worksElsewhere(member, now)) return refuseModel(rooms, options)
  return { what: 'key', refusal: failure, until: rooms.key.refuse(failure, now), isBrief: rooms.key.suspension.isBrief() }
}

function refuseModel({ model }: Rooms, { failure, wasGood, now }: ChargeOptions): Shut {
  const until = model.suspend(failure, now, wasGood)
  return { what: 'model', refusal: failure, until, isBrief: model.isBrief() }
}
