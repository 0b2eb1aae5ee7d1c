import type { AttemptRecord, Call } from '../contract.ts'
import { ChainExhaustedError } from '../errors.ts'
import { choose, chooseLast, openings, othersLeft, type Choice } from './choose.ts'
import { untilOpening } from './delay.ts'
import { startLateTimer, stopLateTimer } from './hedge.ts'
import { abandonLeg, startLeg, tellWait } from './leg.ts'
import type { AttemptKind, Leg, Walk, WalkOptions, Walked } from './state.ts'

/**
 * One call through the chain: targets in order, attempts in each, the first commit wins. Rejects with the caller's own abort reason,
 * with a `ChainExhaustedError`, or with a bug that a provider threw.
 */
export async function walk<Answer>(options: WalkOptions<Answer>): Promise<Walked<Answer>> {
  const { signal } = options
  signal?.throwIfAborted()
  const bell = createBell()
  const state = createState(options, bell.ring)
  const onAbort = () => {
    for (const leg of state.legs) abandonLeg(leg, signal?.reason)
    bell.ring()
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      signal?.throwIfAborted()
      const walked = reap(state)
      if (walked !== undefined) return walked
      if (advance(state)) await bell.rung()
      else if (!(await waitForOpening(state, bell))) throw exhausted(state)
    }
  } finally {
    state.over = true
    signal?.removeEventListener('abort', onAbort)
    for (const leg of state.legs) {
      stopLateTimer(state, leg)
      // a probe goes on to its verdict, whoever has answered
      if (leg.kind === 'probe' && signal?.aborted !== true) state.background.add(leg)
      else abandonLeg(leg, signal?.reason)
    }
  }
}

/** Looks at the legs that have ended: the answer, if one has it. */
function reap<Answer>(walk: Walk<Answer>): Walked<Answer> | undefined {
  for (const leg of walk.legs) {
    if (leg.end === undefined) continue
    walk.legs.delete(leg)
    stopLateTimer(walk, leg)
    if (walk.winner === leg) walk.winner = undefined
    if (leg.end.type === 'answered') {
      if (walk.sink.commitsAt === 'whole') tellCommit(walk, leg)
      return { answer: leg.end.answer, target: leg.target, attempts: records(walk) }
    }
    if (leg.end.type === 'bug') throw leg.end.error
    if (leg.end.type === 'failed') {
      if (leg.end.decision === 'stop') throw exhausted(walk)
      if (leg.kind !== 'probe') walk.spent[leg.target.targetIndex] = !mayAskAgain(walk, leg)
    }
  }
  return undefined
}

/** A target that named a time may be asked again after it, if nobody else has answered by then and retries are left. */
function mayAskAgain<Answer>(walk: Walk<Answer>, leg: Leg<Answer>): boolean {
  const asked = walk.asked[leg.target.targetIndex] ?? 0
  return leg.failure?.retryAfterMs !== undefined && asked <= leg.target.retry.maxRetries
}

/** Sees to it that somebody is being asked. False: nobody is, and nobody may be now. */
function advance<Answer>(walk: Walk<Answer>): boolean {
  const live = walk.winner !== undefined || [...walk.legs].some(leg => leg.kind !== 'probe')
  const { late } = walk
  walk.late = undefined
  if (live && late === undefined) return true
  const choice = choose(walk, live)
  if (choice === undefined) return live
  if (!live || walk.hedge?.take(walk, choice.target, late) === true) begin(walk, choice, live ? 'hedge' : 'first')
  else choice.permit.end('abandoned')
  return true
}

function begin<Answer>(walk: Walk<Answer>, choice: Choice, kind: AttemptKind): void {
  for (const { target, permit } of choice.probes) walk.legs.add(startLeg(walk, target, { kind: 'probe', permit }))
  const leg = startLeg(walk, choice.target, { kind, permit: choice.permit })
  walk.legs.add(leg)
  startLateTimer(walk, leg)
}

/** Nobody may be asked now: waits for the first opening that fits the deadline. False: none does. */
async function waitForOpening<Answer>(walk: Walk<Answer>, bell: Bell): Promise<boolean> {
  const { candidates, soonest } = openings(walk)
  if (soonest === undefined) {
    const choice = chooseLast(walk)
    if (choice !== undefined) begin(walk, choice, 'first')
    return choice !== undefined
  }
  const { reason, waitMs, target } = soonest
  tellWait(walk, target, { waitMs, reason })
  const waiting = untilOpening(
    walk.clock,
    candidates.map(candidate => candidate.health),
    walk.deadline - walk.clock.now(),
  )
  const unhook = bell.onRing(() => waiting.cancel())
  const opened = await waiting.done
  unhook()
  return opened || walk.signal?.aborted === true || walk.winner !== undefined
}

function createState<Answer>(options: WalkOptions<Answer>, nudge: () => void): Walk<Answer> {
  const calls: Call[] = []
  const state: Walk<Answer> = {
    ...options,
    ...{ legs: new Set(), trail: [], failures: [], asked: [], spent: [], refusals: [], skipped: [] },
    ...{ winner: undefined, late: undefined, over: false, nudge },
    callTo: target => (calls[target.targetIndex] ??= { ...options.call, model: target.model }),
    // an attempt may use half of what is left while somebody else could still answer (tashfeenahmed/freellmapi#751)
    shareMs: target => (othersLeft(state, target) ? (options.deadline - options.clock.now()) / 2 : Infinity),
    claim(leg) {
      if (state.over || (state.winner !== undefined && state.winner !== leg)) return false
      if (state.winner === undefined) {
        state.winner = leg
        stopLateTimer(state, leg)
        for (const other of state.legs) if (other !== leg && other.kind !== 'probe') abandonLeg(other, undefined)
        if (options.sink.commitsAt === 'first-content') tellCommit(state, leg)
      }
      return true
    },
  }
  return state
}

function exhausted<Answer>(walk: Walk<Answer>): ChainExhaustedError {
  return new ChainExhaustedError(records(walk), walk.failures)
}

function records<Answer>(walk: Walk<Answer>): AttemptRecord[] {
  return walk.trail.flatMap(entry => entry.record() ?? [])
}

function tellCommit<Answer>(walk: Walk<Answer>, leg: Leg<Answer>): void {
  const { provider, model, targetIndex } = leg.target
  const at = walk.clock.now()
  const of = { callId: walk.callId, provider: provider.name, model, targetIndex, attempt: walk.asked[targetIndex] ?? 0 }
  walk.tell({ type: 'commit', at, ...of, durationMs: at - walk.startedAt })
}

type Bell = { ring(): void; rung(): Promise<void>; onRing(listener: () => void): () => void }

/** Something happened that the walk must look at. A ring is never lost, also one before anybody listens. */
function createBell(): Bell {
  let ringing = false
  let listener: (() => void) | undefined
  return {
    ring() {
      ringing = true
      listener?.()
    },
    async rung() {
      if (!ringing) await new Promise<void>(resolve => (listener = resolve))
      listener = undefined
      ringing = false
    },
    onRing(given) {
      listener = given
      if (ringing) given()
      return () => {
        listener = undefined
        ringing = false
      }
    },
  }
}
