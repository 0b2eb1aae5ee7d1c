import type { ClientState } from './call-state.ts'
import { askConditions, type Conditions, withConditions } from './chain/conditions.ts'
import { orderPool } from './chain/pool.ts'
import type { ChainTarget } from './chain/state.ts'
import { suggestion } from './suggestion.ts'
import type { Call } from './contract.ts'
import { type GenerateInput, merge } from './options.ts'

/** Returns the targets of a call in the order in which they are asked, chosen by pools, conditions and names, with the call's clocks. */
export function chosenTargets(
  client: ClientState,
  call: Call,
  { timeout, targets: names }: GenerateInput,
): readonly ChainTarget[] {
  const { targets, steps, hasConditions } = client
  const conditions = hasConditions ? askConditions(targets, call) : undefined
  const ordered = steps.length === targets.length ? targets : inOrder(client, call, conditions)
  const chosen = names === undefined ? ordered : namedTargets(ordered, names)
  const allowed = conditions === undefined ? chosen : withConditions(chosen, conditions)
  return timeout === undefined ? allowed : withTimeout(allowed, timeout)
}

/** Returns all targets, with the members of each pool in their order for this call. */
function inOrder({ steps, random }: ClientState, call: Call, conditions: Conditions | undefined): readonly ChainTarget[] {
  return steps.flatMap(step => ('queues' in step ? orderPool(step, call, { random, conditions }) : step.targets))
}

function withTimeout(targets: readonly ChainTarget[], timeout: NonNullable<GenerateInput['timeout']>): readonly ChainTarget[] {
  return targets.map(target => ({
    ...target,
    timeout: merge(target.timeout, timeout),
    thinking:
      timeout.firstChunkMs === undefined || target.thinking === undefined
        ? target.thinking
        : { ...target.thinking, firstChunkMs: undefined },
  }))
}

/** Returns the target's own `name`, or else the name of its provider. */
function nameOf({ name, provider }: ChainTarget): string {
  return name ?? provider.name
}

/** Throws for a name that no target of the chain has: a typing error must not send a call to another target. */
export function checkTargetNames(targets: readonly ChainTarget[], names: readonly string[]): void {
  const known = targets.map(nameOf)
  for (const name of names) {
    if (!known.includes(name))
      throw new TypeError(`generate: targets: this chain has no target with the name '${name}'.${suggestion(name, known)}`)
  }
}

/** Returns the targets with these names, in the order of the chain. */
function namedTargets(targets: readonly ChainTarget[], names: readonly string[]): readonly ChainTarget[] {
  return targets.filter(target => names.includes(nameOf(target)))
}
