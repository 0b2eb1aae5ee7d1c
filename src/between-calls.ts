import type { ClientState } from './call-state.ts'
import { abandonLeg } from './chain/leg.ts'
import { abort } from './chain/signal.ts'
import type { Observers } from './chain/state.ts'
import { checkWarmUp } from './check-input.ts'
import type { ServerLoad } from './contract.ts'
import { UnbusyError } from './errors.ts'
import type { Health } from './health/health.ts'
import type { Warmer } from './keep-warm/keep-warm.ts'
import type { WarmUpOptions, WarmUpResult } from './keep-warm/warm-up.ts'
import type { ClientStatus } from './telemetry/activity.ts'

/** Returns the result of `client.status()`. */
export function statusOf(state: ClientState, health: Health, warmer: Warmer | undefined): ClientStatus {
  const { activity, closed } = state
  const server = (index: number) => loadOf(state, index)
  return activity.status(health.snapshot(), { closed: closed !== undefined, keepWarm: warmer?.status, server })
}

/** Returns the load that a member of a pool last reported. */
function loadOf({ targets, steps }: ClientState, index: number): ServerLoad | undefined {
  const target = targets[index]
  if (target === undefined) return undefined
  const pools = steps.filter(step => 'queues' in step)
  return pools.find(pool => pool.targets.includes(target))?.queues.loadOf(target)
}

/** Counts attempts for `status()`, and also tells the warmer which targets are in use. */
export function countedBy(warmer: Warmer, activity: Observers['activity']): Observers['activity'] {
  return {
    attempted(record) {
      warmer.attempted(record)
      activity.attempted(record)
    },
  }
}

export async function runWarmUp(warmer: Warmer | undefined, options: WarmUpOptions): Promise<readonly WarmUpResult[]> {
  checkWarmUp(options)
  options.signal?.throwIfAborted()
  return warmer === undefined ? [] : warmer.warmUp(options)
}

/** Ends all calls, all timers between calls and all connections. */
export async function closeCalls(state: ClientState, watching: Watching): Promise<void> {
  state.closed ??= new UnbusyError('This client is closed and takes no more calls.')
  for (const signal of state.running) abort(signal, state.closed)
  for (const leg of state.background) abandonLeg(leg, state.closed)
  stopWatching(watching)
  for (const provider of new Set(state.targets.map(target => target.provider))) await provider.close?.()
}

type Watching = { readonly health: Health; readonly steps: ClientState['steps']; readonly warmer: Warmer | undefined }

/** Stops everything that runs between calls: health's timers, its store, keep-warm requests and the polling of server queues. */
export function stopWatching({ health, steps, warmer }: Watching): void {
  warmer?.close()
  health.close()
  for (const step of steps) if ('queues' in step) step.queues.close()
}
