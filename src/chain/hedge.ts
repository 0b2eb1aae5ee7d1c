import type { Call } from '../contract.ts'
import type { Price } from '../contract-targets.ts'
import { dearestOf } from '../cost/price-rules.ts'
import { tokensOf } from '../health/request-size.ts'
import { notify } from './signal.ts'
import type { Hedge, HedgeSettings, Lateness, Leg, Walk } from './state.ts'

/** The number of samples from which a target's own p98 is trusted. */
const knownFrom = 20
/** If no other target had capacity for a queued request's hedge, the next look is after this time. */
const againMs = 1_000
/** The maximum number of saved-up hedges. */
const burst = 5

export function createHedge(settings: HedgeSettings): Hedge {
  let tokens = 1
  let spent = 0
  let wasted = 0
  return {
    settings,
    called() {
      tokens = Math.min(burst, tokens + settings.budget)
    },
    paid(cost) {
      spent += cost
    },
    take(target, late) {
      if (target.price === undefined && !settings.unpriced) return false
      // A queued request has generated nothing, so a hedge costs next to nothing until both start; this needs a known price.
      if (late === 'queued' && target.price !== undefined) return true
      if (tokens < 1 || wasted > settings.spend * spent) return false
      tokens -= 1
      return true
    },
    lost(call, target) {
      // the loser has read its prompt before it is aborted: a hedge wastes the cost of that
      wasted += promptCost(call, target.price)
    },
    lateAfterMs(health) {
      const known = health.firstChunk()
      if (known === undefined || known.samples < knownFrom) return settings.leastMs * 2
      return Math.max(settings.leastMs, known.p98)
    },
  }
}

/** Starts the timer after which a second target may be asked alongside this leg. Its retries and their waits do not start it anew. */
export function startLateTimer(walk: Walk, leg: Leg): void {
  const { hedge, clock } = walk
  if (hedge === undefined || walk.candidates.length < 2) return
  const report = (late: Lateness) => {
    walk.late = late
    notify(walk.signal)
  }
  const queued = () => {
    const { running } = leg
    if (running?.wasQueued !== true || running.chunks > 0) return
    running.options.permit.late()
    if (isAlone(walk, leg)) report('queued')
  }
  const silent = () => report('first-chunk')
  const later = (delayMs: number, look: () => void, next: () => void) => {
    leg.lateTimer = clock.setTimeout(() => {
      next()
      look()
    }, delayMs)
  }
  // one more look: a full target may have capacity now. Looking for ever would only move the queue to the next target
  const again = () => later(againMs, queued, () => (leg.lateTimer = undefined))
  const { queuedMs } = hedge.settings
  const lateAfterMs = hedge.lateAfterMs(leg.candidate.target.health)
  const [first, second] = lateAfterMs < queuedMs ? [silent, queued] : [queued, silent]
  const soonerMs = Math.min(lateAfterMs, queuedMs)
  later(soonerMs, first, () => later(Math.max(lateAfterMs, queuedMs) - soonerMs, second, again))
}

function isAlone(walk: Walk, leg: Leg): boolean {
  for (const other of walk.legs) if (other !== leg && other.kind !== 'probe' && other.end === undefined) return false
  return true
}

export function stopLateTimer(walk: Walk, leg: Leg): void {
  if (leg.lateTimer === undefined) return
  walk.clock.clearTimeout(leg.lateTimer)
  leg.lateTimer = undefined
}

function promptCost(call: Call, price: Price | undefined): number {
  if (price === undefined) return 0
  const tokens = tokensOf({ messages: call.messages, tools: call.tools })
  return (tokens / 1_000_000) * dearestOf(price, tokens).input
}
