import type { AttemptRecord } from '../contract.ts'
import { ChainExhaustedError } from '../errors.ts'
import { onRing, ring, rung } from './bell.ts'
import { choose, chooseLast, leastLeft, openings, type Choice } from './choose.ts'
import { createWalk } from './create-walk.ts'
import { dealingsWith } from './dealings.ts'
import { untilOpening } from './delay.ts'
import { startLateTimer, stopLateTimer } from './hedge.ts'
import { startLeg, tellWait } from './leg.ts'
import { abandonLeg, commit } from './race.ts'
import type { AttemptKind, Leg, Walk, WalkOptions, Walked } from './state.ts'

/**
 * One call through the chain: targets in order, attempts in each, the first commit wins. Rejects with the caller's own abort reason,
 * with a `ChainExhaustedError`, or with a bug that a provider threw.
 */
export async function walk<Answer>(options: WalkOptions<Answer>): Promise<Walked<Answer>> {
  const { stop } = options
  if (stop.aborted) throw stop.reason
  const state = createWalk(options)
  stop.onAbort = stopping(state)
  try {
    for (;;) {
      if (stop.aborted) throw stop.reason
      const walked = reap(state)
      if (walked !== undefined) return walked
      if (advance(state)) await rung(state.bell)
      else if (!(await waitForOpening(state))) throw exhausted(state)
    }
  } finally {
    state.over = true
    stop.onAbort = undefined
    for (const leg of state.legs) leave(state, leg)
  }
}

/** Not written inside of `walk`: there the garbage of one call kept that of the next alive, at a quarter of our CPU. */
function stopping<Answer>(state: Walk<Answer>): () => void {
  return () => {
    for (const leg of state.legs) abandonLeg(leg, state.stop.reason)
    ring(state.bell)
  }
}

/** The call is over. A probe goes on to its verdict, whoever has answered; everything else ends. */
function leave<Answer>(state: Walk<Answer>, leg: Leg<Answer>): void {
  stopLateTimer(state, leg)
  if (leg.kind === 'probe' && leg.end === undefined && !state.stop.aborted) state.background.add(leg)
  else abandonLeg(leg, state.stop.reason)
}

/** Looks at the legs that have ended: the answer, if one has it. */
function reap<Answer>(state: Walk<Answer>): Walked<Answer> | undefined {
  for (const leg of state.legs) {
    if (leg.end === undefined) continue
    state.legs = state.legs.filter(other => other !== leg)
    stopLateTimer(state, leg)
    if (state.winner === leg) state.winner = undefined
    if (leg.end.type === 'answered') {
      commit(state, leg)
      return { answer: leg.end.answer, target: leg.target, attempts: records(state) }
    }
    if (leg.end.type === 'bug') throw leg.end.error
    if (leg.end.type === 'failed') {
      if (leg.end.decision === 'stop') throw exhausted(state)
      if (leg.kind !== 'probe') dealingsWith(state, leg.target).spent = !mayAskAgain(state, leg)
    }
  }
  return undefined
}

/** A target that named a time may be asked again after it, if nobody else has answered by then and retries are left. */
function mayAskAgain<Answer>(state: Walk<Answer>, leg: Leg<Answer>): boolean {
  const { failed } = dealingsWith(state, leg.target)
  const { maxRetries } = leg.target.retry
  const { retryAfterMs, reason } = leg.failure ?? {}
  if (retryAfterMs === undefined) return false
  // a model that is being read comes, however often one has to look
  if (reason === 'loading' && retryAfterMs >= leastLookMs) return maxRetries > 0
  return failed <= maxRetries
}

/** Looks at a server that loads its model are at least so far apart, or they are retries like all others. */
const leastLookMs = 1_000

/** Sees to it that somebody is being asked. False: nobody is, and nobody may be now. */
function advance<Answer>(state: Walk<Answer>): boolean {
  const live = state.winner !== undefined || state.legs.some(leg => leg.kind !== 'probe')
  const { late } = state
  state.late = undefined
  if (live && late === undefined) return true
  const choice = choose(state, live)
  if (choice === undefined) return live
  if (!live || state.hedge?.take(choice.target, late) === true) begin(state, choice, live ? 'hedge' : 'first')
  else choice.permit.end('abandoned')
  return true
}

function begin<Answer>(state: Walk<Answer>, choice: Choice, kind: AttemptKind): void {
  for (const { target, permit } of choice.probes) addLeg(state, startLeg(state, target, { kind: 'probe', permit }))
  const leg = startLeg(state, choice.target, { kind, permit: choice.permit })
  addLeg(state, leg)
  startLateTimer(state, leg)
}

/** A list of its own length: one that grows takes room for 17. */
function addLeg<Answer>(state: Walk<Answer>, leg: Leg<Answer>): void {
  state.legs = [...state.legs, leg]
}

/** Nobody may be asked now: waits for the first opening that fits the deadline. False: none does. */
async function waitForOpening<Answer>(state: Walk<Answer>): Promise<boolean> {
  const { candidates, soonest } = openings(state)
  if (soonest === undefined) {
    const choice = chooseLast(state)
    if (choice !== undefined) begin(state, choice, 'first')
    return choice !== undefined
  }
  const { reason, waitMs, target } = soonest
  tellWait(state, target, { waitMs, reason })
  const waiting = untilOpening(
    state.clock,
    candidates.map(candidate => candidate.health),
    state.deadline - leastLeft(state) - state.clock.now(),
  )
  const unhook = onRing(state.bell, () => waiting.cancel())
  const opened = await waiting.done
  unhook()
  return opened || state.stop.aborted || state.winner !== undefined
}

function exhausted<Answer>(state: Walk<Answer>): ChainExhaustedError {
  return new ChainExhaustedError(records(state), state.failures)
}

function records<Answer>(state: Walk<Answer>): AttemptRecord[] {
  return state.trail.map(entry => entry.record).filter(record => record !== undefined)
}
