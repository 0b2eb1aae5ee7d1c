import type { AttemptRecord } from '../contract.ts'
import { ChainExhaustedError } from '../errors.ts'
import { startLateTimer, stopLateTimer } from './hedge.ts'
import { abandonLeg, commit, startLeg, tellWait } from './leg.ts'
import { choose, chooseLast, leastLeft, openings, type Choice } from './next-target.ts'
import { listen, news, notify } from './signal.ts'
import type { AttemptKind, Leg, Walk, Walked, WalkOptions } from './state.ts'
import { untilOpening } from './wait.ts'

/**
 * One call through the chain: targets in order, attempts in each, the first commit wins. Rejects with the caller's own abort reason,
 * with a `ChainExhaustedError`, or with a bug that a provider threw.
 */
export async function walkChain(options: WalkOptions): Promise<Walked> {
  const { signal } = options
  if (signal.aborted) throw signal.reason
  const walk = createWalk(options)
  signal.onAbort = abandoning(walk)
  try {
    for (;;) {
      if (signal.aborted) throw signal.reason
      const walked = reap(walk)
      if (walked !== undefined) return walked
      if (advance(walk)) await news(signal)
      else if (!(await waitForOpening(walk))) throw exhausted(walk)
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
  }
}

function createCandidate(target: Walk['targets'][number]): Walk['candidates'][number] {
  return { target, call: undefined, asked: 0, failed: 0, spent: false, skipped: false, refusal: undefined }
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
  if (retryAfterMs === undefined) return false
  // a loading model becomes ready, however often one has to look
  if (reason === 'loading' && retryAfterMs >= leastLookMs) return maxRetries > 0
  return candidate.failed <= maxRetries
}

/** Looks at a server that loads its model count as retries, like all others, when they are closer together than this. */
const leastLookMs = 1_000

/** Sees to it that somebody is being asked. False: nobody is, and nobody may be now. A hedge is the same step, taken beside a late leg. */
function advance(walk: Walk): boolean {
  const isLive = walk.winner !== undefined || walk.legs.some(leg => leg.kind !== 'probe')
  const { late } = walk
  walk.late = undefined
  if (isLive && late === undefined) return true
  const choice = choose(walk, isLive)
  if (choice === undefined) return isLive
  if (!isLive || walk.hedge?.take(choice.candidate.target, late) === true) begin(walk, choice, isLive ? 'hedge' : 'first')
  else choice.permit.end('abandoned')
  return true
}

function begin(walk: Walk, choice: Choice, kind: AttemptKind): void {
  for (const { candidate, permit } of choice.probes) addLeg(walk, startLeg(walk, candidate, { kind: 'probe', permit }))
  const leg = startLeg(walk, choice.candidate, { kind, permit: choice.permit })
  addLeg(walk, leg)
  startLateTimer(walk, leg)
}

/** A list of its own length: V8 grows an empty array to 17 slots. */
function addLeg(walk: Walk, leg: Leg): void {
  walk.legs = [...walk.legs, leg]
}

/** Nobody may be asked now: waits for the first opening that fits the deadline. False: none does. */
async function waitForOpening(walk: Walk): Promise<boolean> {
  const { candidates, soonest } = openings(walk)
  if (soonest === undefined) {
    const choice = chooseLast(walk)
    if (choice !== undefined) begin(walk, choice, 'first')
    return choice !== undefined
  }
  const { reason, waitMs, candidate } = soonest
  tellWait(walk, candidate, { waitMs, reason })
  const waiting = untilOpening(
    walk.clock,
    candidates.map(({ target }) => target.health),
    walk.deadline - leastLeft(walk) - walk.clock.now(),
  )
  const stopListening = listen(walk.signal, () => waiting.cancel())
  const opened = await waiting.done
  stopListening()
  return opened || walk.signal.aborted || walk.winner !== undefined
}

function exhausted(walk: Walk): ChainExhaustedError {
  return new ChainExhaustedError(records(walk), walk.failures)
}

function records(walk: Walk): AttemptRecord[] {
  return walk.trail.map(entry => entry.record).filter(record => record !== undefined)
}
