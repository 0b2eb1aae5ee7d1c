import type { Call } from '../contract.ts'
import type { AttemptKind, AttemptRecord } from '../contract-events.ts'
import { ChainExhaustedError } from '../errors.ts'
import { startLateTimer, stopLateTimer } from './hedge.ts'
import { abandonLeg, commit, startLeg } from './leg.ts'
import { choose, type Choice } from './next-target.ts'
import { chooseLastResort, opensInMs } from './openings.ts'
import { news, notify } from './signal.ts'
import type { Candidate, ChainTarget, Leg, Walk, Walked, WalkOptions } from './state.ts'
import { mayComeBack, waitForOpening, waitForProbe, waitForRound } from './wait-for-target.ts'

/**
 * Takes one call through the chain: targets in order, attempts at each, the first commit wins. Rejects with the caller's own abort
 * reason, with a `ChainExhaustedError`, or with an unexpected error that a provider threw.
 */
export function walkChain(options: WalkOptions): Promise<Walked> {
  return walking(createWalk(options))
}

/** Saves memory: a suspended `async` function keeps its arguments, so this one gets the walk and not the options too. */
async function walking(walk: Walk): Promise<Walked> {
  const { signal } = walk
  let walked: Walked | undefined
  signal.onAbort = abandoning(walk)
  try {
    for (;;) {
      if (signal.aborted) throw signal.reason
      walked = reap(walk)
      if (walked !== undefined) return walked
      if (advance(walk)) await news(signal)
      else if (!(await waitForTarget(walk))) throw exhausted(walk)
    }
  } finally {
    walk.over = true
    signal.onAbort = undefined
    for (const leg of walk.legs) leave(walk, leg)
    if (walked === undefined) signal.attempts = records(walk)
  }
}

/** Handles the legs that have ended. Returns the answer, if a leg has one. */
function reap(walk: Walk): Walked | undefined {
  for (const leg of walk.legs) {
    if (leg.end === undefined) continue
    walk.legs = walk.legs.filter(other => other !== leg)
    stopLateTimer(walk, leg)
    if (walk.winner === leg) walk.winner = undefined
    if (leg.end.type === 'answered') {
      commit(walk, leg, leg.answeredBy)
      return { answer: leg.end.answer, target: leg.candidate.target, attempts: records(walk) }
    }
    if (leg.end.type === 'bug') throw leg.end.error
    if (leg.end.type === 'failed') {
      if (leg.end.decision === 'stop') throw exhausted(walk)
      // it may be asked again in this round if other calls took its place, or if it named a time
      if (leg.kind !== 'probe') leg.candidate.spent = !leg.isOvertaken && !mayComeBack(leg, leg.end)
    }
  }
  return undefined
}

/** Asks the next target if none is being asked, or a hedge if the running leg is late. False: none is being asked or available. */
function advance(walk: Walk): boolean {
  const isLive = walk.winner !== undefined || walk.legs.some(leg => leg.kind !== 'probe')
  const { late } = walk
  walk.late = undefined
  if (isLive && late === undefined) return true
  const choice = choose(walk, isLive)
  if (choice === undefined) return isLive
  if (!isLive || walk.hedge?.take(choice.candidate.target, late) === true) begin(walk, choice, kindOf(choice, isLive))
  else choice.permit.end('unused')
  return true
}

function kindOf({ candidate }: Choice, isLive: boolean): AttemptKind {
  if (isLive) return 'hedge'
  return candidate.asked > 0 ? 'retry' : 'first'
}

function begin(walk: Walk, choice: Choice, kind: AttemptKind): void {
  for (const { candidate, permit } of choice.probes) addLeg(walk, startLeg(walk, candidate, { kind: 'probe', permit, waitMs: 0 }))
  const leg = startLeg(walk, choice.candidate, { kind, permit: choice.permit, waitMs: walk.waitedMs })
  walk.waitedMs = 0
  addLeg(walk, leg)
  startLateTimer(walk, leg)
}

/** Creates an array of the exact length: V8 grows an empty array to 17 slots. */
function addLeg(walk: Walk, leg: Leg): void {
  walk.legs = [...walk.legs, leg]
}

/** Tries in order: a target that opens, one that only our own guess blocks, a running probe, another round. False: no target is left. */
async function waitForTarget(walk: Walk): Promise<boolean> {
  return (await waitForOpening(walk)) || beginLastResort(walk) || (await waitForProbe(walk)) || waitForRound(walk)
}

/**
 * When no target opens in time, asks a target that was not asked yet and that only our own guess blocks. Not with a default response: many
 * impatient calls would then ask targets that are down.
 */
function beginLastResort(walk: Walk): boolean {
  if (walk.hasDefault) return false
  const choice = chooseLastResort(walk)
  if (choice !== undefined) begin(walk, choice, 'first')
  return choice !== undefined
}

/** The call is over: a probe goes on to its verdict, everything else ends. */
function leave(walk: Walk, leg: Leg): void {
  stopLateTimer(walk, leg)
  if (leg.kind === 'probe' && leg.end === undefined && !walk.signal.aborted) walk.background.add(leg)
  else abandonLeg(leg, walk.signal.reason)
}

/** Not a closure inside `walking()`: there it kept the previous call reachable, which cost a quarter of our CPU time. */
function abandoning(walk: Walk): () => void {
  return () => {
    for (const leg of walk.legs) abandonLeg(leg, walk.signal.reason)
    notify(walk.signal)
  }
}

function exhausted(walk: Walk): ChainExhaustedError {
  return new ChainExhaustedError(records(walk), walk.failures, { opensInMs: opensInMs(walk) })
}

function records(walk: Walk): AttemptRecord[] {
  return walk.trail.map(entry => entry.record).filter(record => record !== undefined)
}

function createWalk(options: WalkOptions): Walk {
  return {
    ...options,
    candidates: options.targets.map(target => createCandidate(target, options.call)),
    legs: [],
    trail: [],
    failures: [],
    winner: undefined,
    late: undefined,
    over: false,
    committed: false,
    hasContent: false,
    round: 1,
    waitLeftMs: options.hasDefault && options.firstContentAt === Infinity ? waitsWithDefaultMs : Infinity,
    waitedMs: 0,
  }
}

/** A call with a default response waits no longer than this before its requests. */
const waitsWithDefaultMs = 10_000

function createCandidate(target: ChainTarget, call: Call): Candidate {
  return {
    target,
    call: undefined,
    sized: target.prepare === undefined || target.limits?.tokensPerMinute === undefined ? call : undefined,
    asked: 0,
    failed: 0,
    spent: false,
    failure: undefined,
    isFinal: false,
    isAgain: false,
    wasSilent: false,
    skipped: false,
    isOverBudget: false,
    worst: undefined,
    refusal: undefined,
  }
}
