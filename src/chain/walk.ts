import type { AttemptRecord } from '../contract.ts'
import { ChainExhaustedError } from '../errors.ts'
import { startLateTimer, stopLateTimer } from './hedge.ts'
import { abandonLeg, commit, startLeg } from './leg.ts'
import { choose, chooseLast, opensInMs, type Choice } from './next-target.ts'
import { news, notify } from './signal.ts'
import type { AttemptKind, Leg, Walk, Walked, WalkOptions } from './state.ts'
import { waitForOpening, waitForProbe, waitForRound } from './waiting.ts'

/**
 * One call through the chain: targets in order, attempts in each, the first commit wins. Rejects with the caller's own abort reason,
 * with a `ChainExhaustedError`, or with a bug that a provider threw.
 */
export function walkChain(options: WalkOptions): Promise<Walked> {
  return walking(createWalk(options))
}

/** A frame that waits holds what it was given: the walk, and not the options beside it. */
async function walking(walk: Walk): Promise<Walked> {
  const { signal } = walk
  if (signal.aborted) throw signal.reason
  signal.onAbort = abandoning(walk)
  try {
    for (;;) {
      if (signal.aborted) throw signal.reason
      const walked = reap(walk)
      if (walked !== undefined) return walked
      if (advance(walk)) await news(signal)
      else if (!(await waitForSomebody(walk))) throw exhausted(walk)
    }
  } finally {
    walk.over = true
    signal.onAbort = undefined
    for (const leg of walk.legs) leave(walk, leg)
  }
}

function createWalk(options: WalkOptions): Walk {
  return {
    ...options,
    candidates: options.targets.map(createCandidate),
    legs: [],
    trail: [],
    failures: [],
    winner: undefined,
    late: undefined,
    over: false,
    committed: false,
    hasContent: false,
    round: 1,
    waitLeftMs: options.hasDefault && options.firstContentAt === Infinity ? patienceMs : Infinity,
    waitedMs: 0,
  }
}

/** With a default response at hand a call waits no longer than this before its requests. */
const patienceMs = 10_000

function createCandidate(target: Walk['targets'][number]): Walk['candidates'][number] {
  return {
    target,
    call: undefined,
    asked: 0,
    failed: 0,
    spent: false,
    failure: undefined,
    isFinal: false,
    isAgain: false,
    wasSilent: false,
    skipped: false,
    refusal: undefined,
  }
}

/** Outside of `walkChain` on purpose: as an inner closure it kept the previous call reachable, at a quarter of our CPU. */
function abandoning(walk: Walk): () => void {
  return () => {
    for (const leg of walk.legs) abandonLeg(leg, walk.signal.reason)
    notify(walk.signal)
  }
}

/** The call is over. A probe goes on to its verdict, whoever has answered; everything else ends. */
function leave(walk: Walk, leg: Leg): void {
  stopLateTimer(walk, leg)
  if (leg.kind === 'probe' && leg.end === undefined && !walk.signal.aborted) walk.background.add(leg)
  else abandonLeg(leg, walk.signal.reason)
}

/** Looks at the legs that have ended. Returns the answer, if one has it. */
function reap(walk: Walk): Walked | undefined {
  for (const leg of walk.legs) {
    if (leg.end === undefined) continue
    walk.legs = walk.legs.filter(other => other !== leg)
    stopLateTimer(walk, leg)
    if (walk.winner === leg) walk.winner = undefined
    if (leg.end.type === 'answered') {
      commit(walk, leg)
      return { answer: leg.end.answer, target: leg.candidate.target, attempts: records(walk) }
    }
    if (leg.end.type === 'bug') throw leg.end.error
    if (leg.end.type === 'failed') {
      if (leg.end.decision === 'stop') throw exhausted(walk)
      if (leg.kind !== 'probe') leg.candidate.spent = !mayComeBack(leg, leg.end)
    }
  }
  return undefined
}

/** A target that named a time may be asked again after it, if nobody else has answered by then and retries are left. */
function mayComeBack({ candidate }: Leg, { failure }: { readonly failure: ChainExhaustedError['failures'][number] }): boolean {
  const { maxRetries } = candidate.target.retry
  const { retryAfterMs, reason } = failure
  // a 429 that names no time shuts the target for a moment all the same
  if (retryAfterMs === undefined && reason !== 'rate-limit') return false
  // a loading model becomes ready, however often one has to look
  if (reason === 'loading' && (retryAfterMs ?? 0) >= leastLookMs) return maxRetries > 0
  return candidate.failed <= maxRetries
}

/** Looks at a server that loads its model count as retries, like all others, when they are closer together than this. */
const leastLookMs = 1_000

/** In this order: a target that opens, one that only our guess keeps shut, a probe that runs, another round. False: nobody is left. */
async function waitForSomebody(walk: Walk): Promise<boolean> {
  return (await waitForOpening(walk)) || beginLast(walk) || (await waitForProbe(walk)) || waitForRound(walk)
}

/** Sees to it that somebody is being asked. False: nobody is, and nobody may be now. A hedge is the same step, taken beside a late leg. */
function advance(walk: Walk): boolean {
  const isLive = walk.winner !== undefined || walk.legs.some(leg => leg.kind !== 'probe')
  const { late } = walk
  walk.late = undefined
  if (isLive && late === undefined) return true
  const choice = choose(walk, isLive)
  if (choice === undefined) return isLive
  if (!isLive || walk.hedge?.take(choice.candidate.target, late) === true) begin(walk, choice, kindOf(choice, isLive))
  else choice.permit.end('abandoned')
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

/** A list of its own length: V8 grows an empty array to 17 slots. */
function addLeg(walk: Walk, leg: Leg): void {
  walk.legs = [...walk.legs, leg]
}

/**
 * Nobody opens in time: a target that only our own guess keeps shut, and that was not asked yet, is asked all the same. Not where a default
 * response is at hand: many calls that wait no longer would ask targets that are down.
 */
function beginLast(walk: Walk): boolean {
  if (walk.hasDefault) return false
  const choice = chooseLast(walk)
  if (choice !== undefined) begin(walk, choice, 'first')
  return choice !== undefined
}

function exhausted(walk: Walk): ChainExhaustedError {
  return new ChainExhaustedError(records(walk), walk.failures, { opensInMs: opensInMs(walk) })
}

function records(walk: Walk): AttemptRecord[] {
  return walk.trail.map(entry => entry.record).filter(record => record !== undefined)
}
