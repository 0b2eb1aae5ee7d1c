import type { ClientState } from './call-state.ts'
import { createAccount } from './chain/account.ts'
import { hasAccount, openAccount } from './chain/money.ts'
import type { ChainTarget, Observers } from './chain/state.ts'
import { checkedPrepare } from './check-prepared.ts'
import type { Clock, Provider } from './contract.ts'
import type { Target } from './contract-targets.ts'
import type { Health } from './health/health.ts'
import { watchQueues } from './health/server-queues.ts'
import { isSharedHealth } from './health/shared-health.ts'
import { type ClientOptions, targetRetry, targetTimeout, thinkingLimits } from './options.ts'
import { isPrivateAddress } from './providers/private-address.ts'

type Parts = {
  readonly health: Health
  readonly clock: Clock
  readonly observers: Observers
  readonly epochOffsetMs: () => number
}

type ResolvedChain = Pick<ClientState, 'targets' | 'steps' | 'account' | 'hasBudgets' | 'hasLaterBudgets'>

/** Returns all targets with their defaults filled in, and the steps of the chain. */
export function resolveChain(options: ClientOptions, { health, clock, observers, epochOffsetMs }: Parts): ResolvedChain {
  const { budget } = options
  const account = budget === undefined ? undefined : createAccount('`budget` of the client', budget)
  const targets: ChainTarget[] = []
  const steps = options.chain.map((step, place) => {
    const members = ('pool' in step ? step.pool : [step]).map((target, index): ChainTarget => {
      const { provider, model, name, price, when, limits } = target
      const targetIndex = targets.length + index
      return {
        ...{ provider, model, name, targetIndex, step: place, price, when, limits },
        isPrivate: price === undefined && isPrivate(provider),
        account,
        prepare: checkedPrepare(target),
        keepWarm: target.keepWarm,
        retry: targetRetry(target, options.retry),
        timeout: targetTimeout(target, options.timeout),
        thinking: thinkingLimits(target, options),
        health: health.of({ provider, model, name, index: targetIndex, step: place, price, limits }),
        observers,
        epochOffsetMs,
      }
    })
    openAccounts('pool' in step ? step.pool : [step], members, health)
    targets.push(...members)
    return 'pool' in step ? { ...step, targets: members, queues: watchQueues(members, clock) } : { targets: members }
  })
  const hasTargetBudget = () => targets.some(({ health: each }) => hasAccount(each))
  return {
    ...{ targets, steps, account, hasBudgets: budget !== undefined || hasTargetBudget() },
    hasLaterBudgets: isSharedHealth(options.health) ? hasTargetBudget : undefined,
  }
}

function isPrivate({ identity }: Provider): boolean {
  return identity !== undefined && URL.canParse(identity.origin) && isPrivateAddress(identity.origin)
}

/** Opens an account for each target that has a budget. */
function openAccounts(given: readonly Target[], targets: readonly ChainTarget[], all: Health): void {
  for (const [index, { health, provider, model }] of targets.entries()) {
    const budget = given[index]?.budget
    if (budget === undefined || openAccount(health, budget)) continue
    all.close()
    throw new TypeError(
      `createClient: the budget of ${provider.name} ${model} differs from the budget of the same model, key and address elsewhere in the ` +
        'chain. The two share what they spend: write the same budget for both, or a budget for only one of them.',
    )
  }
}
