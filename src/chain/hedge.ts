import type { Call, Price } from '../contract.ts'
import { notify } from './signal.ts'
import type { Hedge, HedgeSettings, Lateness, Leg, Walk } from './state.ts'

/** Samples from which on a target's own p98 is trusted. */
const knownFrom = 20
/** A queued request for which nobody else had a place is looked at again after this. */
const againMs = 1_000
/** Hedges that may follow each other after a quiet time. */
const burst = 5
/** A rough tokenizer: four characters a token. Only the budget depends on it. */
const charactersPerToken = 4

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
      // A queued request has generated nothing, so the second costs next to nothing until both start: as far as we know the prices.
      if (late === 'queued' && target.price !== undefined) return true
      if (tokens < 1 || wasted > settings.spend * spent) return false
      tokens -= 1
      return true
    },
    lost(call, target) {
      // it has read its prompt and is then aborted: that is what a hedge wastes
      wasted += promptCost(call, target.price)
    },
    lateAfterMs(health) {
      const known = health.firstChunk()
      if (known === undefined || known.samples < knownFrom) return settings.leastMs * 2
      return Math.max(settings.leastMs, known.p98)
    },
  }
}

/** Sets the timer after which a second target may be asked beside this leg. */
export function startLateTimer(walk: Walk, leg: Leg): void {
  const { hedge, clock } = walk
  if (hedge === undefined || walk.candidates.length < 2) return
  const tell = (late: Lateness) => {
    walk.late = late
    notify(walk.signal)
  }
  const queued = () => {
    const { running } = leg
    if (running?.wasQueued !== true || running.chunks > 0) return
    running.options.permit.late()
    if (isAlone(walk, leg)) tell('queued')
  }
  const silent = () => tell('first-chunk')
  // set before the look: whoever is asked then may win at once, and stops it
  const later = (delayMs: number, look: () => void, next: () => void) => {
    leg.lateTimer = clock.setTimeout(() => {
      next()
      look()
    }, delayMs)
  }
  // whoever had no place just now may have one in a moment; to look for ever would only move the queue to the next target
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
  let characters = 0
  for (const { content } of call.messages) characters += content.length
  return (characters / charactersPerToken / 1_000_000) * price.input
}
