import type { Call } from '../contract.ts'
import { othersLeft } from './choose.ts'
import { stopLateTimer } from './hedge.ts'
import { abandonLeg } from './leg.ts'
import type { Leg, Walk, WalkOptions } from './state.ts'

/** Everything that one call remembers, made anew for each. */
export function createWalk<Answer>(options: WalkOptions<Answer>, nudge: () => void): Walk<Answer> {
  const calls: Call[] = []
  const state: Walk<Answer> = {
    ...options,
    nudge,
    legs: new Set(),
    trail: [],
    failures: [],
    asked: [],
    failed: [],
    spent: [],
    refusals: [],
    skipped: [],
    winner: undefined,
    late: undefined,
    over: false,
    committed: false,
    callTo: target => (calls[target.targetIndex] ??= { ...options.call, model: target.model }),
    // an attempt may use half of what is left while somebody else could still answer (tashfeenahmed/freellmapi#751)
    shareMs: target => (othersLeft(state, target) ? (options.deadline - options.clock.now()) / 2 : Infinity),
    commit(leg) {
      if (!state.committed) tellCommit(state, leg)
      state.committed = true
    },
    claim(leg) {
      if (state.over || (state.winner !== undefined && state.winner !== leg)) return false
      // it began when the caller had another text, or none: what it says now does not fit behind what the caller has since
      if (leg.kind === 'probe' && state.committed) return false
      if (state.winner === undefined) {
        state.winner = leg
        stopLateTimer(state, leg)
        for (const other of state.legs) if (other !== leg && other.kind !== 'probe') lose(state, other)
      }
      return true
    },
  }
  return state
}

function lose<Answer>(state: Walk<Answer>, leg: Leg<Answer>): void {
  if (leg.end === undefined) state.hedge?.lost(state.call, leg.target)
  abandonLeg(leg, undefined)
}

function tellCommit<Answer>(state: Walk<Answer>, leg: Leg<Answer>): void {
  const { provider, model, targetIndex } = leg.target
  const at = state.clock.now()
  const of = { callId: state.callId, provider: provider.name, model, targetIndex, attempt: state.asked[targetIndex] ?? 0 }
  state.tell({ type: 'commit', at, ...of, durationMs: at - state.startedAt })
}
