import type { AttemptRecord, TargetState } from '../contract-events.ts'
import type { TargetSnapshot } from '../health/health.ts'

/** Returns whether a number may be added to a counter: an unknown value must not count, and NaN would never go away. */
export function isAmount(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value > 0
}

/** The result of a hedge: a second request that was made because the first one was late. */
export function hedgeResultOf(outcome: AttemptRecord['outcome']): 'won' | 'lost' | 'failed' {
  if (outcome === 'answered') return 'won'
  return outcome === 'failed' ? 'failed' : 'lost'
}

/** Targets with the same labels, which belong to clients with the same chain. They are reported as one. */
export type Alike<Labels> = { readonly labels: Labels; readonly same: readonly TargetSnapshot[] }

export function alike<Labels>(targets: Iterable<readonly [labels: Labels, target: TargetSnapshot]>): Iterable<Alike<Labels>> {
  const groups = new Map<string, { readonly labels: Labels; readonly same: TargetSnapshot[] }>()
  for (const [labels, target] of targets) {
    const key = JSON.stringify(labels)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { labels, same: [target] })
    else group.same.push(target)
  }
  return groups.values()
}

/** All states, worst first. Targets that are reported as one have the worst of their states. */
const states: readonly TargetState[] = ['open', 'gated', 'half-open', 'closed']

/** Returns 1 for the current state and 0 for each other state. */
export function stateValues(same: readonly TargetSnapshot[]): readonly (readonly [state: TargetState, value: 0 | 1])[] {
  const worst = states.find(state => same.some(one => one.state === state))
  return states.map(state => [state, state === worst ? 1 : 0])
}

/** Returns undefined if no target has a value. */
export function sumOf(same: readonly TargetSnapshot[], of: (target: TargetSnapshot) => number | undefined): number | undefined {
  const values = same.map(of).filter(value => value !== undefined)
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}
