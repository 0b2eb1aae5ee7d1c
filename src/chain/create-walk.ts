import { createBell } from './bell.ts'
import type { Walk, WalkOptions } from './state.ts'

/** Everything that one call remembers, made anew for each. */
export function createWalk<Answer>(options: WalkOptions<Answer>): Walk<Answer> {
  return {
    ...options,
    bell: createBell(),
    legs: [],
    trail: [],
    failures: [],
    // as long as it gets: an array that grows takes room for 17
    dealings: options.targets.map(() => undefined),
    winner: undefined,
    late: undefined,
    over: false,
    committed: false,
  }
}
